// Rewards of elimination episodes and one-shot rankings, vectorised over ragged groups of rollouts.
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "arrays.hpp"

namespace rranker {
namespace {

using I64 = Array<int64_t>;
using F64 = Array<double>;

// A batch of episodes, read once: the relevance of their candidates, and the candidates they name.
struct Episodes {
  std::vector<double> relevance;
  std::vector<int64_t> named;
  Offsets candidates, names;

  Episodes(const F64& values, const I64& values_offsets, const I64& ids, const I64& ids_offsets, const char* what)
      : relevance(owned(values, "relevance")),
        named(owned(ids, what)),
        candidates(offsets(values_offsets, static_cast<int64_t>(relevance.size()), "relevance offsets")),
        names(offsets(ids_offsets, static_cast<int64_t>(named.size()), (std::string(what) + " offsets").c_str())) {
    same_rows(candidates, names, (std::string(what) + " offsets").c_str());
    for (int64_t e = 0; e < candidates.rows; ++e) {
      for (int64_t i = candidates.begin(e); i < candidates.end(e); ++i) {
        const double level = relevance[static_cast<size_t>(i)];
        if (!std::isfinite(level)) {
          throw py::value_error("the relevance of candidate " + std::to_string(i - candidates.begin(e)) +
                                " in episode " + std::to_string(e) + " is " + (std::isnan(level) ? "NaN" : "infinite") +
                                "; rewards need finite numbers");
        }
      }
    }
  }
  double level(int64_t e, int64_t id) const { return relevance[static_cast<size_t>(candidates.begin(e) + id)]; }
};

// 1 / log2(rank + 2) for ranks from 0, and 0 from rank k on (k of 0: no cutoff).
class RankWeights {
 public:
  explicit RankWeights(int64_t k) : k_(k) {}
  void grow(int64_t n) {
    for (auto i = static_cast<int64_t>(values_.size()); i < n; ++i) {
      values_.push_back(k_ > 0 && i >= k_ ? 0.0 : 1.0 / std::log2(static_cast<double>(i + 2)));
    }
  }
  double operator[](int64_t rank) const { return values_[static_cast<size_t>(rank)]; }

 private:
  int64_t k_;
  std::vector<double> values_;
};

double gain(double level, bool exponential) {
  if (level <= 0.0) return 0.0;
  return exponential ? std::exp2(level) - 1.0 : level;
}

// Gains of one episode, and the DCG of its ideal order.
double ideal_dcg(const Episodes& all, int64_t e, bool exponential, RankWeights& discount, std::vector<double>& falling) {
  const int64_t n = all.candidates.length(e);
  falling.clear();
  for (int64_t id = 0; id < n; ++id) falling.push_back(gain(all.level(e, id), exponential));
  std::sort(falling.begin(), falling.end(), std::greater<>());
  discount.grow(n + 1);
  double sum = 0.0;
  for (int64_t i = 0; i < n; ++i) sum += falling[static_cast<size_t>(i)] * discount[i];
  if (!std::isfinite(sum)) {
    throw py::value_error("the gains of episode " + std::to_string(e) + " are too large to add up; use smaller levels");
  }
  return sum;
}

// The least level that is gold by default: the list's best. Where all tie at 0 or below, nothing is.
double best_level(const Episodes& all, int64_t e) {
  double worst = INFINITY, best = -INFINITY;
  for (int64_t id = 0; id < all.candidates.length(e); ++id) {
    worst = std::min(worst, all.level(e, id));
    best = std::max(best, all.level(e, id));
  }
  return best > 0.0 || best > worst ? best : INFINITY;
}

// The paper's step reward: `hit` for a negative that went, `miss` for a gold one, `invalid` for no valid answer.
py::array_t<double> step_rewards(const F64& relevance, const I64& relevance_offsets, const I64& exclusions,
                                 const I64& exclusion_offsets, double hit, double miss, double invalid, double gold) {
  const Episodes all(relevance, relevance_offsets, exclusions, exclusion_offsets, "exclusion");
  auto out = fresh<double>(static_cast<int64_t>(all.named.size()));
  double* result = out.mutable_data();
  py::gil_scoped_release release;
  std::vector<char> gone;
  for (int64_t e = 0; e < all.candidates.rows; ++e) {
    const int64_t n = all.candidates.length(e);
    gone.assign(static_cast<size_t>(n), 0);
    const double bound = std::isnan(gold) ? best_level(all, e) : gold;
    for (int64_t r = all.names.begin(e); r < all.names.end(e); ++r) {
      const int64_t id = all.named[static_cast<size_t>(r)];
      if (id < 0 || id >= n || gone[static_cast<size_t>(id)]) {
        result[r] = invalid;
        continue;
      }
      gone[static_cast<size_t>(id)] = 1;
      result[r] = all.level(e, id) >= bound ? miss : hit;
    }
  }
  return out;
}

// The living candidates of an episode, grouped by equal gain, best first: what an exclusion costs is read off the
// groups below it. O(groups down to the cutoff) an exclusion, and O(log groups) for its place.
class Living {
 public:
  // `falling`: the gains, best first.
  void start(const std::vector<double>& falling) {
    alive_ = static_cast<int64_t>(falling.size());
    gains_.clear(), counts_.clear();
    for (const double g : falling) {
      if (gains_.empty() || gains_.back() != g) gains_.push_back(g), counts_.push_back(0);
      ++counts_.back();
    }
    next_.resize(gains_.size() + 1);
    for (size_t j = 0; j < next_.size(); ++j) next_[j] = j;
    tree_.assign(gains_.size() + 1, 0);  // a Fenwick tree over the counts
    for (size_t j = 0; j < counts_.size(); ++j) add(j, counts_[j]);
  }

