// The scanner behind find_mentions; `mentions.cpp` reads words and signs, `numbers.cpp` numbers and brackets.
#pragma once
#include <algorithm>
#include <string_view>
#include <vector>

#include "clause.hpp"
#include "mentions.hpp"

namespace rranker {

class Scanner {
 public:
  Scanner(std::string_view text, int64_t n, int64_t base)
      : s_(text), base_(base), range_budget_(4 * n + 64), clause_(found_.all) {}
  Mentions scan();

 private:
  // What is written at the reading position; each moves past it.
  void step();
  void sign(char c);
  void newline();
  void colon();
  void word();
  void letter(char c, size_t start);
  void number();
  bool bracket();  // false: no ids in brackets here, nothing was moved
  bool bracket_item(size_t& i, std::vector<int64_t>& ids);

  char peek(size_t i) const { return i < s_.size() ? s_[i] : '\n'; }
  bool is_word(size_t i) const;  // a byte of a word: letters, `_`, bytes of characters that are no signs
  size_t skip_blanks(size_t i) const {
    while (is_blank(peek(i))) ++i;
    return i;
  }
  size_t word_end(size_t i) const;
  int64_t digits(size_t& i) const;  // saturates far above any list's length
  bool alone(size_t i) const;       // punctuation follows
  bool named(size_t place) const;   // a noun stands before `place`
  bool touches(size_t place) const; // the last word stands right before `place`
  bool listed_on(size_t i) const;   // another id follows after `,` or `>`
  size_t fraction_end(size_t start, size_t end) const;
  bool id_follows(size_t i) const;  // so a number before it is a line's numbering
  bool inherits() const;            // `passages 3, 1`: the noun holds for the next one too
  bool counts_something(size_t start, size_t end) const;

  void see(char sign) {
    before_sign_ = last_sign_;
    last_sign_ = sign;
  }
  void interrupt(size_t start);
  void place(Mention mention);  // into its run; nothing is said of it
  void add(const Mention& mention);

  std::string_view s_;
  int64_t base_;
  int64_t range_budget_;
  Mentions found_;
  Clause clause_;
  size_t at_ = 0;
  int32_t run_ = 0, column_ = 0;
  int64_t counter_ = 0;        // of numbered lines
  uint32_t last_bits_ = 0;     // of the last word; 0 after a mention
  size_t word_end_ = 0;        // end of the last word
  size_t noun_end_ = 0;        // end of the last noun or ordinal; 0: none
  int64_t ordinal_ = 0;        // `second`, when the word before was that
  size_t ordinal_start_ = 0, ordinal_end_ = 0;
  int greater_ = 0, less_ = 0; // since the last mention
  bool leading_ = true;        // nothing but numbering and nouns on this line so far
  bool numbered_ = false;
  bool opening_ = true;        // at the first word of a sentence or line
  bool clean_ = false;         // no word since the last mention on this line
  bool worded_ = false;        // some word since the last mention
  bool valued_ = false;        // a score's number is due
  bool labelled_ = false;      // a label and a colon just before
  bool note_ = false, note_line_ = false, note_head_ = false;
  bool low_ = false, low_to_ = false, high_ = false, upward_ = false;
  char last_sign_ = '\n', before_sign_ = '\n';  // the first byte of what was read last, and before that
};

}  // namespace rranker
