// Python bindings of rranker's C++ extension: one registration function per concept.
#include "arrays.hpp"

PYBIND11_MODULE(_C, m) {
  m.doc() = "rranker's C++ extension: permutations, plan arrays, rewards, metrics";
  rranker::bind_permutation(m);
  rranker::bind_parse(m);
  rranker::bind_batch(m);
  rranker::bind_attention_work(m);
  rranker::bind_rewards(m);
  rranker::bind_advantages(m);
  rranker::bind_join_qrels(m);
  rranker::bind_measures(m);
  rranker::bind_trec(m);
  rranker::bind_significance(m);
}