  // Takes out one candidate of gain `g` (there must be one) and returns the change of the best DCG still reachable:
  // those below move up a rank, and it goes to the rank behind all that still live.
  double take(double g, const RankWeights& discount) {
    const auto found = std::lower_bound(gains_.begin(), gains_.end(), g, std::greater<>());
    if (found == gains_.end()) return 0.0;
    const auto own = static_cast<size_t>(found - gains_.begin());
    if (*found != g || counts_[own] == 0) return 0.0;
    int64_t rank = upto(own) - 1;  // of the last of its equals
    double change = g * (discount[alive_ - 1] - discount[rank]);
    for (size_t j = living(own + 1); j < gains_.size() && discount[rank] > 0.0; j = living(j + 1)) {
      change += gains_[j] * (discount[rank] - discount[rank + counts_[j]]);
      rank += counts_[j];
    }
    --alive_;
    --counts_[own];
    add(own, -1);
    if (counts_[own] == 0) next_[own] = own + 1;
    return std::min(change, 0.0);
  }

 private:
  void add(size_t j, int64_t count) {
    for (++j; j < tree_.size(); j += j & (~j + 1)) tree_[j] += count;
  }
  int64_t upto(size_t j) const {
    int64_t sum = 0;
    for (++j; j > 0; j -= j & (~j + 1)) sum += tree_[j];
    return sum;
  }
  // The first group from `j` on that is not empty, with the path to it shortened.
  size_t living(size_t j) {
    size_t end = j;
    while (end < gains_.size() && next_[end] != end) end = next_[end];
    while (j < end) {
      const size_t after = next_[j];
      next_[j] = end;
      j = after;
    }
    return end;
  }

