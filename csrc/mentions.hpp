// Every id that an answer mentions, how it is written and what is said of it: the ground of lists and choices.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "words.hpp"

namespace rranker {

enum class Form : uint8_t {
  kMarked,  // [2], passage 2, candidate B, #2
  kNumber,  // 2
  kLetter,  // B
};

enum class Said : uint8_t {
  kNothing,
  kContext,      // than [2], of [1], [2] and [3]: mentioned beside another
  kSuperlative,  // [2] is the least relevant
  kChosen,       // exclude [2]; answer: [2]
};

struct Mention {
  Mention(int64_t id_, size_t place_, Form form_) : id(id_), place(place_), form(form_) {}

  int64_t id;  // from 0; -1 and huge values are out of range
  size_t place;
  Form form;
  int32_t run = 0;      // mentions of one run have only separators and filler words between them
  int32_t column = 0;   // a new one begins with each numbering from 1 and each label of a list
  Said said = Said::kNothing;
  bool bracketed = false;
  bool named = false;     // by a noun
  bool leads = false;     // the first thing on its line, but for numbering and nouns
  bool closes = false;    // the last thing on its line
  bool pauses = false;    // a sentence, or what stands before brackets, ends with it
  bool numbered = false;  // its line is numbered
  bool alone = false;     // a letter with punctuation after it
  bool capital = false;   // an upper-case letter
  bool weak = false;      // a number that counts something, by the words around it
  bool worst = false;     // what is said of it is that it fits least, or goes
  bool note = false;      // in a note, an explanation, a reason
};

struct Run {
  size_t first = 0, last = 0;  // mentions [first, last)
  int greater = 0, less = 0;   // `>` and `<` between them
  bool labelled = false;       // a label and a colon stand right before it
  bool upward = false;         // announced as `from least to most relevant`
};

struct Mentions {
  std::vector<Mention> all;
  std::vector<Run> runs;
  size_t first_word = std::string_view::npos;  // place of the first word that belongs to no list
};

// One linear scan. Numbers count from `base`; ranges such as [1-3] are written out while they add up to few times `n`.
Mentions find_mentions(std::string_view text, int64_t n, int64_t base);

}  // namespace rranker
