// Shared by the parser's parts: the cleaned answer, what was found in it, and the list of repairs.
#pragma once
#include <cstddef>
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
  bool reversed = false;   // written worst first; `ids` is best first
};

// Evidence that a mention is the choice, weakest first. `kNamedChoice` and above beat the candidates' own texts.
enum Strength : int {
  kNone,
  kCounting,     // a number that counts something, a letter that may be a word
  kBare,         // 2
  kBeside,       // than [2]; in a note
  kNamedChoice,  // [2], passage 2
  kFits,         // [2] is the least relevant
  kOwnLine,      // [2], 2 or B, alone on its line
  kSaid,         // exclude [2]; answer: 2
};

// The one id that an answer chooses, from 0.
struct Choice {
  int64_t id = -1;        // may be out of range: an answer that clearly names [9] of 4 names nobody else
  Strength strength = kNone;
  bool bracketed = false;
  bool prose = false;
};

using Texts = std::vector<std::string_view>;

// Full-width and other typographic forms become ASCII, digits of every script 0-9; notes what was there.
std::string to_plain(std::string_view text, std::vector<RepairNote>& notes);

// The part that answers: after the thought, inside <answer> when there is one.
std::string_view answer_part(std::string_view text, std::vector<RepairNote>& notes);

// What the JSON objects of an answer say, as plain lines; empty where there are none, or they name nobody.
struct JsonReading {
  std::string list;                  // a ranking, best first, one candidate a line
  std::vector<std::string> choices;  // what keys name as chosen, the strongest keys first
  size_t place = 0;                  // where the first object begins
};
JsonReading read_json(std::string_view answer, int64_t n, int64_t base);

// Ids in the answer: numbers or letters, in chains (`[3] > [1]`) or leading lines (`1. [3] because ...`).
Listing find_ids(std::string_view answer, int64_t n, int64_t base);

// The id that the answer chooses, or excludes.
Choice find_choice(std::string_view answer, int64_t n, int64_t base);

// Whether words that belong to no list stand in the text.
bool has_prose(std::string_view text);

// The candidates' own texts in the answer: whole lines, then parts of lines, then the closest by bigrams.
Listing find_texts(std::string_view answer, const Texts& candidates, std::vector<RepairNote>& notes);

}  // namespace rranker
