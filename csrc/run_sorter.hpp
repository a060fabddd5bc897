// One query's ranking under trec_eval's rule, and the ragged result that the measures read.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

namespace rranker {

constexpr int32_t kUnpooled = -1;    // not in the qrels at all
constexpr int32_t kUnjudged = -2;    // in the qrels with a negative level: pooled, not judged

// Relevance levels in ranked order, and the judged levels (>= 0) of each query in falling order. `apart`: 1 for a query
// whose run and judgements both hold documents, and none in common.
struct RankedBatch {
  std::vector<int32_t> ranked, judged;
  std::vector<int64_t> ranked_offsets{0}, judged_offsets{0};
  std::vector<uint8_t> apart;
};

struct RankOptions {
  bool single;         // compare scores as float32 (trec_eval 9, pytrec_eval) instead of double (trec_eval 10)
  int64_t max_docs;    // trec_eval -M; 0 is no limit
  bool judged_only;    // trec_eval -J
};

// Bits of a float that compare as the float does; -0.0 equals 0.0.
inline uint32_t ordered_bits(float value) {
  value += 0.0f;
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return (bits & 0x80000000u) ? ~bits : bits | 0x80000000u;
}

// Ranks one query's documents: score descending, then document id descending; the rest is scratch.
class RunSorter {
 public:
  explicit RunSorter(RankOptions options) : options_(options) {}

  // `tie(a, b)`: does document a come before document b when the scores are equal? (id of a > id of b)
  template <typename Tie>
  void rank(const double* scores, const int32_t* levels, int64_t n, const Tie& tie, RankedBatch& out) {
    sort(scores, n);
    settle_ties(scores, n, tie);
    const int64_t keep = options_.max_docs > 0 && options_.max_docs < n ? options_.max_docs : n;
    for (int64_t i = 0; i < keep; ++i) {
      const int32_t level = levels[order_[static_cast<size_t>(i)]];
      if (!options_.judged_only || level >= 0) out.ranked.push_back(level);
    }
    out.ranked_offsets.push_back(static_cast<int64_t>(out.ranked.size()));
  }

  // Adds one query's judged levels, highest first.
  void judge(const int32_t* levels, int64_t n, RankedBatch& out);

 private:
  void sort(const double* scores, int64_t n);

  bool equal(const double* scores, uint32_t a, uint32_t b) const {
    return options_.single ? static_cast<float>(scores[a]) == static_cast<float>(scores[b]) : scores[a] == scores[b];
  }

  template <typename Tie>
  void settle_ties(const double* scores, int64_t n, const Tie& tie) {
    for (int64_t i = 0; i + 1 < n;) {
      int64_t j = i + 1;
      while (j < n && equal(scores, order_[static_cast<size_t>(i)], order_[static_cast<size_t>(j)])) ++j;
      if (j - i > 1) std::sort(order_.begin() + i, order_.begin() + j, tie);
      i = j;
    }
  }

  RankOptions options_;
  std::vector<uint32_t> order_;
  std::vector<uint64_t> keys_, spare_;
};

}  // namespace rranker
