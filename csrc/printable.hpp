// Bytes of a file as they may stand in an error message: valid UTF-8 for Python, on one line, of bounded length.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace rranker {

// Length of the valid UTF-8 character at the start of `text`; 0 when there is none.
inline size_t character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t size = lead < 0x80 ? 1 : lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3
                      : lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
  if (size == 0 || size > text.size()) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
  if (lead == 0xED && byte(1) >= 0xA0) return 0;  // surrogates
  if (lead == 0xF0 && byte(1) < 0x90) return 0;  // overlong
  if (lead == 0xF4 && byte(1) >= 0x90) return 0;  // beyond U+10FFFF
  return size;
}

// `text` with control characters and bytes that are not UTF-8 as \xNN, cut after some 80 bytes.
inline std::string printable(std::string_view text) {
  constexpr size_t kLongest = 80;
  constexpr const char* kHex = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    if (out.size() >= kLongest) return out + "...";
    const size_t size = character(text);
    const auto lead = static_cast<unsigned char>(text.front());
    if (size == 0 || lead < 0x20 || lead == 0x7F) {
      out += {'\\', 'x', kHex[lead >> 4], kHex[lead & 15]};
      text.remove_prefix(1);
    } else {
      out += text.substr(0, size);
      text.remove_prefix(size);
    }
  }
  return out;
}

}  // namespace rranker
