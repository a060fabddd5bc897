// The candidate whose text is closest to a line: it contains the line, or shares most of its bigrams.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rranker {

class Closest {
 public:
  // `wanted` are the candidates' texts, squashed as the lines are; they must outlive this object.
  explicit Closest(const std::vector<std::string>& wanted) : wanted_(wanted), grams_(wanted.size()) {}

  struct Match {
    int64_t id = -1;  // -1: none is close
    bool whole = false;  // the candidate contains the line
  };
  // The closest of those not taken, the first of equals.
  Match find(std::string_view line, const std::vector<char>& taken);

 private:
  using Grams = std::vector<uint16_t>;  // sorted, with repeats
  const Grams& grams(size_t id);
  void index();
  std::vector<size_t> shortlist(const Grams& line, const std::vector<char>& taken);

  const std::vector<std::string>& wanted_;
  std::vector<Grams> grams_;
  std::vector<size_t> offsets_;     // postings of bigram g: ids_[offsets_[g], offsets_[g + 1])
  std::vector<uint32_t> ids_;
  std::vector<uint32_t> shared_;    // scratch, zero between calls
};

}  // namespace rranker
