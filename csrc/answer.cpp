// What part of a model's text is its answer: full-width characters, <think> and <answer>.
#include "parse.hpp"

namespace rranker {

std::string to_ascii_width(std::string_view text, bool& changed) {
  std::string out;
  out.reserve(text.size());
  changed = false;
  for (size_t i = 0; i < text.size();) {
    const auto a = static_cast<unsigned char>(text[i]);
    if (i + 2 < text.size() && (a == 0xEF || a == 0xE3)) {
      const auto b = static_cast<unsigned char>(text[i + 1]);
      const auto c = static_cast<unsigned char>(text[i + 2]);
      const bool tail = (b & 0xC0) == 0x80 && (c & 0xC0) == 0x80;
      const uint32_t code = ((a & 0x0Fu) << 12) | ((b & 0x3Fu) << 6) | (c & 0x3Fu);
      char ascii = 0;
      if (code >= 0xFF01 && code <= 0xFF5E) ascii = static_cast<char>(code - 0xFF01 + '!');
      if (code == 0x3000) ascii = ' ';                    // ideographic space
      if (code == 0x3001) ascii = ',';                    // ideographic comma
      if (code == 0x3010 || code == 0x300C) ascii = '[';  // lenticular and corner brackets
      if (code == 0x3011 || code == 0x300D) ascii = ']';
      if (tail && ascii) {
        out.push_back(ascii);
        changed = true;
        i += 3;
        continue;
      }
    }
    out.push_back(text[i++]);
  }
  return out;
}

std::string_view answer_part(std::string_view text, std::vector<RepairNote>& notes) {
  constexpr std::string_view close_think = "</think>", open_think = "<think>";
  constexpr std::string_view open_answer = "<answer>", close_answer = "</answer>";
  const size_t closed = text.rfind(close_think);
  const size_t opened = text.rfind(open_think);
  if (closed != std::string_view::npos && (opened == std::string_view::npos || opened < closed)) {
    text.remove_prefix(closed + close_think.size());
  } else if (opened != std::string_view::npos) {
    notes.push_back({"unclosed_think", -1});
    text.remove_prefix(opened + open_think.size());
  }
  const size_t start = text.rfind(open_answer);
  if (start != std::string_view::npos) {
    text.remove_prefix(start + open_answer.size());
    const size_t end = text.find(close_answer);
    if (end == std::string_view::npos) {
      notes.push_back({"unclosed_answer", -1});
    } else {
      text = text.substr(0, end);
    }
  }
  return text;
}

}  // namespace rranker
