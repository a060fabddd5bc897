// Plain forms: full-width characters, digits of other scripts, keycaps, circled numbers and HTML's &gt; as ASCII.
#include <algorithm>
#include <array>

#include "parse.hpp"

namespace rranker {
namespace {

// The zeros of Unicode 14's decimal digits beyond ASCII and the full-width ones; 1 to 9 follow each.
constexpr std::array<uint32_t, 64> kZeros = {
    0x0660,  0x06F0,  0x07C0,  0x0966,  0x09E6,  0x0A66,  0x0AE6,  0x0B66,  0x0BE6,  0x0C66,  0x0CE6,
    0x0D66,  0x0DE6,  0x0E50,  0x0ED0,  0x0F20,  0x1040,  0x1090,  0x17E0,  0x1810,  0x1946,  0x19D0,
    0x1A80,  0x1A90,  0x1B50,  0x1BB0,  0x1C40,  0x1C50,  0xA620,  0xA8D0,  0xA900,  0xA9D0,  0xA9F0,
    0xAA50,  0xABF0,  0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0,
    0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0, 0x16B50,
    0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0};

struct Decoded {
  uint32_t code = 0;
  size_t bytes = 1;  // 1 also where the bytes are no UTF-8: they stay as they are
};

Decoded decode(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const uint32_t a = byte(at);
  const size_t bytes = a >= 0xF0 && a < 0xF8 ? 4 : a >= 0xE0 ? 3 : a >= 0xC2 ? 2 : 1;
  if (bytes == 1 || a >= 0xF8) return {a, 1};
  uint32_t code = a & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(at + i) & 0xC0u) != 0x80u) return {a, 1};
    code = (code << 6) | (byte(at + i) & 0x3Fu);
  }
  return {code, bytes};
}

int script_digit(uint32_t code) {
  const auto next = std::upper_bound(kZeros.begin(), kZeros.end(), code);
  if (next == kZeros.begin()) return -1;
  const uint32_t value = code - *(next - 1);
  return value < 10 ? static_cast<int>(value) : -1;
}

char full_width(uint32_t code) {
  if (code >= 0xFF01 && code <= 0xFF5E) return static_cast<char>(code - 0xFF01 + '!');
  switch (code) {
    case 0x3000: return ' ';                // ideographic space
    case 0x3001: return ',';                // ideographic comma
    case 0x3010: case 0x300C: return '[';   // lenticular and corner brackets
    case 0x3011: case 0x300D: return ']';
    default: return 0;
  }
}

// Other signs that mean an ASCII one; they are no repair.
const char* sign(uint32_t code) {
  switch (code) {
    case 0x00A0: case 0x202F: case 0x2009: return " ";
    case 0x060C: return ",";
    case 0x066B: return ".";
    case 0x227A: case 0x2264: case 0x226A: case 0xFE64: return "<";
    case 0x227B: case 0x2265: case 0x226B: case 0xFE65: return ">";
    case 0x2192: case 0x21D2: case 0x2794: case 0x27A1: return ">";
    case 0x2116: return "#";  // the numero sign
    case 0x3002: return ". ";
    case 0xFE0F: case 0x20E3: case 0x200E: case 0x200F: case 0x061C: return "";  // keycaps, marks of direction
    default: return nullptr;
  }
}

}  // namespace

std::string to_plain(std::string_view text, std::vector<RepairNote>& notes) {
  std::string out;
  out.reserve(text.size());
  bool wide = false, script = false;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '&' && (text.substr(i, 4) == "&gt;" || text.substr(i, 4) == "&lt;")) {
      out.push_back(text[i + 1] == 'g' ? '>' : '<');
      i += 4;
      continue;
    }
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      out.push_back(text[i++]);
      continue;
    }
    const auto [code, bytes] = decode(text, i);
    if (bytes == 1) {
      out.push_back(text[i++]);
      continue;
    }
    if (const char ascii = full_width(code)) {
      out.push_back(ascii);
      wide = true;
    } else if (const int digit = script_digit(code); digit >= 0) {
      out.push_back(static_cast<char>('0' + digit));
      script = true;
    } else if (code >= 0x2460 && code <= 0x2473) {  // circled 1 to 20
      out += ' ' + std::to_string(code - 0x2460 + 1) + ' ';
      script = true;
    } else if (const char* plain = sign(code)) {
      out += plain;
    } else {
      out.append(text.substr(i, bytes));
    }
    i += bytes;
  }
  if (wide) notes.push_back({"full_width", -1});
  if (script) notes.push_back({"digits", -1});
  return out;
}

}  // namespace rranker
