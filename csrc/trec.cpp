// Runs and qrels (TREC's, BEIR's, MS MARCO's): text -> columns, grouped by query, with the line number of the first
// malformed row.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>

#include "arrays.hpp"
#include "decimal.hpp"
#include "printable.hpp"

namespace rranker {
namespace {

bool blank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f'; }

struct Fault : std::runtime_error {
  Fault(int64_t line, const std::string& what) : std::runtime_error(what), line(line) {}
  int64_t line;
};

// Rows in file order; `query[i]` numbers the queries by first appearance.
struct Rows {
  std::vector<std::string_view> names;
  std::vector<int32_t> query, length;
  std::vector<int64_t> start;
  std::vector<double> value;
  std::string_view tag;
};

// Lines that end in \n, \r\n or \r, without a UTF-8 byte-order mark (joined files have some in the middle).
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text), newline_(std::min(text.find('\n'), text.size())) {}

  bool next(std::string_view& line) {
    if (at_ >= text_.size()) return false;
    ++number_;
    if (newline_ < at_) newline_ = std::min(text_.find('\n', at_), text_.size());
    size_t end = newline_;
    const void* carriage = std::memchr(text_.data() + at_, '\r', end - at_);
    size_t after = end + 1;
    if (carriage != nullptr) {
      const auto cut = static_cast<size_t>(static_cast<const char*>(carriage) - text_.data());
      if (cut + 1 != end) after = cut + 1;
      end = cut;
    }
    line = text_.substr(at_, end - at_);
    if (line.substr(0, 3) == "\xEF\xBB\xBF") line.remove_prefix(3);
    at_ = after;
    return true;
  }
  int64_t number() const { return number_; }

 private:
  std::string_view text_;
  size_t newline_, at_ = 0;
  int64_t number_ = 0;
};

// The first columns of a line, and whether there are more.
struct Fields {
  std::array<std::string_view, 6> at;
  int count = 0;
  bool more = false;

  void split(std::string_view line) {
    count = 0, more = false;
    const char *i = line.data(), *const end = i + line.size();
    for (;;) {
      while (i != end && blank(*i)) ++i;
      if (i == end) return;
      const char* start = i;
      while (i != end && !blank(*i)) ++i;
      if (!add({start, static_cast<size_t>(i - start)})) return;
    }
  }

  // Columns between tabs, in which ids may hold blanks; a line of blanks has none.
  void split_at_tabs(std::string_view line) {
    split(line);
    if (count == 0) return;
    count = 0, more = false;
    for (size_t at = 0; at <= line.size();) {
      const size_t end = std::min(line.find('\t', at), line.size());
      std::string_view field = line.substr(at, end - at);
      while (!field.empty() && blank(field.front())) field.remove_prefix(1);
      while (!field.empty() && blank(field.back())) field.remove_suffix(1);
      if (!add(field)) return;
      at = end + 1;
    }
  }

 private:
  bool add(std::string_view field) {
    more = count == 6;
    if (!more) at[static_cast<size_t>(count++)] = field;
    return !more;
  }
};

double number(std::string_view text, int64_t line) {
  double value = 0.0;
  if (!read_double(text, value) || std::isnan(value)) {
    throw Fault(line, "the score must be a number, not '" + printable(text) + "'");
  }
  return value;
}

// Plain decimals of up to 15 digits are exact through one division; the rest goes to `number`.
double score(std::string_view text, int64_t line) {
  static constexpr double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4,  1e5,  1e6,  1e7,
                                      1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  size_t i = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) ++i;
  int64_t digits = 0;
  int count = 0, places = 0;
  bool point = false;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9' && count < 15) {
      digits = digits * 10 + (c - '0');
      ++count;
      places += point;
    } else {
      return number(text, line);
    }
  }
  if (count == 0) return number(text, line);
  const double value = static_cast<double>(digits) / powers[places];
  return negative ? -value : value;
}

// Whole numbers, also as 1.0.
double relevance(std::string_view text, int64_t line) {
  double value = 0.0;
  if (!read_double(text, value) || value != std::floor(value) || std::fabs(value) > 2147483647.0) {
    throw Fault(line, "the relevance must be an integer, not '" + printable(text) + "'");
  }
  return value;
}

double negated_rank(std::string_view text, int64_t line) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    throw Fault(line, "the third of three columns is a rank (1, 2, ...), not '" + printable(text) +
                          "'; columns of query, document and score need a header line that says so");
  }
  return -static_cast<double>(value);
}

// run: query iteration document rank score tag [ignored...]; qrels: query iteration document relevance.
// Three columns: query document score under a header (BEIR), query document rank without one (MS MARCO's runs).
enum class Form { kUnknown, kTrec, kScored, kRanked };

// Is this row the header of three columns? Then what they hold.
Form header(const Fields& fields, bool run) {
  if (fields.count != 3) return Form::kUnknown;
  std::string name(fields.at[2]);
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (run && name == "rank") return Form::kRanked;
  for (const char* known : {"score", "relevance", "rel", "label", "grade"}) {
    if (name == known) return Form::kScored;
  }
  return Form::kUnknown;
}

