// What a word of an answer may mean for a reader: a noun for candidates, a verb of choosing, a score, ...
#pragma once
#include <cstdint>
#include <string_view>

namespace rranker {

// A word may mean several things at once.
enum Meaning : uint32_t {
  kNoun = 1u << 0,      // passage, document, candidate: the id after it is a named candidate
  kFiller = 1u << 1,    // stands between the ids of one list without ending it
  kScore = 1u << 2,     // score, confidence: the number after it is no id
  kRank = 1u << 3,      // rank, place, top: the number after it counts places
  kLabel = 1u << 4,     // answer, choice: what follows `answer:` or `answer is` is chosen
  kVerb = 1u << 5,      // exclude, choose: what follows is chosen
  kWorst = 1u << 6,     // least, worst, exclude
  kBest = 1u << 7,      // most, best
  kLink = 1u << 8,      // is, the, should be: keeps a candidate and what is said of it together
  kBreak = 1u << 9,     // because, while: what is said before it does not reach past it
  kContext = 1u << 10,  // than, of, not: the candidate after it is mentioned, not chosen
  kNote = 1u << 11,     // note, explanation: what follows is about the list, not the list
  kList = 1u << 12,     // ranking, order: a list follows
  kCount = 1u << 13,    // all, first, page: the number after it counts or names something else
  kOrdinal = 1u << 14,  // first, second; `ordinal` has its number
  kPronoun = 1u << 15,  // it, this: the candidate named last
  kTo = 1u << 16,       // to, as in `from least to most`
  kUpward = 1u << 17,   // ascending
  kId = 1u << 18,       // id, index: as a key it names a candidate before all other keys
  kText = 1u << 19,     // title, text: as a key it holds a candidate's words
  kVerbOf = 1u << 20,   // contains, discusses: the number before it may be a candidate, not a count
};

// The meanings of one word, upper or lower case; 0 when it has none here. `passage_id_` means what its last part does.
uint32_t meaning(std::string_view word);

// 1 for `first` to 10 for `tenth`; 0 for every other word.
int64_t ordinal(std::string_view word);

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
inline bool is_letter(char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }
inline bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

}  // namespace rranker
