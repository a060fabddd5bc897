#include "clause.hpp"

#include <algorithm>

namespace rranker {

void Clause::say(Said said, bool worst) {
  int64_t first = subject_;
  const Mention& subject = mentions_[static_cast<size_t>(subject_)];
  if (!single_ && subject.said != Said::kContext) {
    const auto joins = [&](const Mention& m) { return m.run == subject.run && m.said != Said::kContext; };
    while (first > 0 && subject_ - first < kGroup && joins(mentions_[static_cast<size_t>(first - 1)])) --first;
  }
  for (int64_t i = first; i <= subject_; ++i) {
    Mention& mention = mentions_[static_cast<size_t>(i)];
    mention.said = std::max(mention.said, said);
    mention.worst |= worst;
  }
}

void Clause::word(std::string_view word, uint32_t bits) {
  const bool negated = not_, at = at_;
  if (comma_ && (word == "I" || word == "we")) subject_ = -1;  // [1] and [2], I would exclude
  not_ = word == "not";
  at_ = word == "at" || word == "At";
  if (at && (bits & (kWorst | kBest))) bits = 0;  // at least, at best
  if (negated && (word == "relevant" || word == "related")) bits = kWorst;
  if (bits & kBreak) {
    forget();
    subject_ = -1;
  }
  if (bits & (kVerb | kLabel | kWorst | kBest)) {
    const bool chooses = bits & (kVerb | kLabel);
    const Said said = chooses ? Said::kChosen : Said::kSuperlative;
    context_ = false;
    // `among [1] and [2], the least relevant is`: said of one that is still to come
    const bool beside = subject_ >= 0 && comma_ && mentions_[static_cast<size_t>(subject_)].said == Said::kContext;
    if (subject_ >= 0 && !beside && (links_ > 0 || (!comma_ && !chooses))) return say(said, bits & kWorst);
    label_ = chooses ? !(bits & kVerb) : label_ && pending_ == Said::kChosen;
    pending_ = std::max(pending_, said);
    worst_ |= (bits & kWorst) != 0;
    words_ = 0;
    subject_ = -1;
    return;
  }
  const bool transparent = bits & (kLink | kNoun | kFiller | kScore);
  if (bits & kContext) {
    context_ = true;
  } else if (!transparent) {
    context_ = false;
  }
  if ((bits & kPronoun) && !mentions_.empty()) {
    subject_ = static_cast<int64_t>(mentions_.size()) - 1;
    single_ = true;
    links_ = 0;
    comma_ = false;
  } else if (word == "and" || word == "then") {
    comma();
  } else if (transparent && !(bits & kContext)) {
    ++links_;
  } else {
    subject_ = not_ ? subject_ : -1;
    if (label_ && !(bits & kContext)) forget();
    if (++words_ > kReach) forget();
  }
}

void Clause::mention() {
  Mention& mention = mentions_.back();
  const size_t size = mentions_.size();
  const bool continues = size > 1 && mentions_[size - 2].run == mention.run;
  if (context_ || (continues && mentions_[size - 2].said == Said::kContext)) {
    mention.said = Said::kContext;
  } else if (pending_ != Said::kNothing) {
    mention.said = pending_;
    mention.worst = worst_;
    forget();
  }
  context_ = false;
  subject_ = static_cast<int64_t>(size) - 1;
  single_ = false;
  links_ = 0;
  comma_ = false;
}

void Clause::comma() {
  links_ = 0;
  comma_ = true;
  if (label_) forget();
}

void Clause::sentence_end() {
  forget();
  subject_ = -1;
  context_ = false;
}

void Clause::line_end(char last_sign) {
  constexpr std::string_view opens = ":*#=->\"";
  subject_ = -1;
  context_ = false;
  if (!label_ && opens.find(last_sign) == std::string_view::npos) forget();
}

}  // namespace rranker
