// Model text -> a full permutation or one choice, every repair reported by kind.
#include "parse.hpp"

#include <algorithm>

#include "arrays.hpp"

namespace rranker {
namespace {

struct Parsed {
  std::vector<int64_t> order;
  int64_t listed = 0;
  std::vector<RepairNote> notes;
};

// Drops what is out of range or repeated, appends what is missing in the order of `fallback`.
void repair(const std::vector<int64_t>& ids, int64_t n, int64_t base, const int64_t* fallback, Parsed& out) {
  std::vector<char> seen(static_cast<size_t>(n), 0);
  for (int64_t id : ids) {
    if (id < 0 || id >= n) {
      out.notes.push_back({"out_of_range", id + base});
    } else if (seen[static_cast<size_t>(id)]) {
      out.notes.push_back({"repeated", id});
    } else {
      seen[static_cast<size_t>(id)] = 1;
      out.order.push_back(id);
    }
  }
  out.listed = static_cast<int64_t>(out.order.size());
  for (int64_t i = 0; i < n; ++i) {
    const int64_t id = fallback == nullptr ? i : fallback[i];
    if (seen[static_cast<size_t>(id)]) continue;
    out.order.push_back(id);
    if (out.listed > 0) out.notes.push_back({"missing", id});
  }
}

// A list of the answer by ids or, with `texts`, by the candidates' own texts: whichever names more.
Listing find_list(std::string_view answer, int64_t n, int64_t base, const Texts* texts, std::vector<RepairNote>& notes) {
  Listing listing = find_ids(answer, n, base);
  if (texts == nullptr) return listing;
  std::vector<RepairNote> found;
  Listing by_text = find_texts(answer, *texts, found);
  const bool even = by_text.hits == listing.hits && !listing.bracketed;
  if (by_text.hits == 0 || !(by_text.hits > listing.hits || even || listing.counting)) return listing;
  notes.insert(notes.end(), found.begin(), found.end());
  return by_text;
}

Parsed parse(std::string_view raw, int64_t n, int64_t base, const Texts* texts, const int64_t* fallback) {
  Parsed out;
  const std::string text = to_plain(raw, out.notes);
  const std::string_view answer = answer_part(text, out.notes);
  const JsonReading json = read_json(answer, n, base);
  Listing listing;
  if (!json.list.empty()) {
    listing = find_list(json.list, n, base, texts, out.notes);
    listing.prose = has_prose(answer.substr(0, json.place));
  }
  if (listing.hits == 0) listing = find_list(answer, n, base, texts, out.notes);
  // 0..n-1 in full where 1..n was asked for: the model counted from 0.
  if (base == 1 && n > 1 && listing.hits == n - 1) {
    const auto counts = [&](int64_t id) { return std::count(listing.ids.begin(), listing.ids.end(), id); };
    if (static_cast<int64_t>(listing.ids.size()) == n && counts(-1) == 1 && counts(n - 1) == 0) {
      for (int64_t& id : listing.ids) ++id;
      out.notes.push_back({"zero_based", -1});
    }
  }
  if (listing.reversed) out.notes.push_back({"reversed", -1});
  if (listing.prose) out.notes.push_back({"prose", -1});
  repair(listing.ids, n, base, fallback, out);
  if (out.listed == 0 && n > 0) out.notes.push_back({"unparsed", -1});
  return out;
}

// The choice of one text, by ids or by the candidates' own texts. Named ids go first, unless a text is the whole
// answer: `Movie 43` may be a title.
Choice choose(std::string_view answer, int64_t n, int64_t base, const Texts* texts, std::vector<RepairNote>& notes) {
  Choice choice = find_choice(answer, n, base);
  if (texts == nullptr || choice.bracketed) return choice;
  std::vector<RepairNote> found;
  const Listing by_text = find_texts(answer, *texts, found);
  if (by_text.hits == 0) return choice;
  const bool whole = found.empty() && by_text.hits == 1 && answer.find('\n') == std::string_view::npos;
  const bool known = choice.id >= 0 && choice.id < n;
  if (known && choice.strength >= kNamedChoice && !whole) return choice;
  for (const RepairNote& note : found) {
    if (note.value == by_text.ids[0]) notes.push_back(note);
  }
  return {by_text.ids[0], kNamedChoice, false, false};
}

Choice choose_any(std::string_view answer, int64_t n, int64_t base, const Texts* texts,
                  std::vector<RepairNote>& notes) {
  const JsonReading json = read_json(answer, n, base);
  for (const std::string& lines : json.choices) {
    Choice choice = choose(lines, n, base, texts, notes);
    if (choice.strength == kNone) continue;
    choice.prose = has_prose(answer.substr(0, json.place));
    return choice;
  }
  return choose(answer, n, base, texts, notes);
}

std::string_view bytes_view(const py::handle& object) {
  char* data = nullptr;
  py::ssize_t size = 0;
  if (PyBytes_AsStringAndSize(object.ptr(), &data, &size) != 0) throw py::error_already_set();
  return {data, static_cast<size_t>(size)};
}

void check_counts(int64_t n, int64_t base) {
  constexpr int64_t limit = 1'000'000'000;
  if (n < 0) throw py::value_error("n must be 0 or more");
  if (base < -limit || base > limit) throw py::value_error("base must lie between -10^9 and 10^9");
}

// The candidates' bytes; `held` keeps them alive while the GIL is released.
Texts texts_of(const py::object& candidates, int64_t n, py::list& held) {
  Texts texts;
  for (py::handle item : candidates) {
    held.append(item);
    texts.push_back(bytes_view(item));
  }
  if (static_cast<int64_t>(texts.size()) != n) {
    throw py::value_error("candidates must hold n = " + std::to_string(n) + " texts, not " +
                          std::to_string(texts.size()));
  }
  return texts;
}

// A copy: another thread may write into the caller's array while the GIL is released.
std::vector<int64_t> permutation_of(const py::object& fallback, int64_t n) {
  const auto array = fallback.cast<Array<int64_t>>();
  const auto v = view(array, "fallback");
  std::vector<int64_t> order(v.data, v.data + v.size);
  std::vector<char> seen(static_cast<size_t>(n), 0);
  bool good = v.size == n;
  for (size_t i = 0; good && i < order.size(); ++i) {
    good = order[i] >= 0 && order[i] < n && !seen[static_cast<size_t>(order[i])];
    if (good) seen[static_cast<size_t>(order[i])] = 1;
  }
  if (!good) throw py::value_error("fallback must be a permutation of 0..n-1");
  return order;
}

py::list as_list(const std::vector<RepairNote>& notes) {
  py::list out;
  for (const RepairNote& note : notes) out.append(py::make_tuple(note.kind, note.value));
  return out;
}

py::tuple parse_bytes(const py::bytes& text, int64_t n, int64_t base, const py::object& candidates,
                      const py::object& fallback) {
  check_counts(n, base);
  py::list held;
  Texts texts;
  const bool with_texts = !candidates.is_none();
  if (with_texts) texts = texts_of(candidates, n, held);
  std::vector<int64_t> order;
  const bool falls = !fallback.is_none();
  if (falls) order = permutation_of(fallback, n);
  const std::string_view raw = bytes_view(text);
  Parsed parsed;
  {
    py::gil_scoped_release release;
    parsed = parse(raw, n, base, with_texts ? &texts : nullptr, falls ? order.data() : nullptr);
  }
  return py::make_tuple(copied(parsed.order), parsed.listed, as_list(parsed.notes));
}

py::tuple choice_bytes(const py::bytes& text, int64_t n, int64_t base, const py::object& candidates) {
  check_counts(n, base);
  py::list held;
  Texts texts;
  const bool with_texts = !candidates.is_none();
  if (with_texts) texts = texts_of(candidates, n, held);
  const std::string_view raw = bytes_view(text);
  std::vector<RepairNote> notes;
  int64_t id = -1;
  {
    py::gil_scoped_release release;
    const std::string plain = to_plain(raw, notes);
    const std::string_view answer = answer_part(plain, notes);
    const Choice choice = choose_any(answer, n, base, with_texts ? &texts : nullptr, notes);
    const bool named = choice.strength > kNone;
    const bool known = named && choice.id >= 0 && choice.id < n;
    if (known && choice.prose) notes.push_back({"prose", -1});
    if (named && !known) notes.push_back({"out_of_range", choice.id + base});
    if (!known) notes.push_back({"unparsed", -1});
    if (known) id = choice.id;
  }
  return py::make_tuple(id, as_list(notes));
}

}  // namespace

void bind_parse(py::module_& m) {
  m.def("parse_permutation", &parse_bytes, py::arg("text"), py::arg("n"), py::arg("base"), py::arg("candidates"),
        py::arg("fallback"));
  m.def("parse_choice", &choice_bytes, py::arg("text"), py::arg("n"), py::arg("base"), py::arg("candidates"));
}

}  // namespace rranker
