// What part of a model's text is its answer: <think> and <answer>.
#include "parse.hpp"

namespace rranker {

std::string_view answer_part(std::string_view text, std::vector<RepairNote>& notes) {
  constexpr std::string_view close_think = "</think>", open_think = "<think>";
  constexpr std::string_view open_answer = "<answer>", close_answer = "</answer>";
  const size_t closed = text.rfind(close_think);
  const size_t opened = text.rfind(open_think);
  if (closed != std::string_view::npos && (opened == std::string_view::npos || opened < closed)) {
    text.remove_prefix(closed + close_think.size());
  } else if (opened != std::string_view::npos) {
    notes.push_back({"unclosed_think", -1});
    text.remove_prefix(opened + open_think.size());
  }
  const size_t start = text.rfind(open_answer);
  if (start != std::string_view::npos) {
    text.remove_prefix(start + open_answer.size());
    const size_t end = text.find(close_answer);
    if (end == std::string_view::npos) {
      notes.push_back({"unclosed_answer", -1});
    } else {
      text = text.substr(0, end);
    }
  }
  return text;
}

}  // namespace rranker
