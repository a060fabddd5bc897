// Runs and qrels -> relevance levels in ranked order: dicts, integer ids, and ids that lie in a text buffer.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "arrays.hpp"
#include "printable.hpp"
#include "run_sorter.hpp"

namespace rranker {
namespace {

py::tuple to_arrays(const RankedBatch& batch) {
  return py::make_tuple(copied(batch.ranked_offsets), copied(batch.ranked), copied(batch.judged_offsets),
                        copied(batch.judged), copied(batch.apart));
}

// What is read of the caller's arrays is copied query by query, then checked, then used: another thread may write to
// them while the GIL is released.

// Integer ids, compared on ties as trec_eval would: by their decimal text.
struct IntIds {
  const int64_t* data;
  using Key = int64_t;
  Key key(int64_t i, const char*) const { return data[i]; }
  static uint64_t hash(Key k) { return static_cast<uint64_t>(k) * 0x9E3779B97F4A7C15ull; }
  static bool after(Key a, Key b) {
    char x[24], y[24];
    const int p = std::snprintf(x, sizeof x, "%lld", static_cast<long long>(a));
    const int q = std::snprintf(y, sizeof y, "%lld", static_cast<long long>(b));
    return std::string_view(x, static_cast<size_t>(p)) > std::string_view(y, static_cast<size_t>(q));
  }
  static std::string show(Key k) { return std::to_string(k); }
};

// Ids as slices of a UTF-8 buffer, which is bytes: nobody can change it.
struct TextIds {
  std::string_view buffer;
  const int64_t* starts;
  const int32_t* lengths;
  using Key = std::string_view;
  Key key(int64_t i, const char* name) const {
    const int64_t start = starts[i], length = lengths[i], size = static_cast<int64_t>(buffer.size());
    if (start < 0 || length < 0 || start > size || length > size - start) {
      throw py::value_error(std::string(name) + " ids do not lie in their buffer");
    }
    return buffer.substr(static_cast<size_t>(start), static_cast<size_t>(length));
  }
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
  static std::string show(Key k) { return printable(k); }
};

// Comparisons with NaN are no order. `first`: the number of the first score in the whole run.
void check_scores(const std::vector<double>& scores, int64_t first) {
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) {
      throw py::value_error("score " + std::to_string(first + static_cast<int64_t>(i)) +
                            " of the run is not a number (NaN); ranks need real scores");
    }
  }
}

// Joins one query's run with its judgements through a small open-addressing table.
template <typename Ids>
class Join {
 public:
  // Reads the run's rows [r0, r1) and the qrels' rows [q0, q1), and fills `scores`, `levels` and `judged`.
  void operator()(const Ids& run, const View<double>& run_scores, int64_t r0, int64_t r1, const Ids& qrels,
                  const View<int32_t>& relevance, int64_t q0, int64_t q1) {
    const auto n = static_cast<size_t>(r1 - r0);
    keys_.clear();
    for (int64_t i = r0; i < r1; ++i) keys_.push_back(run.key(i, "run"));
    for (int64_t i = q0; i < q1; ++i) keys_.push_back(qrels.key(i, "qrel"));
    scores.assign(run_scores.data + r0, run_scores.data + r1);
    judged.assign(relevance.data + q0, relevance.data + q1);
    check_scores(scores, r0);
    int bits = 4;
    while ((size_t{1} << bits) < 2 * keys_.size()) ++bits;
    shift_ = 64 - bits;
    table_.assign(size_t{1} << bits, 0);
    levels.assign(n, kUnpooled);
    for (size_t i = 0; i < n; ++i) {
      uint32_t& slot = find(keys_[i]);
      if (slot != 0) throw py::value_error("document '" + Ids::show(keys_[i]) + "' stands twice in the run");
      slot = static_cast<uint32_t>(i + 1);
    }
    seen_.assign(n, 0);
    apart = n > 0 && keys_.size() > n;
    for (size_t j = n; j < keys_.size(); ++j) {
      uint32_t& slot = find(keys_[j]);
      const size_t i = slot == 0 ? keys_.size() : slot - 1;  // keys_.size(): not seen so far
      if ((i >= n && slot != 0) || (i < n && seen_[i])) {
        throw py::value_error("document '" + Ids::show(keys_[j]) + "' stands twice in the qrels");
      }
      if (i < n) {
        seen_[i] = 1;
        levels[i] = judged[j - n] < 0 ? kUnjudged : judged[j - n];
        apart = false;
      } else {
        slot = static_cast<uint32_t>(j + 1);
      }
    }
  }

  // Does document a of the run come before document b when their scores are equal?
  bool before(uint32_t a, uint32_t b) const { return Ids::after(keys_[a], keys_[b]); }

  std::vector<double> scores;
  std::vector<int32_t> levels, judged;
  bool apart = false;  // both sides hold documents, and none in common

 private:
  uint32_t& find(const typename Ids::Key& key) {
    const size_t mask = table_.size() - 1;
    for (size_t h = static_cast<size_t>(Ids::hash(key) >> shift_);; h = (h + 1) & mask) {
      if (table_[h] == 0 || keys_[table_[h] - 1] == key) return table_[h];
    }
  }
  int shift_ = 60;
  std::vector<typename Ids::Key> keys_;  // of the run, then of the qrels
  std::vector<uint32_t> table_;          // place in keys_ + 1; 0 is empty
  std::vector<char> seen_;
};

