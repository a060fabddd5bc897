// Ranking measures over relevance levels in ranked order. The arithmetic runs in trec_eval's own sequence.
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "run_sorter.hpp"

namespace rranker {
namespace {

// What one query's measure reads.
struct Query {
  int64_t row;
  const int32_t* ranked;
  int64_t n;
  const int32_t* judged;  // levels >= 0, highest first
  int64_t judged_n;

  int64_t relevant(int32_t level) const {
    int64_t count = 0;
    while (count < judged_n && judged[count] >= level) ++count;
    return count;
  }
  int64_t depth(int64_t k) const { return k > 0 && k < n ? k : n; }
};

using Levels = Array<int32_t>;
using Offs = Array<int64_t>;

template <typename Measure>
py::array_t<double> each(const Offs& ro, const Levels& ranked, const Offs& jo, const Levels& judged, Measure measure) {
  const auto r = view(ranked, "ranked"), j = view(judged, "judged");
  const Offsets a = offsets(ro, r.size, "ranked offsets"), b = offsets(jo, j.size, "judged offsets");
  same_rows(a, b, "judged offsets");
  auto out = fresh<double>(a.rows);
  double* result = out.mutable_data();
  {
    py::gil_scoped_release release;
    for (int64_t q = 0; q < a.rows; ++q) {
      result[q] = measure(Query{q, r.data + a.begin(q), a.length(q), j.data + b.begin(q), b.length(q)});
    }
  }
  return out;
}

// log2(rank + 1) for ranks from 1, grown on demand.
class Discounts {
 public:
  const double* upto(int64_t n) {
    for (auto i = static_cast<int64_t>(values_.size()); i < n; ++i) {
      values_.push_back(std::log2(static_cast<double>(i + 2)));
    }
    return values_.data();
  }

 private:
  std::vector<double> values_;
};

// Gain of each level; levels beyond the table keep their own formula.
class Gains {
 public:
  Gains(const Array<double>& table, bool exponential) : table_(owned(table, "gains")), exponential_(exponential) {
    for (const double gain : table_) {
      if (!std::isfinite(gain)) throw py::value_error("gains must be finite numbers, not NaN or infinite");
    }
  }
  double operator()(int32_t level) const {
    if (level < 0) return 0.0;
    if (static_cast<size_t>(level) < table_.size()) return table_[static_cast<size_t>(level)];
    return exponential_ ? std::exp2(static_cast<double>(level)) - 1.0 : static_cast<double>(level);
  }
  // Do gains rise with the level? Then judged levels, highest first, are the ideal order already.
  bool rising() const {
    return std::is_sorted(table_.begin(), table_.end()) &&
           (table_.empty() || table_.back() <= (*this)(static_cast<int32_t>(table_.size())));
  }

