// The dict form {query: {document: value}}: read in place, with the GIL held because the dicts are Python's. Floats and
// ints are read without running any Python code, so the dicts stay as they are meanwhile. Other values may be any object
// that knows its number: asking it runs Python code, which may change the dicts, so they are copied first.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "run_sorter.hpp"

namespace rranker {
namespace {

std::string shown(const py::handle& object) {
  const py::object text = py::reinterpret_steal<py::object>(PyObject_Str(object.ptr()));
  if (!text) throw py::error_already_set();
  const py::object bytes = py::reinterpret_steal<py::object>(
      PyUnicode_AsEncodedString(text.ptr(), "utf-8", "backslashreplace"));  // ids may hold lone surrogates
  if (!bytes) throw py::error_already_set();
  return bytes.cast<std::string>();
}

// One value of the run or the qrels, as errors name it.
struct Place {
  const char* name;
  const py::object& query;
  const py::object& doc;
  std::string operator()() const { return std::string(name) + "['" + shown(query) + "']['" + shown(doc) + "']"; }
};

std::string type_name(const py::object& value) { return Py_TYPE(value.ptr())->tp_name; }

// The value's own error stays the cause of a TypeError; what is no statement about the value (an interrupt) passes.
[[noreturn]] void not_a_number(const Place& place, const py::object& value, const char* wanted) {
  if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_ValueError) &&
      !PyErr_ExceptionMatches(PyExc_OverflowError)) {
    throw py::error_already_set();
  }
  py::error_already_set cause;
  const std::string message = place() + " must be " + wanted + ", not " + type_name(value);
  cause.restore();
  py::raise_from(PyExc_TypeError, message.c_str());
  throw py::error_already_set();
}

// Any object that knows its number, as a float.
py::object plain_score(const py::object& value, const Place& place) {
  const double score = PyFloat_AsDouble(value.ptr());
  if (score == -1.0 && PyErr_Occurred()) not_a_number(place, value, "a number");
  return py::float_(score);
}

// Integers of any kind, and whole floats (what pandas and JSON make of integers), as an int.
py::object plain_level(const py::object& value, const Place& place) {
  const double level = PyFloat_AsDouble(value.ptr());
  if (level == -1.0 && PyErr_Occurred()) not_a_number(place, value, "an integer");
  if (!(level == std::floor(level))) {
    throw py::type_error(place() + " must be an integer, not " + shown(value) + "; round or bin graded labels first");
  }
  if (std::isinf(level)) throw py::value_error(place() + " is too large");
  return py::reinterpret_steal<py::object>(PyLong_FromDouble(level));
}

// A copy of `docs` whose values are plain.
template <typename Plain>
py::object plain_copy(const py::object& docs, const char* name, const py::object& query, const Plain& plain) {
  const py::dict copy = py::reinterpret_steal<py::dict>(PyDict_Copy(docs.ptr()));  // nobody else can change it
  py::dict result;
  for (const auto& [doc, value] : copy) {
    const auto held = py::reinterpret_borrow<py::object>(doc);
    result[doc] = plain(py::reinterpret_borrow<py::object>(value), Place{name, query, held});
  }
  return result;
}

// `outer[query]`, held; nothing when it is not there.
py::object lookup(const py::dict& outer, const char* name, const py::object& query) {
  PyObject* value = PyDict_GetItemWithError(outer.ptr(), query.ptr());
  if (value == nullptr) {
    if (PyErr_Occurred()) throw py::error_already_set();
    return {};
  }
  if (!PyDict_Check(value)) {
    throw py::type_error(std::string(name) + "['" + shown(query) + "'] must be a dict of documents, not " +
                         Py_TYPE(value)->tp_name);
  }
  return py::reinterpret_borrow<py::object>(value);
}

// What the dicts hold of one query. `docs` are borrowed from the run's dict.
struct Query {
  std::vector<PyObject*> docs;
  std::vector<double> scores;
  std::vector<int32_t> levels, judged;
  bool apart = false;
};

enum class Read { kAll, kOtherIds, kOtherValues };

