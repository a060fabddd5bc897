// Finds the candidates' own texts in an answer: whole lines, then substrings, then the closest line.
#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "parse.hpp"

namespace rranker {
namespace {

constexpr size_t kCompared = 512;    // bytes of a text that the closest match looks at
constexpr size_t kRetries = 1000;    // occurrences inside longer words that are passed over
constexpr double kClosest = 0.5;     // least bigram overlap (Dice) of a closest match

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
  for (int64_t id : by_length) {
    const std::string& want = wanted[static_cast<size_t>(id)];
    size_t from = 0;
    for (size_t tries = 0; tries < kRetries && from < text.size(); ++tries) {
      const void* hit = memmem(text.data() + from, text.size() - from, want.data(), want.size());
      if (hit == nullptr) break;
      const size_t at = static_cast<size_t>(static_cast<const char*>(hit) - text.data()), end = at + want.size();
      const bool inside = (at > 0 && alnum(text[at - 1]) && alnum(want.front())) ||
                          (end < text.size() && alnum(text[end]) && alnum(want.back()));
      if (!inside) {
        take(at, id, "substring");
        std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(at), want.size(), '\x01');
        for (Line& line : lines) line.used |= at >= line.begin && at < line.begin + line.size;
        break;
      }
      from = at + 1;
    }
  }
  // 3. The closest candidate of each line that is still unread: it contains the line, or shares its bigrams.
  std::vector<std::vector<uint16_t>> grams(static_cast<size_t>(n));
  size_t budget = static_cast<size_t>(2 * n + 16);
  for (const Line& line : lines) {
    if (line.used || line.size < 3 || found.size() == static_cast<size_t>(n) || budget-- == 0) continue;
    const std::string_view body = std::string_view(text).substr(line.begin, std::min(line.size, kCompared));
    const auto mine = bigrams(body);
    double best = kClosest;
    int64_t id = -1;
    for (int64_t i = 0; i < n; ++i) {
      if (taken[static_cast<size_t>(i)]) continue;
      const std::string& want = wanted[static_cast<size_t>(i)];
      const bool within = want.size() >= body.size() &&
                          memmem(want.data(), want.size(), body.data(), body.size()) != nullptr;
      auto& theirs = grams[static_cast<size_t>(i)];
      if (theirs.empty()) theirs = bigrams(want);
      const double score = within ? 1.0 : dice(mine, theirs);
      if (score > best) best = score, id = i;
    }
    if (id >= 0) take(line.begin, id, best == 1.0 ? "substring" : "closest");
    if (budget == 0) break;
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