void check_columns(const Fields& fields, Form form, bool run, bool first, int64_t line) {
  const bool trec = form == Form::kTrec;
  if (trec ? (run ? fields.count == 6 : fields.count == 4) : fields.count == 3) return;
  std::string expected = !trec ? "a row of this file has 3 columns (query document " +
                                     std::string(form == Form::kRanked ? "rank" : "score") + ")"
                         : run ? "a run row has 6 columns (query Q0 document rank score tag)"
                               : "a qrels row has 4 columns (query 0 document relevance)";
  if (first && run) expected += " or 3 (query document rank)";
  std::string found = ", this one has " + (fields.more ? "more" : std::to_string(fields.count));
  if (first && !run && fields.count == 3) found += "; 3 need a header line, such as BEIR's query-id corpus-id score";
  throw Fault(line, expected + found);
}

Rows read(std::string_view text, bool run) {
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    Lines before(text.substr(0, nul + 1));
    for (std::string_view line; before.next(line);) {
    }
    throw Fault(before.number(), "a NUL byte; the file must be UTF-8 text (or UTF-16 with a byte-order mark)");
  }
  Rows rows;
  const size_t guess = text.size() / (run ? 32 : 20);
  rows.query.reserve(guess), rows.length.reserve(guess), rows.start.reserve(guess), rows.value.reserve(guess);
  std::unordered_map<std::string_view, int32_t> numbers;
  std::string_view current;
  int32_t current_number = -1;
  Form form = Form::kUnknown;
  bool tabs = false;
  Lines lines(text);
  Fields field;
  for (std::string_view line; lines.next(line);) {
    tabs ? field.split_at_tabs(line) : field.split(line);
    // Blank lines and comments are passed over, as trec_eval 10 does.
    if (field.count == 0 || (!field.at[0].empty() && field.at[0][0] == '#')) continue;
    const bool first = form == Form::kUnknown;
    if (first && (form = header(field, run)) != Form::kUnknown) {
      tabs = line.find('\t') != std::string_view::npos;
      continue;
    }
    if (first) form = run && field.count == 3 ? Form::kRanked : Form::kTrec;
    check_columns(field, form, run, first, lines.number());
    const bool trec = form == Form::kTrec;
    const std::string_view query = field.at[0], document = field.at[trec ? 2 : 1];
    if (query.empty() || document.empty()) {
      throw Fault(lines.number(), std::string("no ") + (query.empty() ? "query" : "document") + " id");
    }
    if (query != current || current_number < 0) {
      current = query;
      const auto [found, inserted] = numbers.try_emplace(current, static_cast<int32_t>(rows.names.size()));
      if (inserted) rows.names.push_back(current);
      current_number = found->second;
    }
    const std::string_view value = field.at[trec ? (run ? 4 : 3) : 2];
    rows.query.push_back(current_number);
    rows.start.push_back(document.data() - text.data());
    rows.length.push_back(static_cast<int32_t>(document.size()));
    rows.value.push_back(form == Form::kRanked ? negated_rank(value, lines.number())
                         : run                 ? score(value, lines.number())
                                               : relevance(value, lines.number()));
    if (run && trec) rows.tag = field.at[5];
  }
  return rows;
}

// Brings rows of one query together, keeping their order (a counting sort; most files are grouped already).
void group(Rows& rows, std::vector<int64_t>& offsets) {
  const size_t n = rows.query.size();
  offsets.assign(rows.names.size() + 1, 0);
  bool grouped = true;
  for (size_t i = 0; i < n; ++i) {
    ++offsets[static_cast<size_t>(rows.query[i]) + 1];
    grouped &= i == 0 || rows.query[i] >= rows.query[i - 1];
  }
  for (size_t q = 1; q < offsets.size(); ++q) offsets[q] += offsets[q - 1];
  if (grouped) return;
  std::vector<int64_t> next(offsets.begin(), offsets.end() - 1), start(n);
  std::vector<int32_t> length(n);
  std::vector<double> value(n);
  for (size_t i = 0; i < n; ++i) {
    const auto to = static_cast<size_t>(next[static_cast<size_t>(rows.query[i])]++);
    start[to] = rows.start[i], length[to] = rows.length[i], value[to] = rows.value[i];
  }
  rows.start.swap(start), rows.length.swap(length), rows.value.swap(value);
}

py::tuple parse_trec(const py::bytes& text, bool run, const py::str& name) {
  const std::string_view all(PyBytes_AS_STRING(text.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(text.ptr())));
  Rows rows;
  std::vector<int64_t> offs;
  try {
    py::gil_scoped_release release;
    rows = read(all, run);
    group(rows, offs);
  } catch (const Fault& fault) {
    PyErr_Format(PyExc_ValueError, "%U, line %lld: %s", name.ptr(), static_cast<long long>(fault.line), fault.what());
    throw py::error_already_set();
  }
  const auto text_of = [&](std::string_view v) {
    PyObject* decoded = PyUnicode_DecodeUTF8(v.data(), static_cast<Py_ssize_t>(v.size()), "surrogateescape");
    if (decoded == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::str>(decoded);
  };
  py::list names;
  for (std::string_view query : rows.names) names.append(text_of(query));
  return py::make_tuple(names, copied(offs), copied(rows.start), copied(rows.length), copied(rows.value),
                        text_of(rows.tag));
}

}  // namespace

void bind_trec(py::module_& m) {
  m.def("parse_trec", &parse_trec, py::arg("text"), py::arg("run"), py::arg("name"));
}

}  // namespace rranker
