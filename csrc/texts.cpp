// Finds the candidates' own texts in an answer: whole lines, then parts of lines, then the closest of a line.
#include <algorithm>
#include <cstddef>
#include <string>
#include <unordered_map>

#include "closest.hpp"
#include "parse.hpp"

namespace rranker {
namespace {

constexpr size_t kRetries = 1000;  // places of its rarest word where a candidate is looked for

bool alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
}

// Lower case (ASCII), blanks collapsed and trimmed; newlines survive where `lines` asks for it.
std::string squash(std::string_view text, bool lines) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    const bool newline = c == '\n' && lines;
    const bool blank = !newline && (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f');
    if (blank && (out.empty() || out.back() == ' ' || out.back() == '\n')) continue;
    if (newline && !out.empty() && out.back() == ' ') out.pop_back();
    out.push_back(blank ? ' ' : c);
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == '\n')) out.pop_back();
  return out;
}

// A line without bullets, numbering and quotes.
std::string_view bare(std::string_view line) {
  const auto strip = [](char c) { return c == ' ' || c == '-' || c == '*' || c == '"' || c == '\'' || c == '`' ||
                                         c == '[' || c == ']' || c == ','; };
  while (!line.empty() && strip(line.front())) line.remove_prefix(1);
  size_t d = 0;
  while (d < line.size() && line[d] >= '0' && line[d] <= '9') ++d;
  if (d > 0 && d < line.size() && (line[d] == '.' || line[d] == ')' || line[d] == ':')) {
    line.remove_prefix(d + 1);
    while (!line.empty() && strip(line.front())) line.remove_prefix(1);
  }
  while (!line.empty() && (strip(line.back()) || line.back() == '.')) line.remove_suffix(1);
  return line;
}

// A word of a text: a longest run of letters, digits and bytes of multi-byte characters.
template <typename Use>
void each_word(std::string_view text, Use use) {
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && alnum(text[end])) ++end;
    if (end > at) use(at, text.substr(at, end - at));
    at = std::max(end, at + 1);
  }
}

struct Found {
  size_t place;
  int64_t id;
  const char* repair;  // nullptr: an exact match
};

}  // namespace

Listing find_texts(std::string_view answer, const std::vector<std::string_view>& candidates,
                   std::vector<RepairNote>& notes) {
  std::string text = squash(answer, true);
  const int64_t n = static_cast<int64_t>(candidates.size());
  std::vector<std::string> wanted;
  for (auto candidate : candidates) wanted.push_back(squash(candidate, false));

  struct Line {
    size_t begin;
    size_t size;
    bool used;
  };
  std::vector<Line> lines;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = bare(std::string_view(text).substr(at, end - at));
    if (!line.empty()) lines.push_back({static_cast<size_t>(line.data() - text.data()), line.size(), false});
    at = end + 1;
  }
  std::vector<Found> found;
  std::vector<char> taken(static_cast<size_t>(n), 0);
  const auto take = [&](size_t place, int64_t id, const char* repair) {
    found.push_back({place, id, repair});
    taken[static_cast<size_t>(id)] = 1;
  };

  // 1. Whole lines. Equal candidates stand in input order, so a text named twice takes both.
  std::unordered_map<std::string_view, std::vector<int64_t>> exact;
  for (int64_t i = n - 1; i >= 0; --i) exact[bare(wanted[static_cast<size_t>(i)])].push_back(i);
  for (Line& line : lines) {
    auto hit = exact.find(std::string_view(text).substr(line.begin, line.size));
    if (hit == exact.end() || hit->first.empty() || hit->second.empty()) continue;
    take(line.begin, hit->second.back(), nullptr);
    hit->second.pop_back();
    line.used = true;
  }
  for (const Line& line : lines) {
    if (line.used) std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(line.begin), line.size, '\x01');
  }
  // 2. Substrings, the longest candidates first; what matched is blanked out.
  std::vector<int64_t> by_length;
  for (int64_t i = 0; i < n; ++i) {
    if (!taken[static_cast<size_t>(i)] && wanted[static_cast<size_t>(i)].size() > 1) by_length.push_back(i);
  }
  std::stable_sort(by_length.begin(), by_length.end(), [&](int64_t a, int64_t b) {
    return wanted[static_cast<size_t>(a)].size() > wanted[static_cast<size_t>(b)].size();
  });
  // A candidate can only stand where its rarest word does; with a word that the text lacks it stands nowhere.
  std::unordered_map<std::string, std::vector<size_t>> places;
  if (!by_length.empty()) {
    each_word(text, [&](size_t at, std::string_view word) { places[std::string(word)].push_back(at); });
  }
  for (int64_t id : by_length) {
    const std::string& want = wanted[static_cast<size_t>(id)];
    static const std::vector<size_t> nowhere;
    const std::vector<size_t>* rarest = nullptr;
    size_t offset = 0;
    each_word(want, [&](size_t at, std::string_view word) {
      const auto hit = places.find(std::string(word));
      const auto* here = hit == places.end() ? &nowhere : &hit->second;
      if (rarest == nullptr || here->size() < rarest->size()) rarest = here, offset = at;
    });
    if (rarest == nullptr) continue;  // of signs alone: whole lines only
    for (size_t tries = 0; tries < std::min(kRetries, rarest->size()); ++tries) {
      if ((*rarest)[tries] < offset) continue;
      const size_t at = (*rarest)[tries] - offset, end = at + want.size();
      if (text.compare(at, want.size(), want) != 0) continue;
      const bool inside = (at > 0 && alnum(text[at - 1]) && alnum(want.front())) ||
                          (end < text.size() && alnum(text[end]) && alnum(want.back()));
      if (inside) continue;
      take(at, id, "substring");
      std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(at), want.size(), '\x01');
      const auto next = std::upper_bound(lines.begin(), lines.end(), at,
                                         [](size_t place, const Line& line) { return place < line.begin; });
      if (next != lines.begin() && at < (next - 1)->begin + (next - 1)->size) (next - 1)->used = true;
      break;
    }
  }
  // 3. The closest candidate of each line that is still unread.
  Closest closest(wanted);
  size_t budget = static_cast<size_t>(2 * n + 16);
  for (const Line& line : lines) {
    if (line.used || line.size < 3 || found.size() == static_cast<size_t>(n)) continue;
    if (budget-- == 0) break;
    const auto match = closest.find(std::string_view(text).substr(line.begin, line.size), taken);
    if (match.id >= 0) take(line.begin, match.id, match.whole ? "substring" : "closest");
  }
  std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.place < b.place; });
  Listing listing;
  for (const Found& f : found) {
    listing.ids.push_back(f.id);
    if (f.repair != nullptr) notes.push_back({f.repair, f.id});
  }
  listing.hits = static_cast<int64_t>(found.size());
  return listing;
}

}  // namespace rranker
