// Permutation maths over ragged batches: invert, compose, inversions, Kendall tau, Spearman, RBO.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "arrays.hpp"

namespace rranker {
namespace {

using Ints = Array<int64_t>;

void check_permutation(const int64_t* p, int64_t n, std::vector<char>& seen) {
  seen.assign(static_cast<size_t>(n), 0);
  for (int64_t i = 0; i < n; ++i) {
    if (p[i] < 0 || p[i] >= n || seen[static_cast<size_t>(p[i])]) {
      throw py::value_error("not a permutation of 0.." + std::to_string(n - 1) + ": value " +
                            std::to_string(p[i]) + " at place " + std::to_string(i) +
                            (p[i] < 0 || p[i] >= n ? " is out of range" : " appears twice"));
    }
    seen[static_cast<size_t>(p[i])] = 1;
  }
}

void check_all(const std::vector<int64_t>& p, const Offsets& o) {
  std::vector<char> seen;
  for (int64_t r = 0; r < o.rows; ++r) check_permutation(p.data() + o.begin(r), o.length(r), seen);
}

// Merge sort that counts the pairs it swaps: O(n log n).
int64_t merge_count(int64_t* a, int64_t* scratch, int64_t n) {
  int64_t count = 0;
  for (int64_t width = 1; width < n; width *= 2) {
    for (int64_t lo = 0; lo < n; lo += 2 * width) {
      const int64_t mid = std::min(lo + width, n), hi = std::min(lo + 2 * width, n);
      int64_t i = lo, j = mid, k = lo;
      while (i < mid && j < hi) {
        if (a[i] <= a[j]) {
          scratch[k++] = a[i++];
        } else {
          count += mid - i;
          scratch[k++] = a[j++];
        }
      }
      while (i < mid) scratch[k++] = a[i++];
      while (j < hi) scratch[k++] = a[j++];
    }
    std::swap_ranges(a, a + n, scratch);
  }
  return count;
}

// Discordant pairs of two orders: inversions of (place of each item of `a` in `b`).
int64_t discordant(const int64_t* a, const int64_t* b, int64_t n, std::vector<int64_t>& work) {
  work.resize(static_cast<size_t>(3 * n));
  int64_t* place = work.data();
  int64_t* mapped = place + n;
  for (int64_t i = 0; i < n; ++i) place[b[i]] = i;
  for (int64_t i = 0; i < n; ++i) mapped[i] = place[a[i]];
  return merge_count(mapped, mapped + n, n);
}

double spearman_row(const int64_t* a, const int64_t* b, int64_t n, std::vector<int64_t>& work) {
  if (n < 2) return 1.0;
  work.resize(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) work[static_cast<size_t>(b[i])] = i;
  double sum = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(i - work[static_cast<size_t>(a[i])]);
    sum += d * d;
  }
  const double m = static_cast<double>(n);
  return 1.0 - 6.0 * sum / (m * (m * m - 1.0));
}

double rbo_row(const int64_t* a, const int64_t* b, int64_t n, double p, std::vector<int64_t>& work) {
  if (n == 0) return 1.0;
  work.assign(static_cast<size_t>(n), 0);
  int64_t overlap = 0;
  double weight = 1.0 - p, sum = 0.0, agreement = 0.0;
  for (int64_t d = 0; d < n; ++d) {
    overlap += ++work[static_cast<size_t>(a[d])] == 2;
    overlap += ++work[static_cast<size_t>(b[d])] == 2;
    agreement = static_cast<double>(overlap) / static_cast<double>(d + 1);
    sum += weight * agreement;
    weight *= p;
  }
  return sum + agreement * std::pow(p, static_cast<double>(n));
}

template <typename Row>
py::array_t<double> compare(const Ints& a, const Ints& b, const Ints& offs, Row row) {
  const auto x = owned(a, "a"), y = owned(b, "b");
  if (x.size() != y.size()) throw py::value_error("the two orders must have the same length");
  const Offsets o = offsets(offs, static_cast<int64_t>(x.size()), "offsets");
  auto out = fresh<double>(o.rows);
  double* result = out.mutable_data();
  {
    py::gil_scoped_release release;
    check_all(x, o);
    check_all(y, o);
    std::vector<int64_t> work;
    for (int64_t r = 0; r < o.rows; ++r) {
      result[r] = row(x.data() + o.begin(r), y.data() + o.begin(r), o.length(r), work);
    }
  }
  return out;
}

py::array_t<int64_t> invert(const Ints& order, const Ints& offs) {
  const auto p = owned(order, "order");
  const Offsets o = offsets(offs, static_cast<int64_t>(p.size()), "offsets");
  auto out = fresh<int64_t>(static_cast<int64_t>(p.size()));
  int64_t* result = out.mutable_data();
  py::gil_scoped_release release;
  check_all(p, o);
  for (int64_t r = 0; r < o.rows; ++r) {
    const int64_t* row = p.data() + o.begin(r);
    for (int64_t i = 0; i < o.length(r); ++i) result[o.begin(r) + row[i]] = i;
  }
  return out;
}

py::array_t<int64_t> compose(const Ints& first, const Ints& second, const Ints& offs) {
  const auto p = owned(first, "first"), q = owned(second, "second");
  if (p.size() != q.size()) throw py::value_error("the two permutations must have the same length");
  const Offsets o = offsets(offs, static_cast<int64_t>(p.size()), "offsets");
  auto out = fresh<int64_t>(static_cast<int64_t>(p.size()));
  int64_t* result = out.mutable_data();
  py::gil_scoped_release release;
  check_all(p, o);
  check_all(q, o);
  for (int64_t r = 0; r < o.rows; ++r) {
    const int64_t at = o.begin(r);
    const int64_t *then = p.data() + at, *row = q.data() + at;
    for (int64_t i = 0; i < o.length(r); ++i) result[at + i] = then[row[i]];
  }
  return out;
}

py::array_t<int64_t> inversions(const Ints& order, const Ints& offs) {
  const auto p = owned(order, "order");
  const Offsets o = offsets(offs, static_cast<int64_t>(p.size()), "offsets");
  auto out = fresh<int64_t>(o.rows);
  int64_t* result = out.mutable_data();
  py::gil_scoped_release release;
  check_all(p, o);
  std::vector<int64_t> work;
  for (int64_t r = 0; r < o.rows; ++r) {
    const int64_t n = o.length(r);
    work.assign(p.begin() + o.begin(r), p.begin() + o.end(r));
    work.resize(static_cast<size_t>(2 * n));
    result[r] = merge_count(work.data(), work.data() + n, n);
  }
  return out;
}

}  // namespace

