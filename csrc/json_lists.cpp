// What JSON objects say of candidates: keys that choose, lists under keys, and objects with an id and a rank or score.
#include <algorithm>
#include <optional>
#include <utility>

#include "json.hpp"
#include "json_keys.hpp"
#include "mentions.hpp"
#include "parse.hpp"

namespace rranker {
namespace {

struct List {
  std::vector<std::string> lines;
  int priority = -1;
  size_t count = 0;
};

class JsonReader {
 public:
  JsonReader(const Json& json, int64_t n, int64_t base) : nodes_(json.nodes), n_(n), base_(base) {
    keys_.reserve(nodes_.size());
    first_.assign(nodes_.size() + 2, 0);
    for (const JsonNode& node : nodes_) {
      keys_.push_back(read_key(node.key));
      ++first_[static_cast<size_t>(node.parent + 2)];
    }
    for (size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
    children_.resize(nodes_.size());
    std::vector<size_t> at(first_.begin(), first_.end());
    for (size_t i = 0; i < nodes_.size(); ++i) children_[at[static_cast<size_t>(nodes_[i].parent + 1)]++] = i;
  }

  JsonReading read() {
    std::vector<std::string> chosen, fitting, ids, unknown;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const JsonNode& node = nodes_[i];
      const Role role = keys_[i].role;
      if (node.kind == JsonNode::kArray) siblings(static_cast<int64_t>(i));
      if (node.kind == JsonNode::kObject) members(i);
      if (role == Role::kNote || role == Role::kScore || node.key.empty()) continue;
      if (node.kind == JsonNode::kArray || node.kind == JsonNode::kString) under_key(i);
      if (role == Role::kChooses) take(i, chosen);
      if (role == Role::kFits) take(i, fitting);
      if (role == Role::kId) take(i, ids);
      if (role == Role::kUnknown && node.kind == JsonNode::kNumber) take(i, unknown);
    }
    siblings(-1);
    JsonReading out;
    std::vector<std::string> named = best_.lines.empty() ? fitting.empty() ? chosen : best_first() : best_.lines;
    if (named.empty()) named = ids.empty() ? unknown : ids;
    out.list = joined(named);
    for (const auto* lines : {&chosen, &fitting, &best_.lines, &ids, &unknown}) {
      if (!lines->empty()) out.choices.push_back(joined(*lines));
    }
    return out;
  }

 private:
  struct Span {
    const size_t* first;
    const size_t* last;
    const size_t* begin() const { return first; }
    const size_t* end() const { return last; }
  };
  Span children(int64_t parent) const {
    const auto p = static_cast<size_t>(parent + 1);
    return {children_.data() + first_[p], children_.data() + first_[p + 1]};
  }

  static std::string joined(const std::vector<std::string>& lines) {
    std::string out;
    for (const std::string& line : lines) out += line + '\n';
    return out;
  }

  // A number or string as a line that names a candidate: `[3]` for 3, "3" and 3.0.
  static std::string scalar(const JsonNode& node) {
    if (node.kind != JsonNode::kNumber && node.kind != JsonNode::kString) return {};
    std::string text = unescaped(node.text);
    size_t i = !text.empty() && text[0] == '-' ? 1 : 0;
    while (i < text.size() && is_digit(text[i])) ++i;
    const size_t whole = i;
    if (i < text.size() && text[i] == '.') ++i;
    while (i < text.size() && text[i] == '0') ++i;
    if (whole > 0 && i == text.size() && is_digit(text[whole - 1])) return '[' + text.substr(0, whole) + ']';
    return node.kind == JsonNode::kNumber ? std::string() : text;
  }

  // The line of an object's id; empty where it has none.
  std::string id_of(size_t object) const {
    std::string line;
    int priority = 0;
    for (const size_t c : children(static_cast<int64_t>(object))) {
      if (keys_[c].role != Role::kId || keys_[c].priority <= priority) continue;
      std::string found = scalar(nodes_[c]);
      if (!found.empty()) line = std::move(found), priority = keys_[c].priority;
    }
    return line;
  }

  // The lines of a scalar, an array of scalars (or of arrays of them), or an object's id.
  void take(size_t i, std::vector<std::string>& lines, int depth = 0) const {
    const JsonNode& node = nodes_[i];
    std::string line = node.kind == JsonNode::kObject ? id_of(i) : scalar(node);
    if (!line.empty()) lines.push_back(std::move(line));
    if (node.kind == JsonNode::kArray && depth < 2) {
      for (const size_t c : children(static_cast<int64_t>(i))) take(c, lines, depth + 1);
    }
    // {"id": 2, "exclude": true}, {"id": 2, "decision": "exclude"}
    const bool yes = node.kind == JsonNode::kOther && (node.text == "true" || node.text == "True");
    if (depth == 0 && node.parent >= 0 && (yes || (node.kind == JsonNode::kString && meaning(node.text) & kVerb))) {
      std::string owner = id_of(static_cast<size_t>(node.parent));
      if (!owner.empty() && keys_[i].role != Role::kId) lines.push_back(std::move(owner));
    }
  }

  void offer(std::vector<std::string> lines, int priority, size_t count) {
    if (lines.empty() || priority < best_.priority || (priority == best_.priority && count <= best_.count)) return;
    best_ = {std::move(lines), priority, count};
  }

  int priority_of(int64_t i) const {
    if (i < 0) return 1;
    const Key& key = keys_[static_cast<size_t>(i)];
    if (key.role == Role::kNote || key.role == Role::kScore) return 0;
    return key.role == Role::kList || (key.role == Role::kChooses && !(key.bits & kWorst)) || key.bits & kBest ? 2 : 1;
  }