 private:
  std::vector<double> table_;
  bool exponential_;
};

std::string too_large(const Query& q, bool exponential) {
  return "the gains of query " + std::to_string(q.row) + " (from 0) are too large to add up; its highest level is " +
         std::to_string(q.judged[0]) +
         (exponential ? ", and a level gains 2^level - 1: use smaller levels, or linear gains" : ": use smaller gains");
}

py::array_t<double> ndcg(const Offs& ro, const Levels& ranked, const Offs& jo, const Levels& judged, int64_t k,
                         const Array<double>& table, bool exponential) {
  const Gains gain(table, exponential);
  const bool rising = gain.rising();
  Discounts discounts;
  std::vector<double> ideal;
  return each(ro, ranked, jo, judged, [&, k](const Query& q) {
    const int64_t depth = q.depth(k), best = k > 0 && k < q.judged_n ? k : q.judged_n;
    const double* discount = discounts.upto(depth > best ? depth : best);
    double ideal_dcg = 0.0;
    if (rising) {
      for (int64_t i = 0; i < best; ++i) {
        const double g = gain(q.judged[i]);
        if (g <= 0.0) break;
        ideal_dcg += g / discount[i];
      }
    } else {
      ideal.clear();
      for (int64_t i = 0; i < q.judged_n; ++i) ideal.push_back(gain(q.judged[i]));
      std::sort(ideal.begin(), ideal.end(), std::greater<>());
      for (int64_t i = 0; i < best && ideal[static_cast<size_t>(i)] > 0.0; ++i) {
        ideal_dcg += ideal[static_cast<size_t>(i)] / discount[i];
      }
    }
    if (ideal_dcg <= 0.0) return 0.0;
    double dcg = 0.0;
    for (int64_t i = 0; i < depth; ++i) {
      const double g = gain(q.ranked[i]);
      if (g != 0.0) dcg += g / discount[i];
    }
    if (!std::isfinite(ideal_dcg) || !std::isfinite(dcg)) throw py::value_error(too_large(q, exponential));
    return dcg / ideal_dcg;
  });
}

double reciprocal_rank(const Query& q, int64_t k, int32_t level) {
  for (int64_t i = 0; i < q.depth(k); ++i) {
    if (q.ranked[i] >= level) return 1.0 / static_cast<double>(i + 1);
  }
  return 0.0;
}

double average_precision(const Query& q, int64_t k, int32_t level) {
  int64_t found = 0;
  double sum = 0.0;
  for (int64_t i = 0; i < q.depth(k); ++i) {
    if (q.ranked[i] >= level) sum += static_cast<double>(++found) / static_cast<double>(i + 1);
  }
  return found == 0 ? 0.0 : sum / static_cast<double>(q.relevant(level));
}

double found_within(const Query& q, int64_t k, int32_t level) {
  int64_t found = 0;
  for (int64_t i = 0; i < q.depth(k); ++i) found += q.ranked[i] >= level;
  return static_cast<double>(found);
}

double bpref(const Query& q, int64_t, int32_t level) {
  const int64_t relevant = q.relevant(level), nonrelevant = q.judged_n - relevant;
  if (relevant == 0) return 0.0;
  const double bound = static_cast<double>(std::min(nonrelevant, relevant));
  int64_t above = 0;
  double sum = 0.0;
  for (int64_t i = 0; i < q.n; ++i) {
    if (q.ranked[i] < 0) continue;  // unpooled or unjudged
    if (q.ranked[i] < level) {
      ++above;
    } else {
      sum += above > 0 ? 1.0 - static_cast<double>(std::min(above, relevant)) / bound : 1.0;
    }
  }
  return sum / static_cast<double>(relevant);
}

template <double (*measure)(const Query&, int64_t, int32_t)>
py::array_t<double> plain(const Offs& ro, const Levels& ranked, const Offs& jo, const Levels& judged, int64_t k,
                          int32_t level) {
  return each(ro, ranked, jo, judged, [=](const Query& q) { return measure(q, k, level); });
}

py::array_t<double> err(const Offs& ro, const Levels& ranked, const Offs& jo, const Levels& judged, int64_t k,
                        int32_t max_level) {
  const double scale = std::exp2(static_cast<double>(max_level));
  return each(ro, ranked, jo, judged, [=](const Query& q) {
    double sum = 0.0, stays = 1.0;
    for (int64_t i = 0; i < q.depth(k); ++i) {
      const int32_t level = q.ranked[i] < 0 ? 0 : std::min(q.ranked[i], max_level);
      const double stops = (std::exp2(static_cast<double>(level)) - 1.0) / scale;
      sum += stops * stays / static_cast<double>(i + 1);
      stays *= 1.0 - stops;
    }
    return sum;
  });
}

py::array_t<double> rbp(const Offs& ro, const Levels& ranked, const Offs& jo, const Levels& judged, int64_t k,
                        int32_t level, double p, int32_t max_level) {
  return each(ro, ranked, jo, judged, [=](const Query& q) {
    double sum = 0.0, weight = 1.0;
    for (int64_t i = 0; i < q.depth(k); ++i) {
      if (max_level > 0 && q.ranked[i] > 0) {
        sum += weight * static_cast<double>(std::min(q.ranked[i], max_level)) / static_cast<double>(max_level);
      } else if (max_level == 0 && q.ranked[i] >= level) {
        sum += weight;
      }
      weight *= p;
    }
    return (1.0 - p) * sum;
  });
}

py::array_t<double> relevant_count(const Offs& ro, const Levels& ranked, const Offs& jo, const Levels& judged,
                                   int32_t level) {
  return each(ro, ranked, jo, judged, [=](const Query& q) { return static_cast<double>(q.relevant(level)); });
}

}  // namespace

void bind_measures(py::module_& m) {
  const auto def = [&m](const char* name, auto function, auto... more) {
    m.def(name, function, py::arg("ranked_offsets"), py::arg("ranked"), py::arg("judged_offsets"), py::arg("judged"),
          more...);
  };
  def("ndcg", &ndcg, py::arg("k"), py::arg("gains"), py::arg("exponential"));
  def("reciprocal_rank", &plain<reciprocal_rank>, py::arg("k"), py::arg("level"));
  def("average_precision", &plain<average_precision>, py::arg("k"), py::arg("level"));
  def("found_within", &plain<found_within>, py::arg("k"), py::arg("level"));
  def("bpref", &plain<bpref>, py::arg("k"), py::arg("level"));
  def("err", &err, py::arg("k"), py::arg("max_level"));
  def("rbp", &rbp, py::arg("k"), py::arg("level"), py::arg("p"), py::arg("max_level"));
  def("relevant_count", &relevant_count, py::arg("level"));
}

}  // namespace rranker
