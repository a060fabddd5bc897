// The CSR arrays of one step of the engine, collected chunk by chunk; see rranker/engine/batch.py for their meaning.
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "arrays.hpp"

namespace rranker {
namespace {

using I64 = Array<int64_t>;

// Every method checks all it is given before it adds anything: after an error the batch is what it was.
class BatchBuilder {
 public:
  int64_t rows() const { return static_cast<int64_t>(tokens_.size()); }

  // The number of a stored segment in this batch; the same one each time it is asked for.
  int64_t segment(int64_t start, int64_t length, int64_t position) {
    check_length(length);
    const auto [found, fresh] =
        numbers_.try_emplace({start, length, position}, static_cast<int64_t>(starts_.size()));
    if (fresh) {
      starts_.push_back(start);
      lengths_.push_back(length);
      positions_of_.push_back(position);
    }
    return found->second;
  }

  // Numbers of segments that lie end to end from slot `start`, all at `position`.
  py::array_t<int64_t> segments(int64_t start, const I64& lengths, int64_t position) {
    const auto each = view(lengths, "lengths");
    for (int64_t i = 0; i < each.size; ++i) check_length(each[i]);
    auto out = fresh<int64_t>(each.size);
    int64_t* numbers = out.mutable_data();
    for (int64_t i = 0; i < each.size; ++i) {
      numbers[i] = segment(start, each[i], position);
      start += each[i];
    }
    return out;
  }

  int64_t chunk(const I64& tokens, int64_t position, const I64& visible, int64_t query_index, int64_t first_slot) {
    const auto seen = view(visible, "visible"), text = view(tokens, "tokens");
    for (int64_t i = 0; i < seen.size; ++i) check_segment(seen[i]);
    const int64_t first = add_rows(text, position, query_index, first_slot);
    visible_.insert(visible_.end(), seen.data, seen.data + seen.size);
    visible_offsets_.push_back(static_cast<int64_t>(visible_.size()));
    return first;
  }

  // One copy of the question per subset: it sees `always`, then its places' segments; its last `reads` rows are read.
  int64_t questions(const I64& tokens, const I64& positions, const I64& always, const I64& places,
                    const py::sequence& subsets, int64_t query_index, int64_t reads) {
    const auto question = view(tokens, "tokens"), at = view(positions, "positions");
    const auto first = view(always, "always"), numbers = view(places, "places");
    if (at.size != static_cast<int64_t>(py::len(subsets))) throw py::value_error("one position a subset is needed");
    if (reads < 1 || reads > question.size) {
      throw py::value_error("a question of " + std::to_string(question.size) + " tokens has no last " +
                            std::to_string(reads) + " rows to read");
    }
    for (int64_t i = 0; i < first.size; ++i) check_segment(first[i]);
    std::vector<std::vector<int64_t>> seen;
    for (int64_t k = 0; k < at.size; ++k) {
      auto& segments = seen.emplace_back(first.data, first.data + first.size);
      const py::tuple alive = py::reinterpret_borrow<py::object>(subsets[static_cast<size_t>(k)]);
      for (const py::handle item : alive) {
        const int64_t place = item.cast<int64_t>();
        if (place < 0 || place >= numbers.size) {
          throw py::value_error("a subset names candidate " + std::to_string(place) + " of " +
                                std::to_string(numbers.size));
        }
        check_segment(numbers[place]);
        segments.push_back(numbers[place]);
      }
    }
    const int64_t read_from = static_cast<int64_t>(read_.size());
    for (size_t k = 0; k < seen.size(); ++k) {
      add_rows(question, at[static_cast<int64_t>(k)], query_index, -1);
      visible_.insert(visible_.end(), seen[k].begin(), seen[k].end());
      visible_offsets_.push_back(static_cast<int64_t>(visible_.size()));
      for (int64_t row = rows() - reads; row < rows(); ++row) read(row);
    }
    return read_from;
  }

  int64_t read(int64_t row) {
    check_row(row);
    read_.push_back(row);
    return static_cast<int64_t>(read_.size()) - 1;
  }

  // `read` for many; returns the place of the first of them.
  int64_t reads(const I64& rows_read) {
    const auto wanted = owned(rows_read, "rows");
    for (const int64_t row : wanted) check_row(row);
    read_.insert(read_.end(), wanted.begin(), wanted.end());
    return static_cast<int64_t>(read_.size() - wanted.size());
  }

  py::tuple arrays() const {
    return py::make_tuple(copied(tokens_), copied(positions_), copied(slots_), copied(row_offsets_),
                          copied(owners_), copied(visible_), copied(visible_offsets_), copied(starts_),
                          copied(lengths_), copied(positions_of_), copied(read_));
  }

 private:
  int64_t add_rows(const View<int64_t>& tokens, int64_t position, int64_t query_index, int64_t first_slot) {
    const int64_t first = rows();
    tokens_.insert(tokens_.end(), tokens.data, tokens.data + tokens.size);
    for (int64_t t = 0; t < tokens.size; ++t) {
      positions_.push_back(position + t);
      slots_.push_back(first_slot < 0 ? -1 : first_slot + t);
    }
    row_offsets_.push_back(rows());
    owners_.push_back(query_index);
    return first;
  }

