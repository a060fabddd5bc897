// Rewards of elimination episodes and one-shot rankings, vectorised over ragged groups of rollouts.
#include <algorithm>
#include <cmath>
#include <string_view>

#include "arrays.hpp"

namespace rranker {
namespace {

using I64 = Array<int64_t>;
using F64 = Array<double>;

double discount(int64_t rank0) { return 1.0 / std::log2(static_cast<double>(rank0 + 2)); }

double gain(double level, bool exponential) {
  if (level <= 0.0) return 0.0;
  return exponential ? std::exp2(level) - 1.0 : level;
}

// The paper's step reward: `hit` for a negative that went, `miss` for a gold one, `invalid` for no valid answer.
py::array_t<double> step_rewards(const F64& relevance, const I64& relevance_offsets, const I64& exclusions,
                                 const I64& exclusion_offsets, double hit, double miss, double invalid, double gold) {
  const auto rel = view(relevance, "relevance");
  const auto ex = view(exclusions, "exclusions");
  const Offsets ro = offsets(relevance_offsets, rel.size, "relevance offsets");
  const Offsets eo = offsets(exclusion_offsets, ex.size, "exclusion offsets");
  same_rows(ro, eo, "exclusion offsets");
  auto out = fresh<double>(ex.size);
  double* result = out.mutable_data();
  py::gil_scoped_release release;
  std::vector<char> gone;
  for (int64_t e = 0; e < ro.rows; ++e) {
    const int64_t n = ro.length(e);
    gone.assign(static_cast<size_t>(n), 0);
    double bound = gold;
    if (std::isnan(gold)) {  // the best level of the list, when it is above 0
      bound = 0.0;
      for (int64_t i = ro.begin(e); i < ro.end(e); ++i) bound = std::max(bound, rel[i]);
      if (bound <= 0.0) bound = INFINITY;
    }
    for (int64_t r = eo.begin(e); r < eo.end(e); ++r) {
      const int64_t id = ex[r];
      if (id < 0 || id >= n || gone[static_cast<size_t>(id)]) {
        result[r] = invalid;
        continue;
      }
      gone[static_cast<size_t>(id)] = 1;
      result[r] = rel[ro.begin(e) + id] >= bound ? miss : hit;
    }
  }
  return out;
}

// DCG of the best ranking still open: the living by falling gain, then the excluded, last out first.
double reachable(const std::vector<double>& living, const std::vector<double>& gone, int64_t k) {
  double sum = 0.0;
  int64_t rank = 0;
  for (double g : living) {
    if (k > 0 && rank >= k) return sum;
    sum += g * discount(rank++);
  }
  for (auto g = gone.rbegin(); g != gone.rend(); ++g) {
    if (k > 0 && rank >= k) return sum;
    sum += *g * discount(rank++);
  }
  return sum;
}

// Graded step reward: the change in the best NDCG@k still reachable (0 or less; over an episode it sums to
// final NDCG - 1). An answer that excludes nobody earns `invalid` and changes nothing.
py::array_t<double> graded_rewards(const F64& relevance, const I64& relevance_offsets, const I64& exclusions,
                                   const I64& exclusion_offsets, int64_t k, bool exponential, double invalid) {
  const auto rel = view(relevance, "relevance");
  const auto ex = view(exclusions, "exclusions");
  const Offsets ro = offsets(relevance_offsets, rel.size, "relevance offsets");
  const Offsets eo = offsets(exclusion_offsets, ex.size, "exclusion offsets");
  same_rows(ro, eo, "exclusion offsets");
  auto out = fresh<double>(ex.size);
  double* result = out.mutable_data();
  py::gil_scoped_release release;
  std::vector<double> living, gone;
  std::vector<char> out_already;
  for (int64_t e = 0; e < ro.rows; ++e) {
    const int64_t n = ro.length(e);
    living.clear(), gone.clear();
    out_already.assign(static_cast<size_t>(n), 0);
    for (int64_t i = ro.begin(e); i < ro.end(e); ++i) living.push_back(gain(rel[i], exponential));
    std::sort(living.begin(), living.end(), std::greater<>());
    const double ideal = reachable(living, gone, k);
    double before = ideal;
    for (int64_t r = eo.begin(e); r < eo.end(e); ++r) {
      const int64_t id = ex[r];
      if (id < 0 || id >= n || out_already[static_cast<size_t>(id)]) {
        result[r] = invalid;
        continue;
      }
      out_already[static_cast<size_t>(id)] = 1;
      const double g = gain(rel[ro.begin(e) + id], exponential);
      living.erase(std::lower_bound(living.begin(), living.end(), g, std::greater<>()));
      gone.push_back(g);
      const double after = reachable(living, gone, k);
      result[r] = ideal > 0.0 ? (after - before) / ideal : 0.0;
      before = after;
    }
  }
  return out;
}

// One-shot rankings: NDCG@k of the ids as listed (only first mentions in range count, at the rank they end up),
// less `weight` times the share of candidates that the list does not cover.
py::array_t<double> listing_rewards(const F64& relevance, const I64& relevance_offsets, const I64& listed,
                                    const I64& listed_offsets, int64_t k, bool exponential, double weight) {
  const auto rel = view(relevance, "relevance");
  const auto ids = view(listed, "listed");
  const Offsets ro = offsets(relevance_offsets, rel.size, "relevance offsets");
  const Offsets lo = offsets(listed_offsets, ids.size, "listed offsets");
  same_rows(ro, lo, "listed offsets");
  auto out = fresh<double>(ro.rows);
  double* result = out.mutable_data();
  py::gil_scoped_release release;
  std::vector<char> seen;
  std::vector<double> ideal;
  for (int64_t e = 0; e < ro.rows; ++e) {
    const int64_t n = ro.length(e);
    seen.assign(static_cast<size_t>(n), 0);
    double dcg = 0.0;
    int64_t covered = 0;
    for (int64_t i = lo.begin(e); i < lo.end(e); ++i) {
      if (ids[i] < 0 || ids[i] >= n || seen[static_cast<size_t>(ids[i])]) continue;
      seen[static_cast<size_t>(ids[i])] = 1;
      if (k <= 0 || covered < k) dcg += gain(rel[ro.begin(e) + ids[i]], exponential) * discount(covered);
      ++covered;
    }
    ideal.clear();
    for (int64_t i = ro.begin(e); i < ro.end(e); ++i) ideal.push_back(gain(rel[i], exponential));
    std::sort(ideal.begin(), ideal.end(), std::greater<>());
    const double best = reachable(ideal, {}, k);
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
