// Finds the ranked ids of an answer: of its runs, columns and sentences, the one that is most of a list.
#include <algorithm>
#include <array>

#include "mentions.hpp"
#include "parse.hpp"

namespace rranker {
namespace {

// Counts distinct in-range ids; a fresh stamp a count keeps it linear.
struct Distinct {
  explicit Distinct(int64_t size) : stamp(static_cast<size_t>(size), 0), n(size) {}
  int64_t add(int64_t id) {
    if (id < 0 || id >= n || stamp[static_cast<size_t>(id)] == now) return 0;
    stamp[static_cast<size_t>(id)] = now;
    return 1;
  }
  std::vector<int64_t> stamp;
  int64_t now = 0, n;
};

using Picked = std::vector<size_t>;  // places in the mentions

// A list of mentions, and how much of a list it is.
struct Candidate {
  Picked picked;
  Form form = Form::kNumber;
  int64_t hits = 0;
  bool real = false;    // a ranking: ordered by `>`, labelled, numbered, or lines of its own
  bool strong = false;  // of those, one that says that it is an order
  bool column = false;
  bool reversed = false;
};

class Chooser {
 public:
  Chooser(const Mentions& mentions, std::string_view answer, int64_t n) : m_(mentions), answer_(answer), distinct_(n) {}

  Candidate choose() {
    for (const Run& run : m_.runs) consider(of_run(run));
    for (size_t first = 0; first < m_.all.size();) {
      size_t last = first;
      while (last < m_.all.size() && m_.all[last].column == m_.all[first].column) ++last;
      consider(of_column(first, last));
      first = last;
    }
    if (!best_.real) {
      Candidate told = of_sentences();
      if (told.hits > best_.hits) best_ = std::move(told);
    }
    return std::move(best_);
  }

 private:
  // Fills in the form that names most, and its mentions.
  void settle(Candidate& c, const Picked& from, bool lines) {
    std::array<int64_t, 3> hits{}, seen{};
    for (int form = 0; form < 3; ++form) {
      ++distinct_.now;
      for (const size_t t : from) {
        const Mention& m = m_.all[t];
        if (static_cast<int>(m.form) != form || skipped(m, lines)) continue;
        ++seen[static_cast<size_t>(form)];
        hits[static_cast<size_t>(form)] += distinct_.add(m.id);
      }
    }
    const auto marked = static_cast<size_t>(Form::kMarked), number = static_cast<size_t>(Form::kNumber);
    const auto letter = static_cast<size_t>(Form::kLetter);
    // A lone bare letter is an article or a pronoun unless it is all there is.
    if (hits[letter] == 1 && seen[letter] == 1 && (m_.all.size() > 1 || m_.first_word < answer_.size())) {
      const Mention& m = m_.all[from.front()];
      const bool word = (m.id == 0 || m.id == 8) && !m.alone;  // A film, I think
      if (lines || from.size() > 1 || !m.capital || word) hits[letter] = 0;
    }
    c.form = hits[letter] > hits[number] ? Form::kLetter : Form::kNumber;
    if (seen[marked] > 0) c.form = Form::kMarked;
    c.hits = hits[static_cast<size_t>(c.form)];
    for (const size_t t : from) {
      if (m_.all[t].form == c.form && !skipped(m_.all[t], lines)) c.picked.push_back(t);
    }
  }

  static bool skipped(const Mention& m, bool lines) {
    if (m.weak && !m.leads) return true;
    return lines && m.form == Form::kLetter && !m.alone;
  }

  Candidate of_run(const Run& run) {
    Candidate c;
    Picked from;
    for (size_t t = run.first; t < run.last; ++t) from.push_back(t);
    settle(c, from, false);
    const bool downward = run.greater > 0 && run.less == 0;
    c.reversed = (run.less > 0 && run.greater == 0) || (run.upward && !downward);
    c.strong = downward || c.reversed || run.labelled;
    const Mention& last = m_.all[run.last - 1];
    const bool own_lines = m_.all[run.first].leads && (last.closes || last.pauses);
    c.real = is_list(c) && !m_.all[run.first].note && (c.strong || own_lines);
    return c;
  }

