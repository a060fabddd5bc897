// Finds the one id that an answer chooses or excludes: the first of the strongest evidence.
#include "mentions.hpp"
#include "parse.hpp"

namespace rranker {
namespace {

Strength strength(const Mention& m) {
  const bool letter = m.form == Form::kLetter;
  if (letter && !m.capital && !m.alone) return kNone;
  if (letter && (m.id == 0 || m.id == 8) && !m.alone) return kNone;  // A film, I think
  if (m.said == Said::kChosen && !m.note) return kSaid;
  if (m.leads && m.closes && !m.weak) return kOwnLine;
  if (m.said == Said::kSuperlative && !m.note) return kFits;
  if (m.form == Form::kMarked) return m.said == Said::kContext || m.note ? kBeside : kNamedChoice;
  if (m.weak || (letter && !m.leads) || m.said == Said::kContext) return kCounting;
  return kBare;
}

}  // namespace

Choice find_choice(std::string_view answer, int64_t n, int64_t base) {
  const Mentions mentions = find_mentions(answer, n, base);
  Choice choice;
  const Mention* stranger = nullptr;  // the first id that names no candidate
  for (const Mention& m : mentions.all) {
    const Strength found = strength(m);
    const bool marked = m.form == Form::kMarked;
    if (m.id < 0 || m.id >= n) {
      if (stranger == nullptr && (marked || found >= kOwnLine)) stranger = &m;
      if (!(found == kSaid || (found == kOwnLine && marked))) continue;
    }
    if (found > choice.strength) choice = {m.id, found, m.bracketed, mentions.first_word < m.place};
  }
  if (choice.strength == kNone && stranger != nullptr) choice = {stranger->id, kCounting, false, false};
  return choice;
}

}  // namespace rranker
