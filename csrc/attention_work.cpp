// The attention kernel's work list of one step: tiles of rows over cells of stored keys. What its arrays mean says
// kernels/attention/work.py; the plain reference that it equals is tests/support/metadata_reference.py.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "arrays.hpp"

namespace rranker {
namespace {

using I64 = Array<int64_t>;
using Ints = std::vector<int64_t>;
constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
constexpr int64_t kNothing = -1;

// Chunks first … last - 1, neighbours of one query that see the same segments.
struct Span {
  int64_t first, last, query, rows, anchor, split;
  bool alike(const Span& other) const {
    return query == other.query && rows == other.rows && anchor == other.anchor && split == other.split;
  }
};

// Rows first … first + count - 1 over splits[split_begin … split_end - 1].
struct Tile {
  int64_t first, count, split_begin, split_end, own, cost;
};

struct Limits {
  int64_t cell, split, tiles, sets, parts;
};

struct Work {
  std::vector<std::vector<int32_t>> arrays;
  std::vector<std::array<int64_t, 4>> waves;
  int64_t largest, most_parts, keys;
};

class Planner {
 public:
  Planner(Offsets rows, Ints queries, Ints visible, Offsets seen, Ints starts, Ints lengths, const Limits& limits)
      : rows_(std::move(rows)), queries_(std::move(queries)), visible_(std::move(visible)), seen_(std::move(seen)),
        starts_(std::move(starts)), lengths_(std::move(lengths)), limits_(limits), words_of_(starts_.size(), 0) {}

  Work plan(int64_t height, int64_t most_parts, bool bidirectional) {
    const int64_t total = rows_.data.back();
    bits_.assign(static_cast<size_t>(total), 0);
    own_of_rows(bidirectional);
    std::vector<Span> cluster;
    for (int64_t first = 0; first < rows_.rows;) {
      const Span span = span_from(first, height);
      const bool joins = !cluster.empty() && cluster.front().alike(span) && span.last - span.first == 1 &&
                         cluster.front().last - cluster.front().first == 1 &&
                         static_cast<int64_t>(cluster.size()) < limits_.sets &&
                         rows_.end(span.last - 1) - rows_.begin(cluster.front().first) <= height;
      if (!cluster.empty() && !joins) {
        lay(cluster, height);
        cluster.clear();
      }
      cluster.push_back(span);
      first = span.last;
    }
    if (!cluster.empty()) lay(cluster, height);
    // The longest start first, so that none is left running alone at the end.
    std::stable_sort(tiles_.begin(), tiles_.end(), [](const Tile& a, const Tile& b) { return a.cost > b.cost; });
    return number(most_parts);
  }

 private:
  void own_of_rows(bool bidirectional) {
    chunk_starts_.reserve(bits_.size());
    own_ends_.reserve(bits_.size());
    for (int64_t chunk = 0; chunk < rows_.rows; ++chunk) {
      for (int64_t row = rows_.begin(chunk); row < rows_.end(chunk); ++row) {
        chunk_starts_.push_back(static_cast<int32_t>(rows_.begin(chunk)));
        own_ends_.push_back(static_cast<int32_t>(bidirectional ? rows_.end(chunk) : row + 1));
      }
    }
  }

  Span span_from(int64_t first, int64_t height) const {
    const auto seen = [&](int64_t chunk) { return visible_.begin() + seen_.begin(chunk); };
    const int64_t query = queries_[static_cast<size_t>(first)], count = seen_.length(first);
    int64_t last = first + 1;
    while (last < rows_.rows && queries_[static_cast<size_t>(last)] == query && seen_.length(last) == count &&
           std::equal(seen(first), seen(first) + count, seen(last))) {
      ++last;
    }
    int64_t anchor = kNothing;
    for (auto each = seen(first); each != seen(first) + count; ++each) {
      const int64_t start = starts_[static_cast<size_t>(*each)];
      anchor = anchor == kNothing ? start : std::min(anchor, start);
    }
    const int64_t rows = rows_.end(last - 1) - rows_.begin(first), tiles = (rows + height - 1) / height;
    return {first, last, query, rows, anchor, limits_.split * std::max<int64_t>(1, tiles / limits_.tiles)};
  }

