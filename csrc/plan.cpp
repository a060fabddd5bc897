// CSR arrays of a step: which KV segments each chunk of query rows sees, and the dense mask of the CPU path.
#include <algorithm>

#include "arrays.hpp"

namespace rranker {
namespace {

using I64 = Array<int64_t>;

// Nested suffix copies. Copy r of an episode sees its prefix segments, its candidates (in walking order) less the
// first r exclusions, and its own segment. `exclusions` holds places in the episode's candidate list.
py::tuple nested_visible(const I64& prefixes, const I64& prefix_offsets, const I64& candidates,
                         const I64& candidate_offsets, const I64& exclusions, const I64& exclusion_offsets,
                         const I64& own, const I64& own_offsets) {
  const auto p = view(prefixes, "prefixes"), c = view(candidates, "candidates");
  const auto x = view(exclusions, "exclusions"), s = view(own, "own");
  const Offsets po = offsets(prefix_offsets, p.size, "prefix offsets");
  const Offsets co = offsets(candidate_offsets, c.size, "candidate offsets");
  const Offsets xo = offsets(exclusion_offsets, x.size, "exclusion offsets");
  const Offsets so = offsets(own_offsets, s.size, "own offsets");
  same_rows(po, co, "candidate offsets");
  same_rows(po, xo, "exclusion offsets");
  same_rows(po, so, "own offsets");
  int64_t total = 0;
  for (int64_t e = 0; e < po.rows; ++e) {
    const int64_t copies = so.length(e);
    if (copies > xo.length(e) + 1 || copies > co.length(e) + 1) {
      throw py::value_error("episode " + std::to_string(e) + " has " + std::to_string(copies) +
                            " copies, more than its exclusions allow");
    }
    total += copies * (po.length(e) + co.length(e) + 1) - copies * (copies - 1) / 2;
  }
  auto visible_offsets = fresh<int64_t>(s.size + 1);
  auto visible = fresh<int64_t>(total);
  int64_t *ends = visible_offsets.mutable_data(), *out = visible.mutable_data();
  int64_t at = 0, chunk = 0;
  {
    py::gil_scoped_release release;
    ends[0] = 0;
    std::vector<int64_t> alive;    // segment ids, shrinking
    std::vector<int64_t> place;    // place in the list -> segment id, -1 once gone
    for (int64_t e = 0; e < po.rows; ++e) {
      alive.assign(c.data + co.begin(e), c.data + co.end(e));
      place.resize(alive.size());
      for (size_t i = 0; i < place.size(); ++i) place[i] = static_cast<int64_t>(i);
      std::vector<int64_t> standing(place);  // places still alive, in walking order
      for (int64_t r = 0; r < so.length(e); ++r) {
        if (r > 0) {
          const int64_t gone = x[xo.begin(e) + r - 1];
          const auto found = std::lower_bound(standing.begin(), standing.end(), gone);
          if (found == standing.end() || *found != gone) {
            throw py::value_error("episode " + std::to_string(e) + " excludes place " + std::to_string(gone) +
                                  ", which is not alive");
          }
          alive.erase(alive.begin() + (found - standing.begin()));
          standing.erase(found);
        }
        std::copy(p.data + po.begin(e), p.data + po.end(e), out + at);
        at += po.length(e);
        std::copy(alive.begin(), alive.end(), out + at);
        at += static_cast<int64_t>(alive.size());
        const int64_t self = s[so.begin(e) + r];
        if (self >= 0) out[at++] = self;
        ends[++chunk] = at;
      }
    }
  }
  if (at < total) return py::make_tuple(visible_offsets, visible[py::slice(0, at, 1)].attr("copy")());
  return py::make_tuple(visible_offsets, visible);
}

void check_segments(const View<int64_t>& ids, int64_t limit, const char* name) {
  for (int64_t i = 0; i < ids.size; ++i) {
    if (ids[i] < 0 || ids[i] >= limit) {
      throw py::value_error(std::string(name) + " names segment " + std::to_string(ids[i]) + " of " +
                            std::to_string(limit));
    }
  }
}

// Every visible segment once, in order of first appearance: their ids, key offsets and KV-store slots.
py::tuple union_layout(const I64& visible, const I64& starts, const I64& lengths) {
  const auto v = view(visible, "visible"), st = view(starts, "starts"), ln = view(lengths, "lengths");
  if (st.size != ln.size) throw py::value_error("one length a segment is needed");
  check_segments(v, st.size, "visible");
  std::vector<int64_t> segments, ends{0}, slots;
  {
    py::gil_scoped_release release;
    std::vector<char> seen(static_cast<size_t>(st.size), 0);
    for (int64_t i = 0; i < v.size; ++i) {
      if (seen[static_cast<size_t>(v[i])]) continue;
      seen[static_cast<size_t>(v[i])] = 1;
      segments.push_back(v[i]);
      for (int64_t k = 0; k < ln[v[i]]; ++k) slots.push_back(st[v[i]] + k);
      ends.push_back(static_cast<int64_t>(slots.size()));
    }
  }
  return py::make_tuple(copied(segments), copied(ends), copied(slots));
}

// Dense (rows x keys) booleans. Rows of chunk c see the keys of its visible segments; of its own segment (own[c],
// -1 for none), whose last keys are the chunk's rows themselves, a row sees the keys up to its own, as causal rows do.
py::array_t<bool> visibility_mask(const I64& visible_offsets, const I64& visible, const I64& row_offsets,
                                  const I64& key_segments, const I64& key_offsets, const I64& own,
                                  int64_t segments) {
  const auto v = view(visible, "visible"), ks = view(key_segments, "key segments"), self = view(own, "own");
  const Offsets vo = offsets(visible_offsets, v.size, "visible offsets");
  const auto ro = view(row_offsets, "row offsets"), ko = view(key_offsets, "key offsets");
  const Offsets rows = offsets(row_offsets, ro.size > 0 ? ro[ro.size - 1] : 0, "row offsets");
  const Offsets keys = offsets(key_offsets, ko.size > 0 ? ko[ko.size - 1] : 0, "key offsets");
  same_rows(vo, rows, "row offsets");
  if (keys.rows != ks.size) throw py::value_error("one key segment a key offset is needed");
  if (self.size != vo.rows) throw py::value_error("one own segment a chunk is needed (-1 for none)");
  check_segments(v, segments, "visible");
  check_segments(ks, segments, "key segments");
  py::array_t<bool> out({static_cast<py::ssize_t>(rows.total()), static_cast<py::ssize_t>(keys.total())});
  bool* mask = out.mutable_data();
  const int64_t width = keys.total();
  py::gil_scoped_release release;
  std::memset(mask, 0, static_cast<size_t>(rows.total() * width));
  std::vector<int64_t> place(static_cast<size_t>(segments), -1);
  for (int64_t k = 0; k < ks.size; ++k) place[static_cast<size_t>(ks[k])] = k;
  for (int64_t c = 0; c < vo.rows; ++c) {
    if (rows.length(c) == 0) continue;
    bool* first = mask + rows.begin(c) * width;
    int64_t own_place = -1;
    for (int64_t i = vo.begin(c); i < vo.end(c); ++i) {
      const int64_t k = place[static_cast<size_t>(v[i])];
      if (k < 0) {
        throw py::value_error("chunk " + std::to_string(c) + " sees segment " + std::to_string(v[i]) +
                              ", which has no keys in the layout");
      }
      if (v[i] == self[c]) {
        own_place = k;
      } else {
        std::memset(first + keys.begin(k), 1, static_cast<size_t>(keys.length(k)));
      }
    }
    for (int64_t t = 1; t < rows.length(c); ++t) std::memcpy(first + t * width, first, static_cast<size_t>(width));
    for (int64_t t = 0; own_place >= 0 && t < rows.length(c); ++t) {
      const int64_t seen = std::max<int64_t>(keys.length(own_place) - rows.length(c) + t + 1, 0);
      std::memset(first + t * width + keys.begin(own_place), 1, static_cast<size_t>(seen));
    }
  }
  return out;
}

}  // namespace

void bind_plan(py::module_& m) {
  m.def("nested_visible", &nested_visible, py::arg("prefixes"), py::arg("prefix_offsets"), py::arg("candidates"),
        py::arg("candidate_offsets"), py::arg("exclusions"), py::arg("exclusion_offsets"), py::arg("own"),
        py::arg("own_offsets"));
  m.def("union_layout", &union_layout, py::arg("visible"), py::arg("starts"), py::arg("lengths"));
  m.def("visibility_mask", &visibility_mask, py::arg("visible_offsets"), py::arg("visible"), py::arg("row_offsets"),
        py::arg("key_segments"), py::arg("key_offsets"), py::arg("own"), py::arg("segments"));
}

}  // namespace rranker