  void check_row(int64_t row) const {
    if (row < 0 || row >= rows()) throw py::value_error("no row " + std::to_string(row) + " to read");
  }

  static void check_length(int64_t length) {
    if (length < 0) throw py::value_error("a segment cannot hold " + std::to_string(length) + " tokens");
  }

  void check_segment(int64_t number) const {
    if (number < 0 || number >= static_cast<int64_t>(starts_.size())) {
      throw py::value_error("a chunk sees segment " + std::to_string(number) + ", and the batch has " +
                            std::to_string(starts_.size()));
    }
  }

  std::map<std::array<int64_t, 3>, int64_t> numbers_;
  std::vector<int64_t> tokens_, positions_, slots_, owners_, visible_, starts_, lengths_, positions_of_, read_;
  std::vector<int64_t> row_offsets_{0}, visible_offsets_{0};
};

// Which keys rows must not see: bool (rows of the chunks x keys of the segments), in the order given.
py::array_t<bool> hidden_keys(const I64& chunks, const I64& segments, const I64& row_offsets, const I64& visible,
                              const I64& visible_offsets, const I64& segment_lengths) {
  const auto picked = owned(chunks, "chunks"), keys = owned(segments, "segments"), v = owned(visible, "visible");
  const auto lengths = owned(segment_lengths, "segment lengths"), ends = owned(row_offsets, "row offsets");
  const Offsets rows = offsets(row_offsets, ends.empty() ? 0 : ends.back(), "row offsets");
  const Offsets vo = offsets(visible_offsets, static_cast<int64_t>(v.size()), "visible offsets");
  same_rows(rows, vo, "visible offsets");
  const auto known = [&](int64_t key) { return key >= 0 && key < static_cast<int64_t>(lengths.size()); };
  std::vector<int64_t> begin(lengths.size(), -1);
  int64_t width = 0, height = 0;
  for (const int64_t key : keys) {
    if (!known(key)) throw py::value_error("no segment " + std::to_string(key));
    const int64_t length = lengths[static_cast<size_t>(key)];
    if (length < 0 || length > std::numeric_limits<int32_t>::max()) {
      throw py::value_error("a segment cannot hold " + std::to_string(length) + " tokens");
    }
    begin[static_cast<size_t>(key)] = width;
    width += length;
  }
  for (const int64_t chunk : picked) {
    if (chunk < 0 || chunk >= rows.rows) throw py::value_error("no chunk " + std::to_string(chunk));
    height += rows.length(chunk);
  }
  py::array_t<bool> out({static_cast<py::ssize_t>(height), static_cast<py::ssize_t>(width)});
  bool* line = out.mutable_data();
  py::gil_scoped_release release;
  for (const int64_t chunk : picked) {
    const int64_t count = rows.length(chunk);
    if (count == 0) continue;
    std::memset(line, 1, static_cast<size_t>(width));
    for (int64_t k = vo.begin(chunk); k < vo.end(chunk); ++k) {
      const int64_t key = v[static_cast<size_t>(k)];
      const int64_t at = known(key) ? begin[static_cast<size_t>(key)] : -1;
      if (at < 0) throw py::value_error("a chunk sees segment " + std::to_string(key) + ", which has no keys here");
      std::memset(line + at, 0, static_cast<size_t>(lengths[static_cast<size_t>(key)]));
    }
    for (int64_t t = 1; t < count; ++t) std::memcpy(line + t * width, line, static_cast<size_t>(width));
    line += count * width;
  }
  return out;
}

}  // namespace

void bind_batch(py::module_& m) {
  py::class_<BatchBuilder>(m, "BatchBuilder")
      .def(py::init<>())
      .def_property_readonly("rows", &BatchBuilder::rows)
      .def("segment", &BatchBuilder::segment, py::arg("start"), py::arg("length"), py::arg("position"))
      .def("segments", &BatchBuilder::segments, py::arg("start"), py::arg("lengths"), py::arg("position"))
      .def("chunk", &BatchBuilder::chunk, py::arg("tokens"), py::arg("position"), py::arg("visible"), py::arg("query_index"),
           py::arg("first_slot"))
      .def("questions", &BatchBuilder::questions, py::arg("tokens"), py::arg("positions"), py::arg("always"),
           py::arg("places"), py::arg("subsets"), py::arg("query_index"), py::arg("reads"))
      .def("read", &BatchBuilder::read, py::arg("row"))
      .def("reads", &BatchBuilder::reads, py::arg("rows"))
      .def("arrays", &BatchBuilder::arrays);
  m.def("hidden_keys", &hidden_keys, py::arg("chunks"), py::arg("segments"), py::arg("row_offsets"),
        py::arg("visible"), py::arg("visible_offsets"), py::arg("segment_lengths"));
}

}  // namespace rranker
