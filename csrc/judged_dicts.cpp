// The dict form {query: {document: value}}: read in place, with the GIL held because the dicts are Python's.
#include <cmath>

#include "arrays.hpp"
#include "ranked.hpp"

namespace rranker {
namespace {

std::string shown(PyObject* object) { return py::str(py::handle(object)).cast<std::string>(); }

double score_of(PyObject* value, PyObject* query, PyObject* doc) {
  const double score = PyFloat_CheckExact(value) ? PyFloat_AS_DOUBLE(value) : PyFloat_AsDouble(value);
  if (score == -1.0 && PyErr_Occurred()) {
    PyErr_Clear();
    throw py::type_error("run['" + shown(query) + "']['" + shown(doc) + "'] must be a number, not " +
                         std::string(Py_TYPE(value)->tp_name));
  }
  if (std::isnan(score)) {
    throw py::value_error("run['" + shown(query) + "']['" + shown(doc) + "'] is not a number (NaN)");
  }
  return score;
}

int32_t level_of(PyObject* value, PyObject* query, PyObject* doc) {
  int overflow = 0;
  PyObject* whole = PyNumber_Index(value);  // ints and NumPy integers, not floats
  if (whole == nullptr) {
    PyErr_Clear();
    throw py::type_error("qrels['" + shown(query) + "']['" + shown(doc) + "'] must be an integer, not " +
                         std::string(Py_TYPE(value)->tp_name));
  }
  const long level = PyLong_AsLongAndOverflow(whole, &overflow);
  Py_DECREF(whole);
  if (overflow != 0 || level > INT32_MAX) {
    throw py::value_error("qrels['" + shown(query) + "']['" + shown(doc) + "'] is too large");
  }
  return level < 0 ? kUnjudged : static_cast<int32_t>(level);
}

PyObject* inner(PyObject* value, const char* name, PyObject* query) {
  if (!PyDict_Check(value)) {
    throw py::type_error(std::string(name) + "['" + shown(query) + "'] must be a dict of documents, not " +
                         std::string(Py_TYPE(value)->tp_name));
  }
  return value;
}

void check_text(PyObject* doc, const char* name, PyObject* query) {
  if (!PyUnicode_Check(doc)) {
    throw py::type_error("document ids in " + std::string(name) + "['" + shown(query) + "'] must be str, not " +
                         std::string(Py_TYPE(doc)->tp_name));
  }
}

// `queries`: the queries to evaluate, all of them keys of `qrels`; those missing from `run` retrieved nothing.
py::tuple rank_dicts(const py::dict& qrels, const py::dict& run, const py::list& queries, bool single,
                     int64_t max_docs, bool judged_only) {
  RankedBatch out;
  Ranker ranker({single, max_docs, judged_only});
  std::vector<double> scores;
  std::vector<int32_t> levels, judged;
  std::vector<PyObject*> docs;
  for (py::handle handle : queries) {
    PyObject* query = handle.ptr();
    PyObject* judgements = inner(PyDict_GetItemWithError(qrels.ptr(), query), "qrels", query);
    PyObject* retrieved = PyDict_GetItemWithError(run.ptr(), query);
    judged.clear(), scores.clear(), levels.clear(), docs.clear();
    PyObject *doc = nullptr, *value = nullptr;
    Py_ssize_t at = 0;
    while (PyDict_Next(judgements, &at, &doc, &value)) {
      check_text(doc, "qrels", query);
      judged.push_back(level_of(value, query, doc));
    }
    if (retrieved != nullptr) {
      inner(retrieved, "run", query);
      at = 0;
      while (PyDict_Next(retrieved, &at, &doc, &value)) {
        check_text(doc, "run", query);
        scores.push_back(score_of(value, query, doc));
        docs.push_back(doc);
        PyObject* level = PyDict_GetItemWithError(judgements, doc);
        levels.push_back(level == nullptr ? kUnpooled : level_of(level, query, doc));
      }
    }
    // Code points compare as their UTF-8 bytes do, so this is trec_eval's strcmp.
    ranker.rank(scores.data(), levels.data(), static_cast<int64_t>(scores.size()),
                [&](uint32_t a, uint32_t b) { return PyUnicode_Compare(docs[a], docs[b]) > 0; }, out);
    ranker.judge(judged.data(), static_cast<int64_t>(judged.size()), out);
  }
  return py::make_tuple(copied(out.ranked_offsets), copied(out.ranked), copied(out.judged_offsets),
                        copied(out.judged));
}

}  // namespace

void bind_judged_dicts(py::module_& m) {
  m.def("rank_dicts", &rank_dicts, py::arg("qrels"), py::arg("run"), py::arg("queries"), py::arg("single"),
        py::arg("max_docs"), py::arg("judged_only"));
}

}  // namespace rranker
