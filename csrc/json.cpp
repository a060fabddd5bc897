#include "json.hpp"

#include <algorithm>

#include "words.hpp"

namespace rranker {
namespace {

constexpr size_t kLongestKey = 64;

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : s_(text) {}

  Json scan() {
    while (at_ < s_.size()) {
      if (!open_.empty()) {
        if (!step()) abandon();
        continue;
      }
      const char c = s_[at_];
      size_t i = at_ + 1;
      if (c == '[') i = skip_space(i);
      if (c == '{' || (c == '[' && peek(i) == '{')) {
        kept_ = json_.nodes.size();
        if (kept_ == 0) json_.place = at_;
        push(c, {});
      } else {
        ++at_;
      }
    }
    return std::move(json_);
  }

 private:
  char peek(size_t i) const { return i < s_.size() ? s_[i] : '\0'; }
  static bool space(char c) { return is_blank(c) || c == '\n'; }
  static bool key_char(char c) {
    return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == ' ' || c == '#' || c == '.';
  }
  size_t skip_space(size_t i) const {
    while (space(peek(i))) ++i;
    return i;
  }

  void abandon() {
    json_.nodes.resize(kept_);
    open_.clear();
  }

  void push(char bracket, std::string_view key) {
    add(bracket == '{' ? JsonNode::kObject : JsonNode::kArray, key, {});
    open_.push_back(static_cast<int64_t>(json_.nodes.size()) - 1);
    ++at_;
  }

  void add(JsonNode::Kind kind, std::string_view key, std::string_view text) {
    json_.nodes.push_back({kind, key, text, open_.empty() ? -1 : open_.back()});
  }

  // From the quote at the reading position to the one that ends the string: what follows tells it from a quote within.
  std::string_view quoted() {
    const char quote = s_[at_++];
    const size_t start = at_;
    for (; at_ < s_.size(); ++at_) {
      if (s_[at_] == '\\') {
        ++at_;
      } else if (s_[at_] == quote) {
        size_t i = at_ + 1;
        while (is_blank(peek(i))) ++i;
        const char next = peek(i);
        if (next == ',' || next == ':' || next == '}' || next == ']' || next == '\n' || i >= s_.size()) {
          return s_.substr(start, at_++ - start);
        }
      }
    }
    at_ = s_.size();
    return s_.substr(start);
  }

  bool quote_here() const { return peek(at_) == '"' || peek(at_) == '\''; }

  bool step() {
    at_ = skip_space(at_);
    while (peek(at_) == ',' || (peek(at_) == '/' && peek(at_ + 1) == '/')) {
      if (peek(at_) == '/') at_ = std::min(s_.find('\n', at_), s_.size());
      at_ = skip_space(at_ < s_.size() ? at_ + 1 : at_);
    }
    if (at_ >= s_.size()) return true;
    const bool object = json_.nodes[static_cast<size_t>(open_.back())].kind == JsonNode::kObject;
    if (s_[at_] == (object ? '}' : ']')) {
      open_.pop_back();
      ++at_;
      return true;
    }
    std::string_view key;
    if (object) {
      if (quote_here()) {
        key = quoted();
      } else {
        const size_t start = at_;
        while (key_char(peek(at_)) && at_ - start < kLongestKey) ++at_;
        key = s_.substr(start, at_ - start);
        if (key.empty()) return false;
      }
      at_ = skip_space(at_);
      if (peek(at_) != ':') return false;
      at_ = skip_space(at_ + 1);
      if (at_ >= s_.size()) return true;
    }
    return value(key);
  }

  bool value(std::string_view key) {
    const char c = s_[at_];
    if (c == '{' || c == '[') {
      push(c, key);
    } else if (quote_here()) {
      add(JsonNode::kString, key, quoted());
    } else {
      return bare(key);
    }
    return true;
  }

  // A number, a literal, or words without quotes.
  bool bare(std::string_view key) {
    const size_t start = at_;
    while (at_ < s_.size() && s_[at_] != ',' && s_[at_] != '}' && s_[at_] != ']' && s_[at_] != '\n') {
      if (s_[at_] == '[' || s_[at_] == '{' || s_[at_] == '>' || s_[at_] == ':') return false;
      ++at_;
    }
    std::string_view text = s_.substr(start, at_ - start);
    while (!text.empty() && space(text.back())) text.remove_suffix(1);
    if (text.empty()) return at_ > start;
    size_t i = text[0] == '-' ? 1 : 0;
    while (i < text.size() && (is_digit(text[i]) || text[i] == '.')) ++i;
    const bool number = i == text.size() && is_digit(text.back());
    const bool other = text == "null" || text == "None" || text == "true" || text == "false" || text == "True" ||
                       text == "False";
    add(number ? JsonNode::kNumber : other ? JsonNode::kOther : JsonNode::kString, key, text);
    return true;
  }

  std::string_view s_;
  size_t at_ = 0;
  size_t kept_ = 0;  // nodes of what was read to its end
  std::vector<int64_t> open_;
  Json json_;
};

}  // namespace

Json scan_json(std::string_view text) {
  if (text.find('{') == std::string_view::npos) return {};
  return JsonScanner(text).scan();
}

std::string unescaped(std::string_view raw) {
  std::string out;
  for (size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '\\' && i + 1 < raw.size()) {
      c = raw[++i];
      if (c == 'n' || c == 't' || c == 'r') c = ' ';
    }
    out.push_back(c == '\n' || c == '\r' ? ' ' : c);
  }
  return out;
}

}  // namespace rranker