  int64_t alive_ = 0;
  std::vector<double> gains_;
  std::vector<int64_t> counts_, tree_;
  std::vector<size_t> next_;
};

// Graded step reward: the change in the best NDCG@k still reachable (0 or less; over an episode it sums to
// final NDCG - 1). An answer that excludes nobody earns `invalid` and changes nothing.
py::array_t<double> graded_rewards(const F64& relevance, const I64& relevance_offsets, const I64& exclusions,
                                   const I64& exclusion_offsets, int64_t k, bool exponential, double invalid) {
  const Episodes all(relevance, relevance_offsets, exclusions, exclusion_offsets, "exclusion");
  auto out = fresh<double>(static_cast<int64_t>(all.named.size()));
  double* result = out.mutable_data();
  py::gil_scoped_release release;
  RankWeights discount(k);
  Living living;
  std::vector<double> falling;
  std::vector<char> gone;
  for (int64_t e = 0; e < all.candidates.rows; ++e) {
    const int64_t n = all.candidates.length(e);
    const double ideal = ideal_dcg(all, e, exponential, discount, falling);
    living.start(falling);
    gone.assign(static_cast<size_t>(n), 0);
    for (int64_t r = all.names.begin(e); r < all.names.end(e); ++r) {
      const int64_t id = all.named[static_cast<size_t>(r)];
      if (id < 0 || id >= n || gone[static_cast<size_t>(id)]) {
        result[r] = invalid;
        continue;
      }
      gone[static_cast<size_t>(id)] = 1;
      const double change = living.take(gain(all.level(e, id), exponential), discount);
      result[r] = ideal > 0.0 ? change / ideal : 0.0;
    }
  }
  return out;
}

// One-shot rankings: NDCG@k of the ids as listed (only first mentions in range count, at the rank they end up),
// less `weight` times the share of candidates that the list does not cover.
py::array_t<double> listing_rewards(const F64& relevance, const I64& relevance_offsets, const I64& listed,
                                    const I64& listed_offsets, int64_t k, bool exponential, double weight) {
  const Episodes all(relevance, relevance_offsets, listed, listed_offsets, "listed");
  auto out = fresh<double>(all.candidates.rows);
  double* result = out.mutable_data();
  py::gil_scoped_release release;
  RankWeights discount(k);
  std::vector<char> seen;
  std::vector<double> falling;
  for (int64_t e = 0; e < all.candidates.rows; ++e) {
    const int64_t n = all.candidates.length(e);
    const double best = ideal_dcg(all, e, exponential, discount, falling);
    seen.assign(static_cast<size_t>(n), 0);
    double dcg = 0.0;
    int64_t covered = 0;
    for (int64_t i = all.names.begin(e); i < all.names.end(e); ++i) {
      const int64_t id = all.named[static_cast<size_t>(i)];
      if (id < 0 || id >= n || seen[static_cast<size_t>(id)]) continue;
      seen[static_cast<size_t>(id)] = 1;
      dcg += gain(all.level(e, id), exponential) * discount[covered++];
    }
    const double missing = n > 0 ? 1.0 - static_cast<double>(covered) / static_cast<double>(n) : 0.0;
    result[e] = (best > 0.0 ? dcg / best : 0.0) - weight * missing;
  }
  return out;
}

size_t count(std::string_view text, std::string_view what, size_t& first) {
  size_t n = 0;
  first = std::string_view::npos;
  for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) {
    if (n++ == 0) first = at;
  }
  return n;
}

bool has_text(std::string_view text) { return text.find_first_not_of(" \t\r\n") != std::string_view::npos; }

// 1 when the response is one thought, then one non-empty answer, then nothing; else 0. `prefilled`: the prompt
// has opened the thought already.
double well_formed(std::string_view s, bool prefilled) {
  size_t think, end_think, answer, end_answer;
  const size_t opened = count(s, "<think>", think);
  if (opened != (prefilled ? 0u : 1u) || count(s, "</think>", end_think) != 1) return 0.0;
  if (count(s, "<answer>", answer) != 1 || count(s, "</answer>", end_answer) != 1) return 0.0;
  if (!prefilled && (has_text(s.substr(0, think)) || think > end_think)) return 0.0;
  if (end_think > answer || answer > end_answer) return 0.0;
  if (has_text(s.substr(end_think + 8, answer - end_think - 8))) return 0.0;
  return has_text(s.substr(answer + 8, end_answer - answer - 8)) && !has_text(s.substr(end_answer + 9)) ? 1.0 : 0.0;
}

py::array_t<double> format_scores(const py::list& responses, bool prefilled) {
  std::vector<std::string> texts;
  texts.reserve(responses.size());
  for (py::handle item : responses) texts.push_back(item.cast<std::string>());
  auto out = fresh<double>(static_cast<int64_t>(texts.size()));
  double* result = out.mutable_data();
  py::gil_scoped_release release;
  for (size_t i = 0; i < texts.size(); ++i) result[i] = well_formed(texts[i], prefilled);
  return out;
}

}  // namespace

void bind_rewards(py::module_& m) {
  m.def("step_rewards", &step_rewards, py::arg("relevance"), py::arg("relevance_offsets"), py::arg("exclusions"),
        py::arg("exclusion_offsets"), py::arg("hit"), py::arg("miss"), py::arg("invalid"), py::arg("gold"));
  m.def("graded_rewards", &graded_rewards, py::arg("relevance"), py::arg("relevance_offsets"), py::arg("exclusions"),
        py::arg("exclusion_offsets"), py::arg("k"), py::arg("exponential"), py::arg("invalid"));
  m.def("listing_rewards", &listing_rewards, py::arg("relevance"), py::arg("relevance_offsets"), py::arg("listed"),
        py::arg("listed_offsets"), py::arg("k"), py::arg("exponential"), py::arg("weight"));
  m.def("format_scores", &format_scores, py::arg("responses"), py::arg("prefilled"));
}

}  // namespace rranker
