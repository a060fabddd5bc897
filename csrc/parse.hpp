// Shared by the parser's parts: the cleaned answer, what was found in it, and the list of repairs.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rranker {

// A repair, by kind; `value` is the candidate (from 0) or the number read, -1 where neither applies.
struct RepairNote {
  const char* kind;
  int64_t value;
};

// Ids as listed by the model, from 0 (out-of-range ones included), and how they were written.
struct Listing {
  std::vector<int64_t> ids;
  int64_t hits = 0;        // distinct ids within range
  bool bracketed = false;  // written as [3]
  bool prose = false;      // other text stands before the list
  bool counting = false;   // 1, 2, 3, ... before other words: may be the numbering of lines, not ids
};

// Full-width letters, digits and punctuation become ASCII; says whether any were there.
std::string to_ascii_width(std::string_view text, bool& changed);

// The part that answers: after the thought, inside <answer> when there is one.
std::string_view answer_part(std::string_view text, std::vector<RepairNote>& notes);

// Ids in the answer: numbers or letters, in chains (`[3] > [1]`) or leading lines (`1. [3] because ...`).
Listing find_ids(std::string_view answer, int64_t n, int64_t base);

// The candidates' own texts in the answer: whole lines, then substrings, then the closest by bigrams.
Listing find_texts(std::string_view answer, const std::vector<std::string_view>& candidates,
                   std::vector<RepairNote>& notes);

}  // namespace rranker