// Fills `found` without running Python code; says what stood in the way.
Read read_plain(const py::object& judgements, const py::object& retrieved, const py::object& query, Query& found) {
  found.docs.clear(), found.scores.clear(), found.levels.clear(), found.judged.clear();
  PyObject *doc = nullptr, *value = nullptr;
  const auto level_of = [&](PyObject* number) {
    int overflow = 0;
    const long long level = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow != 0 || level > INT32_MAX || level < INT32_MIN) {
      throw py::value_error(Place{"qrels", query, py::reinterpret_borrow<py::object>(doc)}() + " is too large");
    }
    return level < 0 ? kUnjudged : static_cast<int32_t>(level);
  };
  for (Py_ssize_t at = 0; PyDict_Next(judgements.ptr(), &at, &doc, &value);) {
    if (!PyUnicode_CheckExact(doc)) return Read::kOtherIds;
    if (!PyLong_Check(value)) return Read::kOtherValues;
    found.judged.push_back(level_of(value));
  }
  for (Py_ssize_t at = 0; retrieved && PyDict_Next(retrieved.ptr(), &at, &doc, &value);) {
    if (!PyUnicode_CheckExact(doc)) return Read::kOtherIds;
    if (!PyFloat_Check(value)) return Read::kOtherValues;
    const double score = PyFloat_AS_DOUBLE(value);
    if (std::isnan(score)) {
      throw py::value_error(Place{"run", query, py::reinterpret_borrow<py::object>(doc)}() + " is not a number (NaN)");
    }
    found.docs.push_back(doc);
    found.scores.push_back(score);
    PyObject* level = PyDict_GetItemWithError(judgements.ptr(), doc);  // both dicts hold exact strings only
    if (level == nullptr && PyErr_Occurred()) throw py::error_already_set();
    found.levels.push_back(level == nullptr ? kUnpooled : level_of(level));
  }
  const auto unpooled = std::count(found.levels.begin(), found.levels.end(), kUnpooled);
  found.apart = !found.judged.empty() && !found.levels.empty() && static_cast<size_t>(unpooled) == found.levels.size();
  return Read::kAll;
}

// `queries`: the queries to evaluate, all of them keys of `qrels`; those missing from `run` retrieved nothing. None when
// a document id is not a str of Python's own kind: the caller makes ids uniform, and asks again.
py::object rank_dicts(const py::dict& qrels, const py::dict& run, const py::list& queries, bool single,
                      int64_t max_docs, bool judged_only) {
  RankedBatch out;
  RunSorter sorter({single, max_docs, judged_only});
  Query found;
  for (size_t q = 0; q < py::len(queries); ++q) {
    const py::object query = queries[q];
    py::object judgements = lookup(qrels, "qrels", query);
    if (!judgements) throw py::value_error("query '" + shown(query) + "' is not in the qrels");
    py::object retrieved = lookup(run, "run", query);
    Read read = read_plain(judgements, retrieved, query, found);
    if (read == Read::kOtherValues) {
      judgements = plain_copy(judgements, "qrels", query, plain_level);
      if (retrieved) retrieved = plain_copy(retrieved, "run", query, plain_score);
      read = read_plain(judgements, retrieved, query, found);
    }
    if (read != Read::kAll) return py::none();
    // Code points compare as their UTF-8 bytes do, so this is trec_eval's strcmp.
    sorter.rank(found.scores.data(), found.levels.data(), static_cast<int64_t>(found.scores.size()),
                [&](uint32_t a, uint32_t b) { return PyUnicode_Compare(found.docs[a], found.docs[b]) > 0; }, out);
    sorter.judge(found.judged.data(), static_cast<int64_t>(found.judged.size()), out);
    out.apart.push_back(found.apart);
  }
  return py::make_tuple(copied(out.ranked_offsets), copied(out.ranked), copied(out.judged_offsets),
                        copied(out.judged), copied(out.apart));
}

}  // namespace

void bind_join_qrels_dicts(py::module_& m) {
  m.def("rank_dicts", &rank_dicts, py::arg("qrels"), py::arg("run"), py::arg("queries"), py::arg("single"),
        py::arg("max_docs"), py::arg("judged_only"));
}

}  // namespace rranker
