// Decimal text -> double, the whole text and nothing but it, whatever the program's locale says.
#pragma once
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>
#include <system_error>
#ifdef __APPLE__  // whose C++ library has no from_chars for doubles on the systems our wheels run on
#include <cstdlib>
#include <string>
#include <xlocale.h>
#endif

namespace rranker {

// Is a number that no double can hold too small for one (or too large)? Decided by the place of its first digit.
inline bool underflows(std::string_view text) {
  const size_t mark = text.find_first_of("eE");
  const std::string_view digits = text.substr(0, mark);
  int64_t exponent = 0;
  if (mark != std::string_view::npos) {
    std::string_view power = text.substr(mark + 1);
    if (!power.empty() && power.front() == '+') power.remove_prefix(1);
    const auto error = std::from_chars(power.data(), power.data() + power.size(), exponent).ec;
    if (error != std::errc()) return !power.empty() && power.front() == '-';
  }
  const size_t point = digits.find('.') == std::string_view::npos ? digits.size() : digits.find('.');
  const size_t first = digits.find_first_of("123456789");
  if (first == std::string_view::npos) return true;
  return static_cast<double>(exponent) + static_cast<double>(point) - static_cast<double>(first) < 0.0;
}

// Reads what C's strtod reads of decimals, "inf" and "nan"; false when that is not all there is.
inline bool read_double(std::string_view text, double& value) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  if (text.empty() || text.front() == '+') return false;
#ifndef __APPLE__
  const char* stop = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), stop, value);
  if (end != stop || error == std::errc::invalid_argument) return false;
  if (error == std::errc::result_out_of_range) {
    value = underflows(text) ? 0.0 : std::numeric_limits<double>::infinity();
    if (text.front() == '-') value = -value;
  }
  return true;
#else
  if (text.find_first_of("xX \t\v\f") != std::string_view::npos) return false;  // more than from_chars reads
  static const locale_t plain = newlocale(LC_ALL_MASK, "C", nullptr);
  const std::string copy(text);
  char* end = nullptr;
  value = strtod_l(copy.c_str(), &end, plain);
  return end == copy.c_str() + copy.size();
#endif
}

}  // namespace rranker
