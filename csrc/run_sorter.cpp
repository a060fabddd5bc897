// Sorting one query by score: insertion sort for short lists, radix sort for the rest.
#include "run_sorter.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>

namespace rranker {

void RunSorter::sort(const double* scores, int64_t n) {
  const auto size = static_cast<size_t>(n);
  order_.resize(size);
  if (!options_.single) {
    for (size_t i = 0; i < size; ++i) order_[i] = static_cast<uint32_t>(i);
    std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
    return;
  }
  // Key: score bits inverted (so that ascending keys are falling scores), then the document's place.
  keys_.resize(size);
  spare_.resize(size);
  bool sorted = true;
  for (size_t i = 0; i < size; ++i) {
    keys_[i] = (static_cast<uint64_t>(~ordered_bits(static_cast<float>(scores[i]))) << 32) | i;
    sorted &= i == 0 || keys_[i - 1] < keys_[i];
  }
  if (!sorted && size <= 24) {
    for (size_t i = 1; i < size; ++i) {
      const uint64_t key = keys_[i];
      size_t j = i;
      for (; j > 0 && keys_[j - 1] > key; --j) keys_[j] = keys_[j - 1];
      keys_[j] = key;
    }
  } else if (!sorted) {
    uint32_t counts[4][256] = {};
    for (uint64_t key : keys_) {
      for (int b = 0; b < 4; ++b) ++counts[b][(key >> (32 + 8 * b)) & 255];
    }
    for (int b = 0; b < 4; ++b) {
      uint32_t* count = counts[b];
      const int shift = 32 + 8 * b;
      if (count[(keys_[0] >> shift) & 255] == size) continue;  // all alike in this byte
      uint32_t sum = 0;
      for (int v = 0; v < 256; ++v) {
        const uint32_t c = count[v];
        count[v] = sum;
        sum += c;
      }
      for (uint64_t key : keys_) spare_[count[(key >> shift) & 255]++] = key;
      keys_.swap(spare_);
    }
  }
  for (size_t i = 0; i < size; ++i) order_[i] = static_cast<uint32_t>(keys_[i]);
}

void RunSorter::judge(const int32_t* levels, int64_t n, RankedBatch& out) {
  constexpr int32_t kSmall = 16;
  int64_t counts[kSmall] = {};
  bool small = true;
  for (int64_t i = 0; i < n; ++i) {
    if (levels[i] >= kSmall) small = false;
    if (levels[i] >= 0 && levels[i] < kSmall) ++counts[levels[i]];
  }
  if (small) {
    for (int32_t level = kSmall - 1; level >= 0; --level) {
      out.judged.insert(out.judged.end(), static_cast<size_t>(counts[level]), level);
    }
  } else {
    const auto start = out.judged.size();
    for (int64_t i = 0; i < n; ++i) {
      if (levels[i] >= 0) out.judged.push_back(levels[i]);
    }
    std::sort(out.judged.begin() + static_cast<std::ptrdiff_t>(start), out.judged.end(), std::greater<>());
  }
  out.judged_offsets.push_back(static_cast<int64_t>(out.judged.size()));
}

}  // namespace rranker
