// One linear scan of an answer: words, signs, and the runs and columns that mentions stand in.
#include "scanner.hpp"

namespace rranker {

bool Scanner::is_word(size_t i) const {
  const char c = peek(i);
  if (is_letter(c) || c == '_') return true;
  const auto a = static_cast<unsigned char>(c), b = static_cast<unsigned char>(peek(i + 1));
  if (a < 0x80) return false;
  // Signs: Latin-1's (C2), dashes, arrows and dingbats (E2 80..AF), CJK punctuation (E3 80), emoji (F0 9F).
  return !(a == 0xC2 || (a == 0xE2 && b < 0xB0) || (a == 0xE3 && b == 0x80) || (a == 0xF0 && b == 0x9F));
}

size_t Scanner::word_end(size_t i) const {
  while (is_word(i)) ++i;
  return i;
}

Mentions Scanner::scan() {
  while (at_ < s_.size()) step();
  newline();
  return std::move(found_);
}

void Scanner::step() {
  const char c = s_[at_];
  if (c == '[' && bracket()) return;
  if (is_digit(c)) return number();
  if (is_word(at_)) return word();
  if (c == '\n') {
    ++at_;
    return newline();
  }
  sign(c);
  // A sign of several bytes is passed over whole: its last bytes would look like a word's.
  const auto a = static_cast<unsigned char>(c);
  at_ += a < 0x80 ? 1 : a == 0xC2 ? 2 : a == 0xF0 ? 4 : a >= 0xE0 ? 3 : 1;
  at_ = std::min(at_, s_.size());
}

void Scanner::sign(char c) {
  const char next = peek(at_ + 1);
  if (c == '>') ++greater_;
  if (c == '<') ++less_;
  if (c == ',') clause_.comma();
  if (c == ':') colon();
  if (clean_ && (c == '(' || c == '.' || c == ';')) found_.all.back().pauses = true;
  const bool ends = c == ';' || c == '!' || c == '?' || (c == '.' && !(last_bits_ & kId && word_end_ == at_));
  if (ends && (is_blank(next) || next == '\n' || next == '"' || next == ')' || next == '*')) {
    clause_.sentence_end();
    opening_ = true;
    valued_ = low_ = low_to_ = high_ = note_line_ = false;
  }
  if (!is_blank(c)) see(c);
}

void Scanner::newline() {
  if (clean_ && !found_.all.empty()) found_.all.back().closes = true;
  if (note_head_ && !worded_) note_ = true;
  clause_.line_end(last_sign_);
  const bool open = last_sign_ == ':' || labelled_;
  if (!open) valued_ = upward_ = false;
  low_ = low_to_ = high_ = note_line_ = note_head_ = clean_ = numbered_ = false;
  leading_ = opening_ = true;
}

void Scanner::colon() {
  if (word_end_ == 0 || last_bits_ & (kScore | kRank)) return;
  const bool list = last_bits_ & (kList | kLabel);
  if (note_head_) {
    note_ = true;
    ++run_, ++column_;
  } else if (list || worded_) {
    ++run_, ++column_;
    if (list) note_ = note_line_ = false;
    labelled_ = !(last_bits_ & (kWorst | kBest));
  }
}

void Scanner::interrupt(size_t start) {
  ++run_;
  leading_ = opening_ = clean_ = labelled_ = false;
  worded_ = true;
  if (found_.first_word == std::string_view::npos) found_.first_word = start;
}

void Scanner::word() {
  const size_t start = at_;
  at_ = word_end(at_);
  see(s_[start]);
  const std::string_view w = s_.substr(start, at_ - start);
  const char before = start > 0 ? s_[start - 1] : '\n', next = peek(at_);
  if (w.size() == 1 && is_letter(w[0]) && before != '\'' && next != '\'') {
    if ((before == '<' || before == '/') && next == '>') return;  // <b>
    if (!is_digit(next)) return letter(w[0], start);
    const char code = static_cast<char>(w[0] | 32);
    if (code == 'd' || code == 'p' || code == 'c') noun_end_ = at_;  // D3: the digits are the id
    return;
  }
  const uint32_t bits = meaning(w);
  const bool opens = opening_;
  // A chain ends with its line where the next line begins with a noun: `passages [1] and [2] were read`.
  const bool joined = before_sign_ == '>' || before_sign_ == '<' || before_sign_ == ',';
  if (leading_ && (bits & kNoun) && !joined && !found_.runs.empty()) {
    const Run& run = found_.runs.back();
    if (found_.all.back().run == run_ && run.greater + run.less > 0) ++run_;
  }
  if (is_digit(next) && !(bits & kNoun)) {  // GPT4, Qwen2.5
    while (is_digit(peek(at_)) || (peek(at_) == '.' && is_digit(peek(at_ + 1)))) ++at_;
    clause_.word(w, 0);
    valued_ = false;
    return interrupt(start);
  }
  clause_.word(w, bits);
  const bool counted = (bits & kNoun) && ordinal_ > 0 && skip_blanks(ordinal_end_) == start && !id_follows(at_);
  if (counted) add({ordinal_ - 1, ordinal_start_, Form::kMarked});  // the second passage
  ordinal_ = ordinal(w);
  ordinal_end_ = at_;
  ordinal_start_ = start;
  if (bits & kNoun) noun_end_ = at_;
  if (bits & (kScore | kRank)) {
    valued_ = true;
  } else if (!(bits & (kLink | kContext))) {
    valued_ = false;
  }
  if ((bits & kWorst) && !(bits & kVerb)) low_ = !high_;
  if ((bits & kTo) && low_) low_to_ = true;
  if (bits & kBest) {
    upward_ |= low_to_;
    high_ = true;
  }
  upward_ |= (bits & kUpward) != 0 || (low_ && ordinal_ == 1);
  if (w == "than" || w == "over" || w == "succ" || w == "gt" || w == "beats") ++greater_;
  if (bits & kNote && opens) note_head_ = note_line_ = true;
  last_bits_ = bits;
  word_end_ = at_;
  if (bits & kFiller) {
    opening_ = false;
    return;
  }
  if (note_head_ && !(bits & kNote) && w != "of" && w != "for" && w != "the") note_head_ = false;
  interrupt(start);
  if (note_head_) worded_ = false;
}

void Scanner::letter(char c, size_t start) {
  const bool single = alone(at_), upper = is_upper(c);
  const bool article = c == 'A' || c == 'I' || c == 'a' || c == 'i';
  const bool follows = upper && (single || !article) && inherits();
  const size_t next = skip_blanks(at_), end = word_end(next);
  const uint32_t bits = end - next > 1 ? meaning(s_.substr(next, end - next)) : 0;
  const bool subject = c == 'A' && ((bits & kBreak) || s_.substr(next, end - next) == "is");  // A, because; A is
  const bool marked = follows || (named(start) && (single || subject || (upper && c != 'I')));
  if (!marked && !single && !subject && (article || !upper)) {
    clause_.word(s_.substr(start, 1), kLink);
    if (article && end - next > 1 && !(bits & kFiller)) return interrupt(start);  // A film, I think
    return place({(c | 32) - 'a', start, Form::kLetter});    // of a list perhaps, but nothing is said of it
  }
  Mention m{(c | 32) - 'a', start, marked ? Form::kMarked : Form::kLetter};
  m.alone = single || subject;
  m.capital = upper;
  add(m);
}

void Scanner::place(Mention m) {
  const bool joins = !found_.all.empty() && found_.all.back().run == run_;
  if (!joins) {
    found_.runs.push_back({found_.all.size(), found_.all.size(), 0, 0, labelled_, upward_});
  } else {
    found_.runs.back().greater += greater_ > 0;
    found_.runs.back().less += less_ > 0;
  }
  m.run = run_;
  m.column = column_;
  m.leads = leading_;
  m.numbered = numbered_;
  m.note = note_ || note_line_;
  found_.all.push_back(m);
  found_.runs.back().last = found_.all.size();
  greater_ = less_ = 0;
  leading_ = opening_ = false;
}

void Scanner::add(const Mention& m) {
  place(m);
  clause_.mention();
  last_bits_ = 0;
  noun_end_ = 0;
  ordinal_ = 0;
  worded_ = labelled_ = valued_ = upward_ = low_ = low_to_ = high_ = false;
  clean_ = true;
}

Mentions find_mentions(std::string_view text, int64_t n, int64_t base) { return Scanner(text, n, base).scan(); }

}  // namespace rranker
