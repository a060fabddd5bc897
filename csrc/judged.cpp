// Runs and qrels -> relevance levels in ranked order: dicts, integer ids, and ids that lie in a text buffer.
#include <cmath>
#include <string_view>

#include "arrays.hpp"
#include "ranked.hpp"

namespace rranker {
namespace {

py::tuple to_arrays(const RankedBatch& batch) {
  return py::make_tuple(copied(batch.ranked_offsets), copied(batch.ranked), copied(batch.judged_offsets),
                        copied(batch.judged));
}

// Integer ids, compared on ties as trec_eval would: by their decimal text.
struct IntIds {
  const int64_t* data;
  using Key = int64_t;
  Key key(int64_t i) const { return data[i]; }
  static uint64_t hash(Key k) { return static_cast<uint64_t>(k) * 0x9E3779B97F4A7C15ull; }
  static bool after(Key a, Key b) {
    char x[24], y[24];
    const int p = std::snprintf(x, sizeof x, "%lld", static_cast<long long>(a));
    const int q = std::snprintf(y, sizeof y, "%lld", static_cast<long long>(b));
    return std::string_view(x, static_cast<size_t>(p)) > std::string_view(y, static_cast<size_t>(q));
  }
  static std::string show(Key k) { return std::to_string(k); }
};

// Ids as slices of a UTF-8 buffer.
struct TextIds {
  const char* buffer;
  const int64_t* starts;
  const int32_t* lengths;
  using Key = std::string_view;
  Key key(int64_t i) const { return {buffer + starts[i], static_cast<size_t>(lengths[i])}; }
  static uint64_t hash(Key k) {
    uint64_t h = 0xCBF29CE484222325ull ^ k.size();
    size_t i = 0;
    for (; i + 8 <= k.size(); i += 8) {
      uint64_t word;
      std::memcpy(&word, k.data() + i, 8);
      h = (h ^ word) * 0x9E3779B97F4A7C15ull;
      h ^= h >> 29;
    }
    for (; i < k.size(); ++i) h = (h ^ static_cast<unsigned char>(k[i])) * 0x100000001B3ull;
    return h * 0x9E3779B97F4A7C15ull;
  }
  static bool after(Key a, Key b) { return a > b; }
  static std::string show(Key k) { return std::string(k); }
};

// Joins one query's run with its judgements through a small open-addressing table.
template <typename Ids>
class Join {
 public:
  // Fills `levels` for the run's rows [r0, r1) from the qrels' rows [q0, q1).
  void operator()(const Ids& run, int64_t r0, int64_t r1, const Ids& qrels, int64_t q0, int64_t q1,
                  const int32_t* relevance, std::vector<int32_t>& levels) {
    const int64_t n = r1 - r0, all = n + (q1 - q0);
    int bits = 4;
    while ((int64_t{1} << bits) < 2 * all) ++bits;
    shift_ = 64 - bits;
    table_.assign(size_t{1} << bits, 0);
    levels.assign(static_cast<size_t>(n), kUnpooled);
    for (int64_t i = 0; i < n; ++i) {
      const auto key = run.key(r0 + i);
      uint32_t& slot = find(key, run, r0, n, qrels, q0);
      if (slot != 0) throw py::value_error("document '" + Ids::show(key) + "' stands twice in the run");
      slot = static_cast<uint32_t>(i + 1);
    }
    judged_.assign(static_cast<size_t>(n), 0);
    for (int64_t j = 0; j < q1 - q0; ++j) {
      const auto key = qrels.key(q0 + j);
      uint32_t& slot = find(key, run, r0, n, qrels, q0);
      const int64_t i = static_cast<int64_t>(slot) - 1;
      if (i >= n || (i >= 0 && judged_[static_cast<size_t>(i)])) {
        throw py::value_error("document '" + Ids::show(key) + "' stands twice in the qrels");
      }
      if (i >= 0) {
        judged_[static_cast<size_t>(i)] = 1;
        levels[static_cast<size_t>(i)] = relevance[q0 + j] < 0 ? kUnjudged : relevance[q0 + j];
      } else {
        slot = static_cast<uint32_t>(n + j + 1);
      }
    }
  }

