// Numbers and brackets of an answer, and what tells an id from a score, a count or a line's numbering.
#include <iterator>

#include "scanner.hpp"

namespace rranker {
namespace {

constexpr int64_t kHuge = 1'000'000'000;
constexpr size_t kGap = 6;  // signs between a noun and its id, as in `passage: **(2`

}  // namespace

int64_t Scanner::digits(size_t& i) const {
  int64_t value = 0;
  for (; is_digit(peek(i)); ++i) value = value > kHuge ? value : value * 10 + (peek(i) - '0');
  return value;
}

bool Scanner::alone(size_t i) const {
  constexpr std::string_view signs = ".):,>\n\r|*\";<}]!=`";
  return signs.find(peek(i)) != std::string_view::npos;
}

bool Scanner::named(size_t place) const {
  if (place > 0 && s_[place - 1] == '#') return true;
  if (noun_end_ == 0 || place - noun_end_ > kGap) return false;
  constexpr std::string_view signs = " #:(\"'*_-=`\t{";
  for (size_t i = noun_end_; i < place; ++i) {
    const bool dot = s_[i] == '.' && i == noun_end_;  // no. 3
    if (!dot && signs.find(s_[i]) == std::string_view::npos) return false;
  }
  return true;
}

bool Scanner::inherits() const {
  if (found_.all.empty() || found_.all.back().run != run_ || !found_.all.back().named) return false;
  const char sign = before_sign_;
  return sign == ',' || sign == '>' || sign == '<' || sign == '&' || sign == 'a' || sign == 'o';  // and, or
}

bool Scanner::touches(size_t place) const {
  if (word_end_ == 0 || place - word_end_ > kGap) return false;
  return skip_blanks(word_end_) == place;
}

bool Scanner::listed_on(size_t i) const {
  i = skip_blanks(i);
  if (peek(i) != ',' && peek(i) != '>' && peek(i) != '<') return false;
  i = skip_blanks(i + 1);
  return is_digit(peek(i)) || peek(i) == '[';
}

bool Scanner::id_follows(size_t i) const {
  constexpr std::string_view signs = " \t\"'*`#:(_|";
  for (int words = 0; words < 4; ++words) {
    while (signs.find(peek(i)) != std::string_view::npos) ++i;
    if (peek(i) == '[') return true;
    if (is_digit(peek(i))) {
      for (int guard = 0; is_digit(peek(i)) && guard < 12; ++guard) ++i;
      return !(peek(i) == '.' && is_digit(peek(i + 1)));
    }
    size_t w = i;
    while (is_letter(peek(w)) && w - i < 12) ++w;
    if (w - i == 1) return is_digit(peek(w)) || (!is_word(w) && peek(w) != '\'');
    if (w == i || !(meaning(s_.substr(i, w - i)) & kFiller)) return false;
    i = w;
  }
  return false;
}

// The end of `1/10`, `1 out of 10` or `1 of 4`, whose first number ends at `end`; `end` where there is none.
size_t Scanner::fraction_end(size_t start, size_t end) const {
  size_t i = skip_blanks(end);
  if (peek(end) == '/') {
    i = end + 1;
  } else if (s_.substr(i, 7) == "out of ") {
    i += 7;
  } else if (s_.substr(i, 3) == "of ") {
    i += 3;
  } else {
    return end;
  }
  if (!is_digit(peek(i))) return end;
  digits(i);
  const bool chain = peek(end) == '/' && (peek(i) == '/' || (start > 0 && s_[start - 1] == '/'));  // 3/1/2
  return chain ? end : i;
}

// `1 flaw`, `top 3`, `5-star`, `4 out of 5`: by the words around it the number is no id.
bool Scanner::counts_something(size_t start, size_t end) const {
  const std::string_view before = touches(start) ? s_.substr(0, word_end_) : std::string_view();
  if (!before.empty() && (last_bits_ & (kCount | kOrdinal))) return true;
  if (before.size() > 2 && before.substr(before.size() - 3) == " of") return true;
  if (peek(end) == '-' && is_word(end + 1)) return true;
  size_t w = skip_blanks(end);
  if (!is_word(w)) return false;
  size_t stop = w;
  while (is_word(stop) && stop - w < 32) ++stop;
  const std::string_view after = s_.substr(w, stop - w);
  const uint32_t bits = meaning(after);
  return bits == 0 || after == "of" || after == "out" || (bits & (kScore | kCount)) != 0;
}

void Scanner::number() {
  const size_t start = at_;
  see(s_[start]);
  const int64_t value = digits(at_);
  if (peek(at_) == '.' && is_digit(peek(at_ + 1))) {  // a decimal: a score, never an id
    while (is_digit(peek(at_)) || (peek(at_) == '.' && is_digit(peek(at_ + 1)))) ++at_;
    return;
  }
  if (is_letter(peek(at_)) || peek(at_) == '_') {
    const size_t end = word_end(at_);
    const std::string_view suffix = s_.substr(at_, end - at_);
    at_ = end;
    if (suffix == "st" || suffix == "nd" || suffix == "rd" || suffix == "th") {  // 3rd: an ordinal, as `third`
      ordinal_ = value - base_ + 1;
      ordinal_start_ = start;
      ordinal_end_ = at_;
      return;
    }
    while (is_word(at_) || is_digit(peek(at_))) ++at_;  // 4o
    clause_.word(suffix, 0);
    return interrupt(start);
  }
  const char next = peek(at_);
  if (const size_t end = fraction_end(start, at_); end > at_ && !named(start)) {
    at_ = end;
    return;
  }
  const bool hash = start > 0 && s_[start - 1] == '#';
  const bool counts = value == 1 || value == counter_ + 1;
  const bool here = leading_ || (counter_ > 0 && value == counter_ + 1);
  const char after = peek(skip_blanks(at_));
  const bool delimited = next == '.' || next == ')' || next == ':' || after == '|';
  const bool ranks = hash && (after == '[' || is_letter(after));  // #1 [3]
  if (here && counts && !named(start - hash) && ((delimited && id_follows(at_ + 1)) || (ranks && id_follows(at_)))) {
    counter_ = value;
    numbered_ = true;
    column_ += value == 1;
    return;  // list numbering, as in `2. [7]`; the id still leads its line
  }
  if (next == '%') return;
  const bool goes_on = listed_on(at_);
  if (!goes_on && touches(start) && (last_bits_ & kRank)) {  // rank 2, top 3
    numbered_ = true;
    return;
  }
  const bool marked = named(start) || inherits();
  if (!marked && valued_ && !goes_on) return;
  Mention m(value - base_, start, marked ? Form::kMarked : Form::kNumber);
  m.named = marked;
  if (!marked) {
    const size_t w = skip_blanks(at_);
    if (is_word(w)) {
      const size_t end = std::min(word_end(w), w + 32);
      if (meaning(s_.substr(w, end - w)) & kNoun) return;  // 20 passages
    }
    m.weak = counts_something(start, at_);
  }
  m.weak ? place(m) : add(m);
}

bool Scanner::bracket_item(size_t& i, std::vector<int64_t>& ids) {
  constexpr std::string_view signs = " \t\"'#:._*`-";
  while (is_blank(peek(i)) || peek(i) == '"' || peek(i) == '\'') ++i;
  const size_t from = i;
  bool negative = false;
  for (int words = 0; words < 3 && is_letter(peek(i)); ++words) {
    size_t w = i;
    while (is_letter(peek(w)) && w - i < 12) ++w;
    if (w - i == 1 && !is_digit(peek(w))) {
      ids.push_back((s_[i] | 32) - 'a');
      i = w;
      return i > from;
    }
    if (w - i > 1 && !(meaning(s_.substr(i, w - i)) & kFiller)) return false;
    i = w;
    while (signs.find(peek(i)) != std::string_view::npos) ++i;
  }
  while (is_blank(peek(i)) || peek(i) == '#' || peek(i) == '-') negative |= peek(i++) == '-' && i - 1 == from;
  if (!is_digit(peek(i))) return false;
  const int64_t first = digits(i);
  if (peek(i) == '.' && peek(i + 1) == '0') {  // 3.0
    ++i;
    while (peek(i) == '0') ++i;
    if (is_digit(peek(i))) return false;
  }
  size_t j = skip_blanks(i);
  const bool dash = peek(j) == '-', en = s_.substr(j, 3) == "\xE2\x80\x93";
  if ((dash || en) && !negative) {
    j = skip_blanks(j + (en ? 3 : 1));
    if (!is_digit(peek(j))) return false;
    const int64_t last = digits(j), span = (last > first ? last - first : first - last) + 1;
    i = j;
    if (span > range_budget_) {  // a range of more than there are: its ends alone
      ids.push_back(first - base_);
      ids.push_back(last - base_);
      return true;
    }
    range_budget_ -= span;
    for (int64_t k = 0; k < span; ++k) ids.push_back((last > first ? first + k : first - k) - base_);
    return true;
  }
  ids.push_back(negative ? -1 : first - base_);
  return true;
}

bool Scanner::bracket() {
  const size_t start = at_;
  std::vector<int64_t> ids;
  size_t i = at_ + 1;
  for (;;) {
    if (!bracket_item(i, ids)) break;
    while (is_blank(peek(i)) || peek(i) == '"' || peek(i) == '\'') ++i;
    if (peek(i) == ']') {
      at_ = i + 1;
      see(']');
      for (const int64_t id : ids) {
        Mention m(id, start, Form::kMarked);
        m.bracketed = true;
        add(m);
      }
      return true;
    }
    if (peek(i) != ',' && peek(i) != ';' && peek(i) != '>') break;
    ++i;
  }
  return false;
}

}  // namespace rranker
