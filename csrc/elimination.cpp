// Bookkeeping of many elimination episodes at once: alive sets, final orders, accepted rounds, common prefixes.
#include <algorithm>

#include "arrays.hpp"

namespace rranker {
namespace {

using I64 = Array<int64_t>;

// Marks an episode's exclusions; a candidate that goes twice or was never there is an error.
void exclude(std::vector<char>& gone, int64_t id, int64_t n, int64_t episode) {
  if (id < 0 || id >= n || gone[static_cast<size_t>(id)]) {
    throw py::value_error("episode " + std::to_string(episode) + " excludes candidate " + std::to_string(id) +
                          (id < 0 || id >= n ? ", which is not one of its " + std::to_string(n) : " twice"));
  }
  gone[static_cast<size_t>(id)] = 1;
}

// The alive set before each exclusion and after the last: len(exclusions) + 1 sets an episode.
py::tuple alive_sets(const I64& sizes, const I64& exclusions, const I64& offs) {
  const auto n = view(sizes, "sizes"), ex = view(exclusions, "exclusions");
  const Offsets o = offsets(offs, ex.size, "offsets");
  if (n.size != o.rows) throw py::value_error("one size an episode is needed");
  std::vector<int64_t> alive, ends{0};
  {
    py::gil_scoped_release release;
    std::vector<char> gone;
    for (int64_t e = 0; e < o.rows; ++e) {
      gone.assign(static_cast<size_t>(std::max<int64_t>(n[e], 0)), 0);
      for (int64_t r = 0; r <= o.length(e); ++r) {
        for (int64_t i = 0; i < n[e]; ++i) {
          if (!gone[static_cast<size_t>(i)]) alive.push_back(i);
        }
        ends.push_back(static_cast<int64_t>(alive.size()));
        if (r < o.length(e)) exclude(gone, ex[o.begin(e) + r], n[e], e);
      }
    }
  }
  return py::make_tuple(copied(alive), copied(ends));
}

// Best first: survivors in input order, then the excluded, last out first.
py::array_t<int64_t> elimination_order(const I64& sizes, const I64& exclusions, const I64& offs) {
  const auto n = view(sizes, "sizes"), ex = view(exclusions, "exclusions");
  const Offsets o = offsets(offs, ex.size, "offsets");
  if (n.size != o.rows) throw py::value_error("one size an episode is needed");
  std::vector<int64_t> order;
  {
    py::gil_scoped_release release;
    std::vector<char> gone;
    for (int64_t e = 0; e < o.rows; ++e) {
      gone.assign(static_cast<size_t>(std::max<int64_t>(n[e], 0)), 0);
      for (int64_t i = o.begin(e); i < o.end(e); ++i) exclude(gone, ex[i], n[e], e);
      for (int64_t i = 0; i < n[e]; ++i) {
        if (!gone[static_cast<size_t>(i)]) order.push_back(i);
      }
      for (int64_t i = o.end(e) - 1; i >= o.begin(e); --i) order.push_back(ex[i]);
    }
  }
  return copied(order);
}

// Copy r of an episode was scored with guess[0..r) gone. Its verdict holds while every earlier one met its guess,
// so rounds are accepted up to and including the first verdict that differs.
py::array_t<int64_t> accepted_rounds(const I64& guess, const I64& verdict, const I64& guess_offsets,
                                     const I64& verdict_offsets) {
  const auto g = view(guess, "guess"), v = view(verdict, "verdict");
  const Offsets go = offsets(guess_offsets, g.size, "guess offsets");
  const Offsets vo = offsets(verdict_offsets, v.size, "verdict offsets");
  same_rows(go, vo, "verdict offsets");
  auto out = fresh<int64_t>(go.rows);
  int64_t* result = out.mutable_data();
  py::gil_scoped_release release;
  for (int64_t e = 0; e < go.rows; ++e) {
    const int64_t copies = vo.length(e);
    if (go.length(e) + 1 < copies) {
      throw py::value_error("episode " + std::to_string(e) + " has more verdicts than its guess allows");
    }
    int64_t r = 0;
    while (r < copies && (r == 0 || g[go.begin(e) + r - 1] == v[vo.begin(e) + r - 1])) ++r;
    result[e] = r;
  }
  return out;
}

py::array_t<int64_t> common_prefix(const I64& a, const I64& b, const I64& a_offsets, const I64& b_offsets) {
  const auto x = view(a, "a"), y = view(b, "b");
  const Offsets ao = offsets(a_offsets, x.size, "a's offsets"), bo = offsets(b_offsets, y.size, "b's offsets");
  same_rows(ao, bo, "b's offsets");
  auto out = fresh<int64_t>(ao.rows);
  int64_t* result = out.mutable_data();
  py::gil_scoped_release release;
  for (int64_t r = 0; r < ao.rows; ++r) {
    const int64_t n = std::min(ao.length(r), bo.length(r));
    int64_t i = 0;
    while (i < n && x[ao.begin(r) + i] == y[bo.begin(r) + i]) ++i;
    result[r] = i;
  }
  return out;
}

}  // namespace

void bind_elimination(py::module_& m) {
  m.def("alive_sets", &alive_sets, py::arg("sizes"), py::arg("exclusions"), py::arg("offsets"));
  m.def("elimination_order", &elimination_order, py::arg("sizes"), py::arg("exclusions"), py::arg("offsets"));
  m.def("accepted_rounds", &accepted_rounds, py::arg("guess"), py::arg("verdict"), py::arg("guess_offsets"),
        py::arg("verdict_offsets"));
  m.def("common_prefix", &common_prefix, py::arg("a"), py::arg("b"), py::arg("a_offsets"), py::arg("b_offsets"));
}

}  // namespace rranker