 private:
  uint32_t& find(const typename Ids::Key& key, const Ids& run, int64_t r0, int64_t n, const Ids& qrels, int64_t q0) {
    const size_t mask = table_.size() - 1;
    for (size_t h = static_cast<size_t>(Ids::hash(key) >> shift_);; h = (h + 1) & mask) {
      const uint32_t at = table_[h];
      if (at == 0) return table_[h];
      const int64_t i = static_cast<int64_t>(at) - 1;
      if ((i < n ? run.key(r0 + i) : qrels.key(q0 + i - n)) == key) return table_[h];
    }
  }
  int shift_ = 60;
  std::vector<uint32_t> table_;
  std::vector<char> judged_;
};

void check_scores(const View<double>& scores) {
  for (int64_t i = 0; i < scores.size; ++i) {
    if (std::isnan(scores[i])) {
      throw py::value_error("score " + std::to_string(i) + " of the run is not a number (NaN); ranks need real scores");
    }
  }
}

// `run_rows[k]`, `qrel_rows[k]`: the k-th evaluated query's rows; -1 in run_rows is a query nothing was retrieved for.
template <typename Ids>
RankedBatch rank_all(const Ids& run, const Offsets& ro, const View<double>& scores, const Ids& qrels, const Offsets& qo,
                     const View<int32_t>& relevance, const View<int64_t>& run_rows, const View<int64_t>& qrel_rows,
                     const RankOptions& options) {
  RankedBatch out;
  Ranker ranker(options);
  Join<Ids> join;
  std::vector<int32_t> levels;
  out.ranked.reserve(static_cast<size_t>(scores.size));
  out.judged.reserve(static_cast<size_t>(relevance.size));
  for (int64_t k = 0; k < run_rows.size; ++k) {
    const int64_t r = run_rows[k], q = qrel_rows[k];
    const int64_t r0 = r < 0 ? 0 : ro.begin(r), r1 = r < 0 ? 0 : ro.end(r);
    join(run, r0, r1, qrels, qo.begin(q), qo.end(q), relevance.data, levels);
    ranker.rank(scores.data + r0, levels.data(), r1 - r0,
                [&](uint32_t a, uint32_t b) { return Ids::after(run.key(r0 + a), run.key(r0 + b)); }, out);
    ranker.judge(relevance.data + qo.begin(q), qo.length(q), out);
  }
  return out;
}

void check_rows(const View<int64_t>& rows, int64_t limit, int64_t least, const char* name) {
  for (int64_t i = 0; i < rows.size; ++i) {
    if (rows[i] < least || rows[i] >= limit) throw py::value_error(std::string(name) + " names a query that is not there");
  }
}

using I64 = Array<int64_t>;
using I32 = Array<int32_t>;
using F64 = Array<double>;

py::tuple rank_int_ids(const I64& run_offsets, const I64& run_ids, const F64& run_scores, const I64& qrel_offsets,
                       const I64& qrel_ids, const I32& qrel_levels, const I64& run_rows, const I64& qrel_rows,
                       bool single, int64_t max_docs, bool judged_only) {
  const auto rid = view(run_ids, "run ids"), qid = view(qrel_ids, "qrel ids");
  const auto scores = view(run_scores, "scores");
  const auto levels = view(qrel_levels, "relevance");
  const Offsets ro = offsets(run_offsets, rid.size, "run offsets"), qo = offsets(qrel_offsets, qid.size, "qrel offsets");
  if (scores.size != rid.size) throw py::value_error("the run needs one score a document id");
  if (levels.size != qid.size) throw py::value_error("the qrels need one relevance a document id");
  const auto rr = view(run_rows, "run rows"), qr = view(qrel_rows, "qrel rows");
  check_rows(rr, ro.rows, -1, "run rows");
  check_rows(qr, qo.rows, 0, "qrel rows");
  RankedBatch out;
  {
    py::gil_scoped_release release;
    check_scores(scores);
    out = rank_all(IntIds{rid.data}, ro, scores, IntIds{qid.data}, qo, levels, rr, qr, {single, max_docs, judged_only});
  }
  return to_arrays(out);
}

void check_slices(const View<int64_t>& starts, const View<int32_t>& lengths, size_t size, const char* name) {
  bool good = starts.size == lengths.size;
  for (int64_t i = 0; good && i < starts.size; ++i) {
    good = starts[i] >= 0 && lengths[i] >= 0 && starts[i] + lengths[i] <= static_cast<int64_t>(size);
  }
  if (!good) throw py::value_error(std::string(name) + " ids do not lie in their buffer");
}

py::tuple rank_text_ids(const I64& run_offsets, const py::buffer& run_buffer, const I64& run_starts,
                        const I32& run_lengths, const F64& run_scores, const I64& qrel_offsets,
                        const py::buffer& qrel_buffer, const I64& qrel_starts, const I32& qrel_lengths,
                        const I32& qrel_levels, const I64& run_rows, const I64& qrel_rows, bool single,
                        int64_t max_docs, bool judged_only) {
  const auto rs = view(run_starts, "run starts"), qs = view(qrel_starts, "qrel starts");
  const auto rl = view(run_lengths, "run lengths"), ql = view(qrel_lengths, "qrel lengths");
  const auto scores = view(run_scores, "scores");
  const auto levels = view(qrel_levels, "relevance");
  const Offsets ro = offsets(run_offsets, rs.size, "run offsets"), qo = offsets(qrel_offsets, qs.size, "qrel offsets");
  const py::buffer_info rb = run_buffer.request(), qb = qrel_buffer.request();
  check_slices(rs, rl, static_cast<size_t>(rb.size * rb.itemsize), "run");
  check_slices(qs, ql, static_cast<size_t>(qb.size * qb.itemsize), "qrel");
  if (scores.size != rs.size || levels.size != qs.size) throw py::value_error("one value a document id is needed");
  const auto rr = view(run_rows, "run rows"), qr = view(qrel_rows, "qrel rows");
  check_rows(rr, ro.rows, -1, "run rows");
  check_rows(qr, qo.rows, 0, "qrel rows");
  RankedBatch out;
  {
    py::gil_scoped_release release;
    check_scores(scores);
    const TextIds run{static_cast<const char*>(rb.ptr), rs.data, rl.data};
    const TextIds qrels{static_cast<const char*>(qb.ptr), qs.data, ql.data};
    out = rank_all(run, ro, scores, qrels, qo, levels, rr, qr, {single, max_docs, judged_only});
  }
  return to_arrays(out);
}

// Labels that lie beside the scores (a reranker's own lists): ties fall to the later place, as an id would.
py::tuple rank_aligned(const I64& offs, const F64& run_scores, const I32& relevance, bool single, int64_t max_docs,
                       bool judged_only) {
  const auto scores = view(run_scores, "scores");
  const auto levels = view(relevance, "relevance");
  if (scores.size != levels.size) throw py::value_error("one relevance a score is needed");
  const Offsets o = offsets(offs, scores.size, "offsets");
  RankedBatch out;
  {
    py::gil_scoped_release release;
    check_scores(scores);
    Ranker ranker({single, max_docs, judged_only});
    std::vector<int32_t> row;
    for (int64_t q = 0; q < o.rows; ++q) {
      row.assign(levels.data + o.begin(q), levels.data + o.end(q));
      for (int32_t& level : row) level = level < 0 ? kUnjudged : level;
      ranker.rank(scores.data + o.begin(q), row.data(), o.length(q), [](uint32_t a, uint32_t b) { return a > b; }, out);
      ranker.judge(row.data(), o.length(q), out);
    }
  }
  return to_arrays(out);
}

}  // namespace

void bind_judged_dicts(py::module_& m);

void bind_judged(py::module_& m) {
  m.def("rank_int_ids", &rank_int_ids, py::arg("run_offsets"), py::arg("run_ids"), py::arg("run_scores"),
        py::arg("qrel_offsets"), py::arg("qrel_ids"), py::arg("qrel_levels"), py::arg("run_rows"),
        py::arg("qrel_rows"), py::arg("single"), py::arg("max_docs"), py::arg("judged_only"));
  m.def("rank_text_ids", &rank_text_ids, py::arg("run_offsets"), py::arg("run_buffer"), py::arg("run_starts"),
        py::arg("run_lengths"), py::arg("run_scores"), py::arg("qrel_offsets"), py::arg("qrel_buffer"),
        py::arg("qrel_starts"), py::arg("qrel_lengths"), py::arg("qrel_levels"), py::arg("run_rows"),
        py::arg("qrel_rows"), py::arg("single"), py::arg("max_docs"), py::arg("judged_only"));
  m.def("rank_aligned", &rank_aligned, py::arg("offsets"), py::arg("scores"), py::arg("relevance"),
        py::arg("single"), py::arg("max_docs"), py::arg("judged_only"));
  bind_judged_dicts(m);
}

}  // namespace rranker
