// TREC runs and qrels: text -> columns, grouped by query, with the line number of the first malformed row.
#include <charconv>
#include <clocale>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <unordered_map>
#ifdef __APPLE__
#include <xlocale.h>
#endif

#include "arrays.hpp"

namespace rranker {
namespace {

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

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

double number(std::string_view text, int64_t line) {
  // strtod reads what trec_eval's atof reads; under the C locale, so that a program's own cannot move the point.
  static const locale_t plain = newlocale(LC_ALL_MASK, "C", nullptr);
  const std::string copy(text);
  char* end = nullptr;
  const double value = strtod_l(copy.c_str(), &end, plain);
  if (end == copy.c_str() || *end != '\0' || std::isnan(value)) {
    throw Fault(line, "the score must be a number, not '" + copy + "'");
  }
  return value;
}

// Plain decimals of up to 15 digits are exact through one division; the rest goes to strtod.
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

double relevance(std::string_view text, int64_t line) {
  std::string_view digits = text;
  if (!digits.empty() && digits[0] == '+') digits.remove_prefix(1);
  int32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    throw Fault(line, "the relevance must be an integer, not '" + std::string(text) + "'");
  }
  return static_cast<double>(value);
}

// run: query iteration document rank score tag [ignored...]; qrels: query iteration document relevance.
Rows read(std::string_view text, bool run) {
  Rows rows;
  const size_t guess = text.size() / (run ? 32 : 20);
  rows.query.reserve(guess), rows.length.reserve(guess), rows.start.reserve(guess), rows.value.reserve(guess);
  std::unordered_map<std::string_view, int32_t> numbers;
  std::string_view current;
  int32_t current_number = -1;
  int64_t line = 0;
  for (size_t at = 0; at < text.size();) {
    ++line;
    size_t end = text.find('\n', at);
    if (end == std::string_view::npos) end = text.size();
    std::string_view field[6];
    int fields = 0;
    bool more = false;
    for (size_t i = at; i < end;) {
      while (i < end && blank(text[i])) ++i;
      if (i == end) break;
      const size_t start = i;
      while (i < end && !blank(text[i])) ++i;
      if (fields < 6) {
        field[fields++] = text.substr(start, i - start);
      } else {
        more = true;
        break;
      }
    }
    at = end + 1;
    if (fields == 0 || field[0][0] == '#') continue;  // blank lines and comments, as trec_eval 10 does
    if (run ? fields < 6 : fields != 4 || more) {
      throw Fault(line, std::string(run ? "a run row has 6 columns (query Q0 document rank score tag)"
                                        : "a qrels row has 4 columns (query 0 document relevance)") +
                            ", this one has " + (more ? "more" : std::to_string(fields)));
    }
    if (field[0] != current || current_number < 0) {
      current = field[0];
      const auto [found, inserted] = numbers.try_emplace(current, static_cast<int32_t>(rows.names.size()));
      if (inserted) rows.names.push_back(current);
      current_number = found->second;
    }
    rows.query.push_back(current_number);
    rows.start.push_back(field[2].data() - text.data());
    rows.length.push_back(static_cast<int32_t>(field[2].size()));
    rows.value.push_back(run ? score(field[4], line) : relevance(field[3], line));
    if (run) rows.tag = field[5];
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

py::tuple parse_trec(const py::bytes& text, bool run, const std::string& name) {
  const std::string_view all(PyBytes_AS_STRING(text.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(text.ptr())));
  Rows rows;
  std::vector<int64_t> offs;
  try {
    py::gil_scoped_release release;
    rows = read(all, run);
    group(rows, offs);
  } catch (const Fault& fault) {
    throw py::value_error(name + ", line " + std::to_string(fault.line) + ": " + fault.what());
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
