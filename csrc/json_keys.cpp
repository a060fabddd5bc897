#include "json_keys.hpp"

#include <algorithm>
#include <cmath>

#include "words.hpp"

namespace rranker {

Key read_key(std::string_view key) {
  Key out;
  bool score = false, relevance = false;
  for (size_t i = 0; i < key.size();) {
    size_t end = i;
    if (is_digit(key[i])) {
      int64_t value = 0;
      for (; end < key.size() && is_digit(key[end]); ++end) {
        value = std::min<int64_t>(value * 10 + key[end] - '0', 1 << 30);
      }
      out.number = value;
    } else {
      const auto goes_on = [&] { return end == i || !is_upper(key[end]) || is_upper(key[end - 1]); };
      while (end < key.size() && is_letter(key[end]) && goes_on()) ++end;
      const std::string_view word = key.substr(i, end - i);
      const uint32_t bits = meaning(word);
      const bool vague = (bits & kScore) && word.size() > 8 && (word[1] | 32) == 'e' && (word[2] | 32) == 'l';
      (vague ? relevance : score) |= (bits & kScore) != 0;
      out.bits |= bits;
      if (ordinal(word) > 0) out.number = ordinal(word);
    }
    i = std::max(end, i + 1);
  }
  const uint32_t b = out.bits;
  out.priority = b & kText ? 1 : b & kId ? 3 : b & kNoun ? 2 : 0;
  if (score) {
    out.role = Role::kScore;
  } else if ((b & kNote) || ((b & kCount) && !(b & (kRank | kOrdinal)))) {
    out.role = Role::kNote;
  } else if (b & (kVerb | kLabel)) {
    out.role = Role::kChooses;
  } else if (b & (kWorst | kBest)) {
    out.role = Role::kFits;
  } else if (b & kList) {
    out.role = Role::kList;
  } else if (relevance) {
    out.role = Role::kScore;
  } else if (b & (kRank | kOrdinal)) {
    out.role = Role::kRank;
  } else if (out.priority > 0) {
    out.role = Role::kId;
  }
  return out;
}

std::optional<double> leading_number(std::string_view text) {
  size_t i = !text.empty() && text[0] == '-' ? 1 : 0;
  if (i >= text.size() || !is_digit(text[i])) return std::nullopt;
  double value = 0.0, unit = 1.0;
  for (; i < text.size() && is_digit(text[i]); ++i) value = value * 10.0 + (text[i] - '0');
  if (i < text.size() && text[i] == '.') {
    for (++i; i < text.size() && is_digit(text[i]); ++i) value += (unit /= 10.0) * (text[i] - '0');
  }
  if (i + 2 < text.size() && (text[i] | 32) == 'e' && text[i + 1] == '-' && is_digit(text[i + 2])) {
    value *= std::pow(10.0, -(text[i + 2] - '0'));
  }
  return text[0] == '-' ? -value : value;
}

}  // namespace rranker
