// A forgiving JSON reader for models' answers: single quotes, bare keys, comments, missing commas, a cut-off end.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rranker {

struct JsonNode {
  enum Kind : uint8_t { kNumber, kString, kOther, kArray, kObject } kind;
  std::string_view key;   // within an object; raw
  std::string_view text;  // of a number, or of a string without its quotes; raw
  int64_t parent;         // place in `nodes`, or -1
};

struct Json {
  std::vector<JsonNode> nodes;  // parents before children, in the order of the text
  size_t place = 0;             // where the first object or array of objects begins
};

// Every object, and array of objects, in the text, in time linear in its length. What breaks off in a way that no
// rule here forgives is left out.
Json scan_json(std::string_view text);

// A string's text: escapes and line breaks replaced.
std::string unescaped(std::string_view raw);

}  // namespace rranker
