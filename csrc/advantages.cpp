// Discounted returns, and advantages relative to a group of rollouts: one number a decision (episodes x steps).
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "arrays.hpp"

namespace rranker {
namespace {

using F64 = Array<double>;
using I64 = Array<int64_t>;

// One NaN would spread over a whole group.
std::vector<double> finite(const F64& array, const char* name) {
  std::vector<double> values = owned(array, name);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      throw py::value_error(std::string(name) + "[" + std::to_string(i) + "] is " +
                            (std::isnan(values[i]) ? "NaN" : "infinite") + "; give finite numbers");
    }
  }
  return values;
}

py::array_t<double> returns(const F64& rewards, const I64& offs, double gamma) {
  const auto r = finite(rewards, "rewards");
  const Offsets o = offsets(offs, static_cast<int64_t>(r.size()), "offsets");
  auto out = fresh<double>(static_cast<int64_t>(r.size()));
  double* result = out.mutable_data();
  py::gil_scoped_release release;
  for (int64_t e = 0; e < o.rows; ++e) {
    double ahead = 0.0;
    for (int64_t i = o.end(e) - 1; i >= o.begin(e); --i) result[i] = ahead = r[static_cast<size_t>(i)] + gamma * ahead;
  }
  return out;
}

struct Moments {
  double mean = 0.0, std = 0.0;
};

// Mean and population standard deviation, two passes for accuracy.
Moments moments(const std::vector<double>& values) {
  Moments m;
  if (values.empty()) return m;
  for (double v : values) m.mean += v;
  m.mean /= static_cast<double>(values.size());
  for (double v : values) m.std += (v - m.mean) * (v - m.mean);
  m.std = std::sqrt(m.std / static_cast<double>(values.size()));
  return m;
}

// `group_offsets` cuts the episodes into groups of rollouts of the same query. by_step: a decision is compared with
// the group's decisions at the same step; otherwise with all of the group's decisions' values at once. scale: divide
// by the group's deviation + epsilon. Steps an episode did not take stay 0.
py::array_t<double> group_advantages(const F64& values, const I64& offs, const I64& group_offsets, bool by_step,
                                     bool scale, double epsilon) {
  const auto v = finite(values, "values");
  const Offsets o = offsets(offs, static_cast<int64_t>(v.size()), "offsets");
  const Offsets g = offsets(group_offsets, o.rows, "group offsets");
  int64_t steps = 0;
  for (int64_t e = 0; e < o.rows; ++e) steps = std::max(steps, o.length(e));
  py::array_t<double> out({static_cast<py::ssize_t>(o.rows), static_cast<py::ssize_t>(steps)});
  double* result = out.mutable_data();
  py::gil_scoped_release release;
  std::fill_n(result, o.rows * steps, 0.0);
  std::vector<double> pool;
  const auto value = [&](int64_t e, int64_t t) { return v[static_cast<size_t>(o.begin(e) + t)]; };
  const auto apply = [&](int64_t e, int64_t t, const Moments& m) {
    const double centred = value(e, t) - m.mean;
    result[e * steps + t] = scale ? centred / (m.std + epsilon) : centred;
  };
  for (int64_t group = 0; group < g.rows; ++group) {
    const int64_t first = g.begin(group), last = g.end(group);
    if (!by_step) {
      pool.clear();
      for (int64_t e = first; e < last; ++e) pool.insert(pool.end(), v.begin() + o.begin(e), v.begin() + o.end(e));
      const Moments m = moments(pool);
      for (int64_t e = first; e < last; ++e) {
        for (int64_t t = 0; t < o.length(e); ++t) apply(e, t, m);
      }
      continue;
    }
    for (int64_t t = 0; t < steps; ++t) {
      pool.clear();
      for (int64_t e = first; e < last; ++e) {
        if (t < o.length(e)) pool.push_back(value(e, t));
      }
      const Moments m = moments(pool);
      for (int64_t e = first; e < last; ++e) {
        if (t < o.length(e)) apply(e, t, m);
      }
    }
  }
  return out;
}

}  // namespace

void bind_advantages(py::module_& m) {
  m.def("returns", &returns, py::arg("rewards"), py::arg("offsets"), py::arg("gamma"));
  m.def("group_advantages", &group_advantages, py::arg("values"), py::arg("offsets"), py::arg("group_offsets"),
        py::arg("by_step"), py::arg("scale"), py::arg("epsilon"));
}

}  // namespace rranker
