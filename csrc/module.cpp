// Python bindings of rranker's C++ extension.
#include <pybind11/pybind11.h>

PYBIND11_MODULE(_C, m) { m.doc() = "rranker's C++ extension"; }