// `run_rows[k]`, `qrel_rows[k]`: the k-th evaluated query's rows; -1 in run_rows is a query nothing was retrieved for.
template <typename Ids>
RankedBatch rank_all(const Ids& run, const Offsets& ro, const View<double>& scores, const Ids& qrels, const Offsets& qo,
                     const View<int32_t>& relevance, const std::vector<int64_t>& run_rows,
                     const std::vector<int64_t>& qrel_rows, const RankOptions& options) {
  RankedBatch out;
  RunSorter sorter(options);
  Join<Ids> join;
  out.ranked.reserve(static_cast<size_t>(scores.size));
  out.judged.reserve(static_cast<size_t>(relevance.size));
  for (size_t k = 0; k < run_rows.size(); ++k) {
    const int64_t r = run_rows[k], q = qrel_rows[k];
    join(run, scores, r < 0 ? 0 : ro.begin(r), r < 0 ? 0 : ro.end(r), qrels, relevance, qo.begin(q), qo.end(q));
    sorter.rank(join.scores.data(), join.levels.data(), static_cast<int64_t>(join.levels.size()),
                [&](uint32_t a, uint32_t b) { return join.before(a, b); }, out);
    sorter.judge(join.judged.data(), static_cast<int64_t>(join.judged.size()), out);
    out.apart.push_back(join.apart);
  }
  return out;
}

std::vector<int64_t> checked_rows(const Array<int64_t>& array, int64_t limit, int64_t least, const char* name) {
  std::vector<int64_t> rows = owned(array, name);
  for (const int64_t row : rows) {
    if (row < least || row >= limit) throw py::value_error(std::string(name) + " names a query that is not there");
  }
  return rows;
}

void same_count(const std::vector<int64_t>& run_rows, const std::vector<int64_t>& qrel_rows) {
  if (run_rows.size() != qrel_rows.size()) throw py::value_error("run rows and qrel rows must be as many");
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
  const auto rr = checked_rows(run_rows, ro.rows, -1, "run rows"), qr = checked_rows(qrel_rows, qo.rows, 0, "qrel rows");
  same_count(rr, qr);
  RankedBatch out;
  {
    py::gil_scoped_release release;
    out = rank_all(IntIds{rid.data}, ro, scores, IntIds{qid.data}, qo, levels, rr, qr, {single, max_docs, judged_only});
  }
  return to_arrays(out);
}

py::tuple rank_text_ids(const I64& run_offsets, const py::bytes& run_buffer, const I64& run_starts,
                        const I32& run_lengths, const F64& run_scores, const I64& qrel_offsets,
                        const py::bytes& qrel_buffer, const I64& qrel_starts, const I32& qrel_lengths,
                        const I32& qrel_levels, const I64& run_rows, const I64& qrel_rows, bool single,
                        int64_t max_docs, bool judged_only) {
  const auto rs = view(run_starts, "run starts"), qs = view(qrel_starts, "qrel starts");
  const auto rl = view(run_lengths, "run lengths"), ql = view(qrel_lengths, "qrel lengths");
  const auto scores = view(run_scores, "scores");
  const auto levels = view(qrel_levels, "relevance");
  const Offsets ro = offsets(run_offsets, rs.size, "run offsets"), qo = offsets(qrel_offsets, qs.size, "qrel offsets");
  if (scores.size != rs.size || rl.size != rs.size || levels.size != qs.size || ql.size != qs.size) {
    throw py::value_error("one start, length and value a document id is needed");
  }
  const auto rr = checked_rows(run_rows, ro.rows, -1, "run rows"), qr = checked_rows(qrel_rows, qo.rows, 0, "qrel rows");
  same_count(rr, qr);
  RankedBatch out;
  const TextIds run{std::string_view(run_buffer), rs.data, rl.data};
  const TextIds qrels{std::string_view(qrel_buffer), qs.data, ql.data};
  {
    py::gil_scoped_release release;
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
    RunSorter sorter({single, max_docs, judged_only});
    std::vector<int32_t> row;
    std::vector<double> row_scores;
    for (int64_t q = 0; q < o.rows; ++q) {
      row.assign(levels.data + o.begin(q), levels.data + o.end(q));
      row_scores.assign(scores.data + o.begin(q), scores.data + o.end(q));
      check_scores(row_scores, o.begin(q));
      for (int32_t& level : row) level = level < 0 ? kUnjudged : level;
      sorter.rank(row_scores.data(), row.data(), o.length(q), [](uint32_t a, uint32_t b) { return a > b; }, out);
      sorter.judge(row.data(), o.length(q), out);
      out.apart.push_back(0);
    }
  }
  return to_arrays(out);
}

}  // namespace

void bind_join_qrels_dicts(py::module_& m);

void bind_join_qrels(py::module_& m) {
  m.def("rank_int_ids", &rank_int_ids, py::arg("run_offsets"), py::arg("run_ids"), py::arg("run_scores"),
        py::arg("qrel_offsets"), py::arg("qrel_ids"), py::arg("qrel_levels"), py::arg("run_rows"),
        py::arg("qrel_rows"), py::arg("single"), py::arg("max_docs"), py::arg("judged_only"));
  m.def("rank_text_ids", &rank_text_ids, py::arg("run_offsets"), py::arg("run_buffer"), py::arg("run_starts"),
        py::arg("run_lengths"), py::arg("run_scores"), py::arg("qrel_offsets"), py::arg("qrel_buffer"),
        py::arg("qrel_starts"), py::arg("qrel_lengths"), py::arg("qrel_levels"), py::arg("run_rows"),
        py::arg("qrel_rows"), py::arg("single"), py::arg("max_docs"), py::arg("judged_only"));
  m.def("rank_aligned", &rank_aligned, py::arg("offsets"), py::arg("scores"), py::arg("relevance"),
        py::arg("single"), py::arg("max_docs"), py::arg("judged_only"));
  bind_join_qrels_dicts(m);
}

}  // namespace rranker
