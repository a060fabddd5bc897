#include "closest.hpp"

#include <algorithm>

namespace rranker {
namespace {

constexpr size_t kCompared = 512;    // bytes of a text that are compared
constexpr double kLeast = 0.5;       // bigram overlap (Dice) that a closest match must exceed
constexpr size_t kAll = 64;          // up to so many candidates are all compared with a line
constexpr size_t kShortlist = 32;    // of more, those that share most of the line's rarest bigrams
constexpr size_t kVisits = 4096;     // entries of the bigrams' lists that a line may look at

std::vector<uint16_t> bigrams(std::string_view text) {
  text = text.substr(0, kCompared);
  std::vector<uint16_t> out;
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    out.push_back(static_cast<uint16_t>((static_cast<unsigned char>(text[i]) << 8) |
                                        static_cast<unsigned char>(text[i + 1])));
  }
  std::sort(out.begin(), out.end());
  return out;
}

double dice(const std::vector<uint16_t>& a, const std::vector<uint16_t>& b) {
  size_t i = 0, j = 0, both = 0;
  while (i < a.size() && j < b.size()) {
    if (a[i] == b[j]) {
      ++both, ++i, ++j;
    } else if (a[i] < b[j]) {
      ++i;
    } else {
      ++j;
    }
  }
  return a.empty() || b.empty() ? 0.0 : 2.0 * static_cast<double>(both) / static_cast<double>(a.size() + b.size());
}

// Knuth, Morris and Pratt: whether `part` stands in a text, in time linear in both.
class Part {
 public:
  explicit Part(std::string_view part) : part_(part), back_(part.size() + 1, 0) {
    for (size_t i = 1, k = 0; i < part_.size(); ++i) {
      while (k > 0 && part_[i] != part_[k]) k = back_[k];
      k += part_[i] == part_[k];
      back_[i + 1] = k;
    }
  }
  bool within(std::string_view text) const {
    size_t k = 0;
    for (const char c : text) {
      while (k > 0 && c != part_[k]) k = back_[k];
      k += c == part_[k];
      if (k == part_.size()) return true;
    }
    return false;
  }

 private:
  std::string_view part_;
  std::vector<size_t> back_;
};

}  // namespace

const Closest::Grams& Closest::grams(size_t id) {
  if (grams_[id].empty()) grams_[id] = bigrams(wanted_[id]);
  return grams_[id];
}

void Closest::index() {
  constexpr size_t kinds = 1u << 16;
  offsets_.assign(kinds + 1, 0);
  shared_.assign(wanted_.size(), 0);
  const auto each = [&](auto&& use) {
    for (size_t id = 0; id < wanted_.size(); ++id) {
      const Grams& all = grams(id);
      for (size_t i = 0; i < all.size(); ++i) {
        if (i == 0 || all[i] != all[i - 1]) use(all[i], id);
      }
    }
  };
  each([&](uint16_t gram, size_t) { ++offsets_[gram + 1u]; });
  for (size_t g = 0; g < kinds; ++g) offsets_[g + 1] += offsets_[g];
  ids_.resize(offsets_.back());
  std::vector<size_t> at(offsets_.begin(), offsets_.end() - 1);
  each([&](uint16_t gram, size_t id) { ids_[at[gram]++] = static_cast<uint32_t>(id); });
}

std::vector<size_t> Closest::shortlist(const Grams& line, const std::vector<char>& taken) {
  std::vector<size_t> out;
  if (wanted_.size() <= kAll) {
    for (size_t id = 0; id < wanted_.size(); ++id) {
      if (!taken[id]) out.push_back(id);
    }
    return out;
  }
  if (offsets_.empty()) index();
  Grams kinds = line;
  kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
  const auto size = [&](uint16_t g) { return offsets_[g + 1u] - offsets_[g]; };
  std::stable_sort(kinds.begin(), kinds.end(), [&](uint16_t a, uint16_t b) { return size(a) < size(b); });
  size_t visits = 0;
  for (const uint16_t gram : kinds) {
    for (size_t i = offsets_[gram]; i < offsets_[gram + 1u] && visits < kVisits; ++i, ++visits) {
      const size_t id = ids_[i];
      if (!taken[id] && shared_[id]++ == 0) out.push_back(id);
    }
  }
  const auto more = [&](size_t a, size_t b) { return shared_[a] != shared_[b] ? shared_[a] > shared_[b] : a < b; };
  const std::vector<size_t> touched = out;
  if (out.size() > kShortlist) {
    std::nth_element(out.begin(), out.begin() + kShortlist, out.end(), more);
    out.resize(kShortlist);
  }
  for (const size_t id : touched) shared_[id] = 0;
  std::sort(out.begin(), out.end());
  return out;
}

Closest::Match Closest::find(std::string_view line, const std::vector<char>& taken) {
  line = line.substr(0, kCompared);
  const Grams own = bigrams(line);
  const Part part(line);
  Match match;
  double best = kLeast;
  for (const size_t id : shortlist(own, taken)) {
    const bool whole = wanted_[id].size() >= line.size() && part.within(wanted_[id]);
    const double score = whole ? 1.0 : dice(own, grams(id));
    if (score > best) best = score, match = {static_cast<int64_t>(id), best == 1.0};
  }
  return match;
}

}  // namespace rranker
