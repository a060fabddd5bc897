// Finds ranked ids in an answer: one linear scan into tokens, then the chain or column with most ids wins.
#include <array>

#include "parse.hpp"

namespace rranker {
namespace {

enum Class : uint8_t { kBracket = 0, kNumber = 1, kLetter = 2 };

struct Token {
  int64_t id;     // from 0; -1 and huge values are out of range
  int32_t run;    // ids of one run have only separators and filler words between them
  Class cls;
  bool leads;     // the first thing on its line
  bool alone;     // a bare letter with nothing but punctuation after it on the line
  bool named;     // a filler word stands right before it, as in `candidate A`
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_ascii_alpha(char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }
// Bytes of multi-byte characters count as letters, except arrows and comparison signs (E2 86, E2 89).
bool is_word(char c) { return is_ascii_alpha(c) || static_cast<unsigned char>(c) >= 0x80 || c == '_'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool is_filler(std::string_view word) {
  static constexpr std::array<std::string_view, 34> fillers = {
      "and",   "then",  "passage", "document", "doc",     "candidate", "item",  "option", "movie",
      "film",  "game",  "product", "model",    "llm",     "id",        "rank",  "no",     "number",
      "index", "score", "response", "title",   "better",  "than",      "over",  "text",   "song",
      "artist", "answer", "choice", "snippet", "ranking", "order",     "docid"};
  if (word.size() > 9) return false;
  char lower[9];
  for (size_t i = 0; i < word.size(); ++i) lower[i] = is_upper(word[i]) ? char(word[i] + 32) : word[i];
  const std::string_view key(lower, word.size());
  for (auto filler : fillers) {
    if (filler == key) return true;
  }
  return false;
}

class Scanner {
 public:
  Scanner(std::string_view text, int64_t base) : s_(text), base_(base) {}

  std::vector<Token> scan() {
    while (at_ < s_.size()) step();
    return std::move(tokens_);
  }
  size_t first_word() const { return first_word_; }
  const std::vector<size_t>& places() const { return places_; }

 private:
  void step() {
    const char c = s_[at_];
    if (c == '\n') {
      leading_ = true;
      ++at_;
    } else if (c == '[') {
      if (!bracket()) ++at_;
    } else if (is_digit(c)) {
      number();
    } else if (is_word(c)) {
      word();
    } else {
      ++at_;
    }
  }

  char peek(size_t i) const { return i < s_.size() ? s_[i] : '\n'; }

  // Digits from `i`, saturating far above any list's length.
  int64_t digits(size_t& i) const {
    int64_t value = 0;
    for (; is_digit(peek(i)); ++i) value = value > 1'000'000'000 ? value : value * 10 + (peek(i) - '0');
    return value;
  }

  void add(int64_t id, Class cls, size_t place) {
    size_t before = place;
    while (before > filler_end_ && is_space(s_[before - 1])) --before;
    tokens_.push_back({id, run_, cls, leading_, alone(at_), before == filler_end_ && before > 0});
    places_.push_back(place);
    leading_ = false;
  }

  bool alone(size_t i) const {
    const char c = peek(i);
    return c == '.' || c == ')' || c == ':' || c == ',' || c == '>' || c == '\n' || c == '\r' || c == '|';
  }

  bool bracket() {
    const size_t start = at_;
    size_t i = at_ + 1;
    while (is_space(peek(i))) ++i;
    size_t word_start = i;
    while (is_ascii_alpha(peek(i))) ++i;
    int64_t id = -1;
    if (i - word_start == 1 && !is_digit(peek(i))) {
      id = (s_[word_start] | 32) - 'a';
    } else if (i == word_start || i - word_start == 1 || is_filler(s_.substr(word_start, i - word_start))) {
      while (is_space(peek(i)) || peek(i) == '#') ++i;
      const bool negative = peek(i) == '-';
      if (negative) ++i;
      if (!is_digit(peek(i))) return false;
      id = digits(i);
      id = negative ? -1 : id - base_;
    } else {
      return false;
    }
    while (is_space(peek(i))) ++i;
    if (i >= s_.size() || s_[i] != ']') return false;
    at_ = i + 1;
    add(id, kBracket, start);
    return true;
  }

  bool id_follows(size_t i) const {
    while (is_space(peek(i)) || peek(i) == '"' || peek(i) == '*') ++i;
    if (peek(i) == '[') return true;
    size_t w = i;
    while (is_ascii_alpha(peek(w)) && w - i < 10) ++w;
    if (w - i == 1) return !is_word(peek(w)) && peek(w) != '\'';
    if (w > i) {
      if (!is_filler(s_.substr(i, w - i))) return false;
      while (is_space(peek(w))) ++w;
      i = w;
    }
    if (!is_digit(peek(i))) return false;
    for (int guard = 0; is_digit(peek(i)) && guard < 12; ++guard) ++i;
    return !(peek(i) == '.' && is_digit(peek(i + 1)));
  }

  void number() {
    const size_t start = at_;
    const int64_t value = digits(at_);
    if (peek(at_) == '.' && is_digit(peek(at_ + 1))) {  // a decimal: a score, never an id
      ++at_;
      digits(at_);
      return;
    }
    if (is_word(peek(at_)) && is_ascii_alpha(peek(at_))) {  // 3rd, 4o
      while (is_word(peek(at_)) || is_digit(peek(at_))) ++at_;
      interrupt(start);
      return;
    }
    const char next = peek(at_);
    const bool counts = value == 1 || value == counter_ + 1;
    if (leading_ && counts && (next == '.' || next == ')' || next == ':') && id_follows(at_ + 1)) {
      counter_ = value;
      return;  // list numbering, as in `2. [7]`; the id still leads its line
    }
    if (next == '%') return;
    add(value - base_, kNumber, start);
  }

  void interrupt(size_t start) {
    ++run_;
    leading_ = false;
    if (first_word_ == std::string_view::npos) first_word_ = start;
  }

  void word() {
    const size_t start = at_;
    // Arrows and comparison signs separate: U+2190.. (E2 86), U+2192, U+227B (E2 89), U+2026.
    const auto a = static_cast<unsigned char>(s_[at_]), b = static_cast<unsigned char>(peek(at_ + 1));
    if (a == 0xE2 && (b == 0x86 || b == 0x87 || b == 0x89 || b == 0x80 || b == 0x9E) && at_ + 2 < s_.size()) {
      at_ += 3;
      return;
    }
    while (is_word(peek(at_))) ++at_;
    const std::string_view w = s_.substr(start, at_ - start);
    const char next = peek(at_);
    if (w.size() == 1 && is_ascii_alpha(w[0])) {
      if (is_digit(next)) return;  // D3: the digits are the id
      const bool apostrophe = next == '\'' || (start > 0 && s_[start - 1] == '\'');
      if (!apostrophe) return add((w[0] | 32) - 'a', kLetter, start);
    }
    if (is_filler(w)) {
      if (next == ':') ++run_;  // `Ranking:` opens a new list
      filler_end_ = at_;
      return;
    }
    while (is_digit(peek(at_))) ++at_;  // GPT4
    interrupt(start);
  }

  std::string_view s_;
  int64_t base_;
  size_t at_ = 0;
  size_t filler_end_ = 0;
  int32_t run_ = 0;
  int64_t counter_ = 0;
  bool leading_ = true;
  size_t first_word_ = std::string_view::npos;
  std::vector<Token> tokens_;
  std::vector<size_t> places_;
};

// Counts distinct in-range ids; a fresh stamp a count keeps it linear.
struct Distinct {
  std::vector<int64_t> stamp;
  int64_t now = 0, n;
  explicit Distinct(int64_t size) : stamp(static_cast<size_t>(size), 0), n(size) {}
  int64_t add(int64_t id) {
    if (id < 0 || id >= n || stamp[static_cast<size_t>(id)] == now) return 0;
    stamp[static_cast<size_t>(id)] = now;
    return 1;
  }
};

struct Best {
  int64_t hits = 0;
  size_t first = 0, last = 0;
  Class cls = kNumber;
  bool leading_only = false;
};

}  // namespace

Listing find_ids(std::string_view answer, int64_t n, int64_t base) {
  Scanner scanner(answer, base);
  const std::vector<Token> tokens = scanner.scan();
  Distinct distinct(n);
  Best best;
  const auto consider = [&](size_t first, size_t last, bool leading_only) {
    int64_t hits[3] = {0, 0, 0}, seen[3] = {0, 0, 0};
    for (int cls = 0; cls < 3; ++cls) {
      ++distinct.now;
      for (size_t t = first; t < last; ++t) {
        if (tokens[t].cls != cls || (leading_only && !tokens[t].leads)) continue;
        if (leading_only && cls == kLetter && !tokens[t].alone) continue;
        ++seen[cls];
        hits[cls] += distinct.add(tokens[t].id);
      }
    }
    // A lone bare letter is an article or a pronoun unless it is all there is.
    if (hits[kLetter] == 1 && seen[kLetter] == 1 && (tokens.size() > 1 || scanner.first_word() < answer.size())) {
      const Token& letter = tokens[first];
      const bool word = (letter.id == 0 || letter.id == 8) && !letter.alone && !letter.named;  // A film, I think
      const bool named = !leading_only && last - first == 1 && is_upper(answer[scanner.places()[first]]) && !word;
      if (!named) hits[kLetter] = 0;
    }
    Class cls = hits[kLetter] > hits[kNumber] ? kLetter : kNumber;
    if (seen[kBracket] > 0) cls = kBracket;
    if (hits[cls] > best.hits || (hits[cls] == best.hits && hits[cls] > 0 && !leading_only)) {
      best = {hits[cls], first, last, cls, leading_only};
    }
  };
  for (size_t first = 0; first < tokens.size();) {
    size_t last = first;
    while (last < tokens.size() && tokens[last].run == tokens[first].run) ++last;
    consider(first, last, false);
    first = last;
  }
  consider(0, tokens.size(), true);

  Listing listing;
  listing.hits = best.hits;
  listing.bracketed = best.cls == kBracket;
  for (size_t t = best.first; t < best.last && best.hits > 0; ++t) {
    if (tokens[t].cls != best.cls || (best.leading_only && !tokens[t].leads)) continue;
    if (best.leading_only && best.cls == kLetter && !tokens[t].alone) continue;
    if (listing.ids.empty()) listing.prose = scanner.first_word() < scanner.places()[t];
    listing.ids.push_back(tokens[t].id);
  }
  listing.counting = best.leading_only && best.cls == kNumber && listing.ids.size() > 1;
  for (size_t i = 0; i < listing.ids.size() && listing.counting; ++i) {
    listing.counting = listing.ids[i] + base == static_cast<int64_t>(i) + 1;
  }
  // Nothing in range, but ids were written: keep them, so that each is reported.
  if (best.hits == 0) {
    for (const Token& token : tokens) {
      const bool only = scanner.first_word() >= answer.size() && token.cls == kNumber;
      if (token.cls == kBracket || only) listing.ids.push_back(token.id);
    }
  }
  return listing;
}

}  // namespace rranker
