// Paired tests over per-query differences: bootstrap of the mean, and sign-flip randomisation.
#include <cmath>

#include "arrays.hpp"
#include "random.hpp"

namespace rranker {
namespace {

py::array_t<double> bootstrap_means(const Array<double>& differences, int64_t rounds, uint64_t seed) {
  const auto d = view(differences, "differences");
  if (d.size == 0 || rounds < 1) throw py::value_error("a bootstrap needs at least one query and one round");
  auto out = fresh<double>(rounds);
  double* result = out.mutable_data();
  py::gil_scoped_release release;
  Random random(seed);
  for (int64_t r = 0; r < rounds; ++r) {
    double sum = 0.0;
    for (int64_t i = 0; i < d.size; ++i) sum += d[random.below(static_cast<uint32_t>(d.size))];
    result[r] = sum / static_cast<double>(d.size);
  }
  return out;
}

// How many of `rounds` random sign flips give a mean at least as far from zero as the observed one.
int64_t randomisation_extremes(const Array<double>& differences, int64_t rounds, uint64_t seed) {
  const auto d = view(differences, "differences");
  if (d.size == 0 || rounds < 1) throw py::value_error("a randomisation test needs at least one query and one round");
  py::gil_scoped_release release;
  double observed = 0.0, size = 0.0;
  for (int64_t i = 0; i < d.size; ++i) observed += d[i], size += std::fabs(d[i]);
  const double bound = std::fabs(observed) - 1e-12 * size;  // equal sums in another order still count
  Random random(seed);
  int64_t extremes = 0;
  for (int64_t r = 0; r < rounds; ++r) {
    double sum = 0.0;
    uint64_t bits = 0;
    for (int64_t i = 0; i < d.size; ++i) {
      if (i % 64 == 0) bits = random.next();
      sum += (bits & 1) ? d[i] : -d[i];
      bits >>= 1;
    }
    extremes += std::fabs(sum) >= bound;
  }
  return extremes;
}

}  // namespace

void bind_significance(py::module_& m) {
  m.def("bootstrap_means", &bootstrap_means, py::arg("differences"), py::arg("rounds"), py::arg("seed"));
  m.def("randomisation_extremes", &randomisation_extremes, py::arg("differences"), py::arg("rounds"),
        py::arg("seed"));
}

}  // namespace rranker