  Candidate of_column(size_t first, size_t last) {
    Candidate c;
    c.column = true;
    Picked from;
    for (size_t t = first; t < last; ++t) {
      if (m_.all[t].leads) from.push_back(t);
    }
    if (from.empty()) return c;
    settle(c, from, true);
    if (c.picked.empty()) return c;
    bool rising = true;  // [1] ..., [2] ..., [3] ...: a walk through the candidates
    for (size_t i = 1; i < c.picked.size(); ++i) rising &= m_.all[c.picked[i]].id > m_.all[c.picked[i - 1]].id;
    c.strong = m_.all[c.picked.front()].numbered;
    c.real = is_list(c) && !m_.all[c.picked.front()].note && (c.strong || !rising);
    return c;
  }

  // `[3] is best, followed by [1]; [2] is the worst`: in the order of their mention, the worst at the end.
  Candidate of_sentences() {
    Candidate c;
    Picked from;
    const auto is_marked = [](const Mention& m) { return m.form == Form::kMarked; };
    const bool marked = std::any_of(m_.all.begin(), m_.all.end(), is_marked);
    for (const bool worst : {false, true}) {
      for (size_t t = 0; t < m_.all.size(); ++t) {
        const Mention& m = m_.all[t];
        if (m.form != (marked ? Form::kMarked : Form::kNumber) || m.weak || m.note) continue;
        if (worst_ids(m) == worst) from.push_back(t);
      }
    }
    settle(c, from, false);
    return c;
  }

  bool worst_ids(const Mention& m) {
    if (worst_.empty()) {
      worst_.assign(static_cast<size_t>(distinct_.n) + 1, 0);
      for (const Mention& each : m_.all) {
        if (each.worst && each.id >= 0 && each.id < distinct_.n) worst_[static_cast<size_t>(each.id)] = 1;
      }
    }
    return m.id >= 0 && m.id < distinct_.n && worst_[static_cast<size_t>(m.id)];
  }

  bool is_list(const Candidate& c) const { return c.hits >= std::min<int64_t>(2, distinct_.n); }

  // A real list before all else; then the most ids; then the stronger; of equal runs the last.
  void consider(Candidate c) {
    if (c.hits == 0 || c.real < best_.real) return;
    if (c.real == best_.real) {
      if (c.hits < best_.hits) return;
      if (c.hits == best_.hits && (c.strong < best_.strong || (c.column && c.strong == best_.strong))) return;
    }
    best_ = std::move(c);
  }

  const Mentions& m_;
  std::string_view answer_;
  Distinct distinct_;
  Candidate best_;
  std::vector<char> worst_;
};

}  // namespace

Listing find_ids(std::string_view answer, int64_t n, int64_t base) {
  const Mentions mentions = find_mentions(answer, n, base);
  Candidate best = Chooser(mentions, answer, n).choose();
  Listing listing;
  listing.hits = best.hits;
  listing.reversed = best.reversed && best.hits > 1;
  bool numbered = false;
  for (const size_t t : best.picked) {
    const Mention& m = mentions.all[t];
    listing.bracketed |= m.bracketed;
    numbered |= m.numbered;
    listing.ids.push_back(m.id);
  }
  if (!best.picked.empty()) listing.prose = mentions.first_word < mentions.all[best.picked.front()].place;
  listing.counting = best.column && !listing.bracketed && !numbered && listing.ids.size() > 1;
  for (size_t i = 0; i < listing.ids.size() && listing.counting; ++i) {
    listing.counting = listing.ids[i] + base == static_cast<int64_t>(i) + 1;
  }
  if (listing.reversed) std::reverse(listing.ids.begin(), listing.ids.end());
  // Nothing in range, but ids were written: keep them, so that each is reported.
  if (best.hits == 0) {
    listing.ids.clear();
    for (const Mention& m : mentions.all) {
      const bool only = mentions.first_word >= answer.size() && m.form == Form::kNumber;
      if (m.form == Form::kMarked || only) listing.ids.push_back(m.id);
    }
  }
  return listing;
}

bool has_prose(std::string_view text) { return find_mentions(text, 1, 1).first_word < text.size(); }

}  // namespace rranker