  // An array of plain values, or a string with several ids, under a key.
  void under_key(size_t i) {
    std::vector<std::string> lines;
    const JsonNode& node = nodes_[i];
    if (node.kind == JsonNode::kString) {
      const size_t named = find_mentions(node.text, 0, base_).all.size();
      if (named > 1 && priority_of(static_cast<int64_t>(i)) == 2) offer({unescaped(node.text)}, 2, named);
      return;
    }
    for (const size_t c : children(static_cast<int64_t>(i))) {
      if (nodes_[c].kind != JsonNode::kObject) take(c, lines, 1);
    }
    const size_t count = lines.size();
    offer(std::move(lines), priority_of(static_cast<int64_t>(i)), count);
  }

  // Objects side by side that each name a candidate: by rank, else by falling score, else as they stand.
  void siblings(int64_t parent) {
    std::vector<std::pair<double, std::string>> ranked, scored;
    std::vector<std::string> given;
    for (const size_t object : children(parent)) {
      if (nodes_[object].kind != JsonNode::kObject) continue;
      std::string line = id_of(object);
      if (line.empty()) continue;
      std::optional<double> rank, score;
      for (const size_t c : children(static_cast<int64_t>(object))) {
        const Role role = keys_[c].role;
        const auto number = leading_number(nodes_[c].text);
        if (!number) continue;
        if ((role == Role::kRank || role == Role::kList) && !rank) rank = number;
        if (role == Role::kScore && !score) score = -*number;
      }
      if (rank) ranked.emplace_back(*rank, line);
      if (score) scored.emplace_back(*score, line);
      given.push_back(std::move(line));
    }
    const auto sorted = [&](auto& rows) {
      std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
      for (size_t i = 0; i < rows.size(); ++i) given[i] = std::move(rows[i].second);
    };
    if (ranked.size() == given.size()) {
      sorted(ranked);
    } else if (scored.size() == given.size()) {
      sorted(scored);
    }
    const size_t count = given.size();
    offer(std::move(given), priority_of(parent), count);
  }

  // The id that a key such as "1", "[1]", "B" or "passage_1" is; -1 for any other key.
  int64_t candidate_key(std::string_view key) const {
    const Mentions found = find_mentions(key, 0, base_);
    if (found.all.size() != 1 || found.first_word < key.size()) return -1;
    const Mention& m = found.all[0];
    return m.form == Form::kLetter && !m.capital ? -1 : m.id;
  }

  // {"1": 0.9, "2": 0.3}: scores by candidate. {"1": "[3]", "2": "[1]"}, {"first": 3, "second": 1}: candidates by rank.
  void members(size_t object) {
    struct Member {
      double order;
      std::string line;
    };
    std::vector<Member> scored, placed;
    bool counting = true;  // the keys are 1, 2, 3 and the values different ids
    std::vector<std::string> values;
    size_t size = 0;
    for (const size_t c : children(static_cast<int64_t>(object))) {
      if (keys_[c].role == Role::kNote) continue;
      ++size;
      const std::string value = scalar(nodes_[c]);
      const auto number = leading_number(nodes_[c].text);
      const std::string_view key = nodes_[c].key;
      const bool plain = !key.empty() && key.find_first_not_of("0123456789") == std::string_view::npos;
      const bool place = keys_[c].number > 0 && (plain || keys_[c].role == Role::kRank);
      if (place && !value.empty()) placed.push_back({static_cast<double>(keys_[c].number), value});
      const int64_t id = candidate_key(key);
      if (id >= 0 && number) scored.push_back({-*number, '[' + std::to_string(id + base_) + ']'});
      counting = counting && plain && keys_[c].number == static_cast<int64_t>(size);
      if (nodes_[c].kind == JsonNode::kNumber) {
        const double id_given = number.value_or(-1.0) - static_cast<double>(base_);
        counting = counting && !value.empty() && id_given >= 0.0 && id_given < static_cast<double>(n_);
        values.push_back(value);
      }
    }
    std::sort(values.begin(), values.end());
    counting = counting && std::adjacent_find(values.begin(), values.end()) == values.end();
    const bool by_place = placed.size() == size && (counting || scored.size() < size);
    if (size == 0 || (!by_place && scored.size() < size)) return;
    auto& rows = by_place ? placed : scored;
    const bool ranks = !by_place && keys_[object].bits & (kRank | kList);  // {"ranks": {"A": 2, "B": 1}}
    std::stable_sort(rows.begin(), rows.end(),
                     [&](const Member& a, const Member& b) { return ranks ? a.order > b.order : a.order < b.order; });
    std::vector<std::string> lines;
    for (Member& row : rows) lines.push_back(std::move(row.line));
    const size_t count = lines.size();
    offer(std::move(lines), priority_of(static_cast<int64_t>(object)), count);
  }

  // Values of keys such as `best` and `worst`: where both stand, the best alone (a list has no last place to give).
  std::vector<std::string> best_first() const {
    std::vector<std::string> best, worst;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (keys_[i].role == Role::kFits) take(i, keys_[i].bits & kWorst ? worst : best);
    }
    return best.empty() ? worst : best;
  }

  const std::vector<JsonNode>& nodes_;
  int64_t n_, base_;
  std::vector<Key> keys_;
  std::vector<size_t> first_, children_;
  List best_;
};

}  // namespace

JsonReading read_json(std::string_view answer, int64_t n, int64_t base) {
  const Json json = scan_json(answer);
  if (json.nodes.empty()) return {};
  JsonReading out = JsonReader(json, n, base).read();
  out.place = json.place;
  return out;
}

}  // namespace rranker
