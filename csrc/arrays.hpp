// NumPy arrays in and out: typed views, ragged (CSR) offsets and their checks.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace py = pybind11;

namespace rranker {

template <typename T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

// A borrowed, read-only view of a one-dimensional array. While the GIL is released another thread may write to it, so
// whatever memory safety rests on (indices, lengths, sort keys) is copied before it is checked: see `owned`.
template <typename T>
struct View {
  const T* data;
  int64_t size;
  const T& operator[](int64_t i) const { return data[i]; }
};

template <typename T>
View<T> view(const Array<T>& array, const char* name) {
  if (array.ndim() != 1) {
    throw py::value_error(std::string(name) + " must be a one-dimensional array, not " +
                          std::to_string(array.ndim()) + "-dimensional");
  }
  return {array.data(), static_cast<int64_t>(array.size())};
}

// A copy of a one-dimensional array, which no other thread can change between a check and its use.
template <typename T>
std::vector<T> owned(const Array<T>& array, const char* name) {
  const View<T> v = view(array, name);
  return std::vector<T>(v.data, v.data + v.size);
}

// Offsets of a ragged batch: offsets[i]..offsets[i+1] is row i. Copied, checked once, trusted afterwards.
struct Offsets {
  std::vector<int64_t> data;
  int64_t rows;
  int64_t begin(int64_t i) const { return data[static_cast<size_t>(i)]; }
  int64_t end(int64_t i) const { return data[static_cast<size_t>(i) + 1]; }
  int64_t length(int64_t i) const { return end(i) - begin(i); }
};

inline Offsets offsets(const Array<int64_t>& array, int64_t values, const char* name) {
  std::vector<int64_t> o = owned(array, name);
  if (o.empty() || o.front() != 0 || o.back() != values) {
    throw py::value_error(std::string(name) + " must start at 0 and end at the number of values (" +
                          std::to_string(values) + ")");
  }
  for (size_t i = 0; i + 1 < o.size(); ++i) {
    if (o[i + 1] < o[i]) throw py::value_error(std::string(name) + " must never fall");
  }
  const auto rows = static_cast<int64_t>(o.size()) - 1;
  return {std::move(o), rows};
}

inline void same_rows(const Offsets& a, const Offsets& b, const char* what) {
  if (a.rows != b.rows) {
    throw py::value_error(std::string(what) + " must have as many rows as the other input: " +
                          std::to_string(a.rows) + " and " + std::to_string(b.rows));
  }
}

template <typename T>
py::array_t<T> fresh(int64_t size) {
  return py::array_t<T>(static_cast<py::ssize_t>(size));
}

template <typename T>
py::array_t<T> copied(const std::vector<T>& values) {
  py::array_t<T> out(static_cast<py::ssize_t>(values.size()));
  if (!values.empty()) std::memcpy(out.mutable_data(), values.data(), values.size() * sizeof(T));
  return out;
}

// One registration function per concept; module.cpp calls them all.
void bind_permutation(py::module_& m);
void bind_parse(py::module_& m);
void bind_batch(py::module_& m);
void bind_attention_work(py::module_& m);
void bind_rewards(py::module_& m);
void bind_advantages(py::module_& m);
void bind_join_qrels(py::module_& m);
void bind_measures(py::module_& m);
void bind_trec(py::module_& m);
void bind_significance(py::module_& m);

}  // namespace rranker