void bind_permutation(py::module_& m) {
  m.def("invert", &invert, py::arg("order"), py::arg("offsets"));
  m.def("compose", &compose, py::arg("first"), py::arg("second"), py::arg("offsets"));
  m.def("inversions", &inversions, py::arg("order"), py::arg("offsets"));
  m.def(
      "kendall_tau",
      [](const Ints& a, const Ints& b, const Ints& o) {
        return compare(a, b, o, [](const int64_t* x, const int64_t* y, int64_t n, auto& work) {
          if (n < 2) return 1.0;
          const double pairs = 0.5 * static_cast<double>(n) * static_cast<double>(n - 1);
          return 1.0 - 2.0 * static_cast<double>(discordant(x, y, n, work)) / pairs;
        });
      },
      py::arg("a"), py::arg("b"), py::arg("offsets"));
  m.def(
      "spearman",
      [](const Ints& a, const Ints& b, const Ints& o) { return compare(a, b, o, spearman_row); },
      py::arg("a"), py::arg("b"), py::arg("offsets"));
  m.def(
      "rbo",
      [](const Ints& a, const Ints& b, const Ints& o, double p) {
        if (!(p > 0.0 && p < 1.0)) throw py::value_error("rbo's p must lie between 0 and 1");
        return compare(a, b, o, [p](const int64_t* x, const int64_t* y, int64_t n, auto& work) {
          return rbo_row(x, y, n, p, work);
        });
      },
      py::arg("a"), py::arg("b"), py::arg("offsets"), py::arg("p"));
}

}  // namespace rranker
