// What a sentence says of the candidates it mentions: `exclude [2]`, `[2] is the least relevant`, `than [2]`.
#pragma once
#include <string_view>
#include <vector>

#include "mentions.hpp"

namespace rranker {

// Fed with the words, mentions and punctuation of a text in order; marks the mentions.
class Clause {
 public:
  explicit Clause(std::vector<Mention>& mentions) : mentions_(mentions) {}

  void word(std::string_view word, uint32_t bits);
  void mention();  // the last of `mentions` was just added
  void comma();
  void sentence_end();
  void line_end(char last_sign);  // the last sign on the line that is no blank

 private:
  void say(Said said, bool worst);  // of the candidate before
  void forget() {
    pending_ = Said::kNothing;
    worst_ = label_ = false;
  }

  static constexpr int kReach = 12;        // words between `exclude` and its candidate
  static constexpr int32_t kGroup = 64;    // mentions that one verb may be said of

  std::vector<Mention>& mentions_;
  Said pending_ = Said::kNothing;  // said of the next candidate
  bool worst_ = false;
  bool label_ = false;    // pending from a label: only `:` and `is` may stand before the candidate
  int words_ = 0;         // since `pending_`
  int64_t subject_ = -1;  // the candidate that the words are about, while only link words followed it
  bool single_ = false;   // `it`: the subject alone, not its group
  int links_ = 0;
  bool comma_ = false;
  bool context_ = false;
  bool not_ = false;
  bool at_ = false;
};

}  // namespace rranker
