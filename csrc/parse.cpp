// Model text -> a full permutation, every repair reported by kind.
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

Parsed parse(std::string_view raw, int64_t n, int64_t base, const std::vector<std::string_view>* candidates,
             const int64_t* fallback) {
  Parsed out;
  bool wide = false;
  const std::string text = to_ascii_width(raw, wide);
  const std::string_view answer = answer_part(text, out.notes);
  if (wide) out.notes.push_back({"full_width", -1});
  Listing listing = find_ids(answer, n, base);
  if (candidates != nullptr) {
    std::vector<RepairNote> notes;
    Listing texts = find_texts(answer, *candidates, notes);
    const bool even = texts.hits == listing.hits && !listing.bracketed;
    if (texts.hits > 0 && (texts.hits > listing.hits || even || listing.counting)) {
      listing = std::move(texts);
      out.notes.insert(out.notes.end(), notes.begin(), notes.end());
    }
  }
  // 0..n-1 in full where 1..n was asked for: the model counted from 0.
  if (base == 1 && n > 1 && listing.hits == n - 1) {
    const auto counts = [&](int64_t id) { return std::count(listing.ids.begin(), listing.ids.end(), id); };
    if (static_cast<int64_t>(listing.ids.size()) == n && counts(-1) == 1 && counts(n - 1) == 0) {
      for (int64_t& id : listing.ids) ++id;
      out.notes.push_back({"zero_based", -1});
    }
  }
  if (listing.prose) out.notes.push_back({"prose", -1});
  repair(listing.ids, n, base, fallback, out);
  if (out.listed == 0 && n > 0) out.notes.push_back({"unparsed", -1});
  return out;
}

std::string_view bytes_view(const py::handle& object) {
  char* data = nullptr;
  py::ssize_t size = 0;
  if (PyBytes_AsStringAndSize(object.ptr(), &data, &size) != 0) throw py::error_already_set();
  return {data, static_cast<size_t>(size)};
}

py::tuple parse_bytes(const py::bytes& text, int64_t n, int64_t base, const py::object& candidates,
                      const py::object& fallback) {
  if (n < 0) throw py::value_error("n must be 0 or more");
  std::vector<std::string_view> texts;
  const bool with_texts = !candidates.is_none();
  py::list held;  // keeps the bytes alive while the GIL is released
  if (with_texts) {
    for (py::handle item : candidates) {
      held.append(item);
      texts.push_back(bytes_view(item));
    }
    if (static_cast<int64_t>(texts.size()) != n) {
      throw py::value_error("candidates must hold n = " + std::to_string(n) + " texts, not " +
                            std::to_string(texts.size()));
    }
  }
  Array<int64_t> order;
  const int64_t* fall = nullptr;
  if (!fallback.is_none()) {
    order = fallback.cast<Array<int64_t>>();
    const auto v = view(order, "fallback");
    std::vector<char> seen(static_cast<size_t>(n), 0);
    bool good = v.size == n;
    for (int64_t i = 0; good && i < n; ++i) {
      good = v[i] >= 0 && v[i] < n && !seen[static_cast<size_t>(v[i])];
      if (good) seen[static_cast<size_t>(v[i])] = 1;
    }
    if (!good) throw py::value_error("fallback must be a permutation of 0..n-1");
    fall = v.data;
  }
  const std::string_view raw = bytes_view(text);
  Parsed parsed;
  {
    py::gil_scoped_release release;
    parsed = parse(raw, n, base, with_texts ? &texts : nullptr, fall);
  }
  py::list notes;
  for (const RepairNote& note : parsed.notes) notes.append(py::make_tuple(note.kind, note.value));
  return py::make_tuple(copied(parsed.order), parsed.listed, notes);
}

}  // namespace

void bind_parse(py::module_& m) {
  m.def("parse_permutation", &parse_bytes, py::arg("text"), py::arg("n"), py::arg("base"), py::arg("candidates"),
        py::arg("fallback"));
}

}  // namespace rranker