  // Adds the cells that a cluster sees, its splits and its tiles.
  void lay(const std::vector<Span>& cluster, int64_t height) {
    const Ints cells = listed(cluster);
    const int64_t known = static_cast<int64_t>(cell_slots_.size()) - static_cast<int64_t>(cells.size());
    const auto split_begin = static_cast<int64_t>(splits_.size());
    int64_t longest = 0, begin = 0;
    for (size_t i = 1; i <= cells.size(); ++i) {
      const bool ends = i == cells.size() || cells[i] / cluster.front().split != cells[i - 1] / cluster.front().split;
      if (!ends) continue;
      const auto end = static_cast<int64_t>(i);
      splits_.push_back({known + begin, known + end});
      longest = std::max(longest, (end - begin) * limits_.cell);
      begin = end;
    }
    if (cells.empty()) splits_.push_back({known, known});
    for (size_t bit = 0; bit < cluster.size(); ++bit) {
      const Span& span = cluster[bit];
      std::fill(bits_.begin() + rows_.begin(span.first), bits_.begin() + rows_.end(span.last - 1),
                static_cast<int32_t>(bit));
    }
    const int64_t own = cluster.size() == 1 ? limits_.cell : cluster.front().rows;
    const int64_t end = rows_.end(cluster.back().last - 1);
    for (int64_t first = rows_.begin(cluster.front().first); first < end; first += height) {
      const int64_t count = std::min(height, end - first), last = first + count - 1;
      const int64_t mine = own_ends_[static_cast<size_t>(last)] - chunk_starts_[static_cast<size_t>(first)];
      tiles_.push_back({first, count, split_begin, static_cast<int64_t>(splits_.size()), own, longest + mine});
    }
  }

  // The cells of which any span sees a key, counted from their anchor. Their slots and their keys' words are added.
  Ints listed(const std::vector<Span>& cluster) {
    Ints segments;
    for (size_t place = 0; place < cluster.size(); ++place) {
      const int64_t chunk = cluster[place].first;
      for (int64_t k = seen_.begin(chunk); k < seen_.end(chunk); ++k) {
        const auto segment = static_cast<size_t>(visible_[static_cast<size_t>(k)]);
        if (lengths_[segment] == 0) continue;
        if (words_of_[segment] == 0) segments.push_back(static_cast<int64_t>(segment));
        words_of_[segment] |= uint32_t{1} << place;
      }
    }
    const int64_t cell = limits_.cell, anchor = cluster.front().anchor;
    const auto begin_of = [&](int64_t s) { return starts_[static_cast<size_t>(s)] - anchor; };
    const auto end_of = [&](int64_t s) { return begin_of(s) + lengths_[static_cast<size_t>(s)]; };
    std::sort(segments.begin(), segments.end(), [&](int64_t a, int64_t b) { return begin_of(a) < begin_of(b); });
    Ints cells;
    for (const int64_t segment : segments) {
      const int64_t from = begin_of(segment) / cell, to = (end_of(segment) - 1) / cell;
      for (int64_t c = cells.empty() ? from : std::max(from, cells.back() + 1); c <= to; ++c) cells.push_back(c);
    }
    std::vector<uint32_t> words(cells.size() * static_cast<size_t>(cell), 0);
    for (const int64_t segment : segments) {
      // The cells of one segment are adjacent, so their words are, too.
      const auto at = std::lower_bound(cells.begin(), cells.end(), begin_of(segment) / cell) - cells.begin();
      const auto from = words.begin() + at * cell + begin_of(segment) % cell;
      const uint32_t word = words_of_[static_cast<size_t>(segment)];
      for (auto each = from; each != from + lengths_[static_cast<size_t>(segment)]; ++each) *each |= word;
      words_of_[static_cast<size_t>(segment)] = 0;
    }
    for (const int64_t c : cells) cell_slots_.push_back(static_cast<int32_t>(anchor + c * cell));
    for (const uint32_t word : words) {
      const auto bits = static_cast<int32_t>(word);
      if (run_words_.empty() || run_words_.back() != bits) {
        run_words_.push_back(bits);
        run_lengths_.push_back(0);
      }
      ++run_lengths_.back();
    }
    return cells;
  }

  // Numbers items and parts; a wave has at most so many parts, unless one tile has more.
  Work number(int64_t most) {
    std::vector<int32_t> firsts, counts, of, begins, ends, own, parts_of, merged, part_begins, part_ends;
    Work work{{}, {}, 0, 0, static_cast<int64_t>(cell_slots_.size()) * limits_.cell};
    int64_t first_item = 0, first_merge = 0, parts = 0;
    const auto size = [](const std::vector<int32_t>& v) { return static_cast<int64_t>(v.size()); };
    for (size_t index = 0; index < tiles_.size(); ++index) {
      const Tile& tile = tiles_[index];
      const int64_t splits = tile.split_end - tile.split_begin, needed = splits > 1 ? splits : 0;
      if (parts > 0 && parts + needed > most) {
        work.waves.push_back({first_item, size(of), first_merge, size(merged)});
        first_item = size(of), first_merge = size(merged), parts = 0;
      }
      firsts.push_back(static_cast<int32_t>(tile.first));
      counts.push_back(static_cast<int32_t>(tile.count));
      for (int64_t place = 0; place < splits; ++place) {
        const auto& split = splits_[static_cast<size_t>(tile.split_begin + place)];
        of.push_back(static_cast<int32_t>(index));
        begins.push_back(static_cast<int32_t>(split[0]));
        ends.push_back(static_cast<int32_t>(split[1]));
        own.push_back(place == 0 ? static_cast<int32_t>(tile.own) : 0);
        parts_of.push_back(needed > 0 ? static_cast<int32_t>(parts + place) : -1);
      }
      if (needed > 0) {
        merged.push_back(static_cast<int32_t>(index));
        part_begins.push_back(static_cast<int32_t>(parts));
        part_ends.push_back(static_cast<int32_t>(parts + needed));
      }
      parts += needed;
      work.largest = std::max(work.largest, tile.count);
      work.most_parts = std::max(work.most_parts, parts);
    }
    work.waves.push_back({first_item, size(of), first_merge, size(merged)});
    work.arrays = {std::move(firsts), std::move(counts),  std::move(of),          std::move(begins),
                   std::move(ends),   std::move(own),     std::move(parts_of),    std::move(merged),
                   std::move(part_begins), std::move(part_ends), std::move(cell_slots_), std::move(run_lengths_),
                   std::move(run_words_),  std::move(bits_),     std::move(chunk_starts_), std::move(own_ends_)};
    return work;
  }

