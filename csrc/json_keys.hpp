// What a JSON key says of its value, and a value's leading number.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace rranker {

enum class Role { kUnknown, kChooses, kFits, kList, kRank, kScore, kId, kNote };

struct Key {
  Role role = Role::kUnknown;
  uint32_t bits = 0;
  int64_t number = -1;  // in `rank_2`, `first`
  int priority = 0;     // of keys that name a candidate: id 3, passage 2, title 1
};

// By the words of the key: `least_relevant`, `doc-id`, `finalRanking`.
Key read_key(std::string_view key);

// The number a text begins with (`0.9`, `9/10`, `95%`, `1st`).
std::optional<double> leading_number(std::string_view text);

}  // namespace rranker