  const Offsets rows_;
  const Ints queries_, visible_;
  const Offsets seen_;
  const Ints starts_, lengths_;
  const Limits limits_;
  std::vector<uint32_t> words_of_;  // of each segment the sets of the present cluster that it belongs to
  std::vector<Tile> tiles_;
  std::vector<std::array<int64_t, 2>> splits_;
  std::vector<int32_t> cell_slots_, run_lengths_, run_words_, bits_, chunk_starts_, own_ends_;
};

// One flat int32 array in which each array of the work begins at 16 bytes, as the compiled kernels assume; where each
// begins and how long it is; waves, largest, most_parts, keys.
py::tuple attention_work(const I64& row_offsets, const I64& query_indices, const I64& visible,
                         const I64& visible_offsets, const I64& segment_starts, const I64& segment_lengths,
                         bool bidirectional, int64_t height, const std::array<int64_t, 5>& limits) {
  Ints v = owned(visible, "visible"), starts = owned(segment_starts, "segment starts");
  Ints lengths = owned(segment_lengths, "segment lengths"), queries = owned(query_indices, "query indices");
  const View<int64_t> ends = view(row_offsets, "row offsets");
  Offsets rows = offsets(row_offsets, ends.size == 0 ? 0 : ends[ends.size - 1], "row offsets");
  Offsets seen = offsets(visible_offsets, static_cast<int64_t>(v.size()), "visible offsets");
  same_rows(rows, seen, "visible offsets");
  const auto [cell, split, tiles, sets, parts] = limits;
  if (height < 1 || cell < 1 || split < 1 || tiles < 1 || sets < 1 || sets > 32) {
    throw py::value_error("tiles, cells, splits and sets must hold at least one, and a word has 32 bits");
  }
  if (static_cast<int64_t>(queries.size()) != rows.rows || starts.size() != lengths.size() || rows.rows == 0) {
    throw py::value_error("a plan's chunk or segment arrays disagree, or it has no chunks");
  }
  for (size_t i = 0; i < starts.size(); ++i) {
    if (starts[i] < 0 || lengths[i] < 0 || starts[i] > kMost || lengths[i] > kMost - starts[i]) {
      throw py::value_error("segment " + std::to_string(i) + " lies outside of what 32 bits can number");
    }
  }
  for (const int64_t segment : v) {
    if (segment < 0 || segment >= static_cast<int64_t>(starts.size())) {
      throw py::value_error("a chunk sees segment " + std::to_string(segment) + ", and the batch has " +
                            std::to_string(starts.size()));
    }
  }
  if (rows.data.back() > kMost) throw py::value_error("a step has at most 2147483647 rows");
  Work work;
  {
    py::gil_scoped_release release;
    Planner planner(std::move(rows), std::move(queries), std::move(v), std::move(seen), std::move(starts),
                    std::move(lengths), {cell, split, tiles, sets, parts});
    work = planner.plan(height, parts, bidirectional);
  }
  int64_t total = 0;
  py::list places;
  for (const auto& array : work.arrays) {
    places.append(py::make_tuple(total, array.size()));
    total += (static_cast<int64_t>(array.size()) + 3) / 4 * 4;
  }
  auto flat = fresh<int32_t>(total);
  int32_t* out = flat.mutable_data();
  std::fill(out, out + total, 0);
  for (const auto& array : work.arrays) {
    std::copy(array.begin(), array.end(), out);
    out += (array.size() + 3) / 4 * 4;
  }
  py::list waves;
  for (const auto& w : work.waves) waves.append(py::make_tuple(w[0], w[1], w[2], w[3]));
  return py::make_tuple(flat, places, waves, work.largest, work.most_parts, work.keys);
}

}  // namespace

void bind_attention_work(py::module_& m) {
  m.def("attention_work", &attention_work, py::arg("row_offsets"), py::arg("query_indices"), py::arg("visible"),
        py::arg("visible_offsets"), py::arg("segment_starts"), py::arg("segment_lengths"), py::arg("bidirectional"),
        py::arg("height"), py::arg("limits"));
}

}  // namespace rranker
