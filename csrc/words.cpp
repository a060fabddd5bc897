// The word list behind `meaning`: English first, with the commonest words of a few other languages.
#include "words.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <utility>

namespace rranker {
namespace {

constexpr size_t kLongest = 24;  // bytes of the longest word or ending listed here

struct Row {
  uint32_t bits;
  const char* words;
};

constexpr Row kRows[] = {
    {kNoun | kFiller | kLink,
     "passage passages document documents doc docs candidate candidates item items option options movie movies film "
     "films game games product products model models llm llms response responses song songs artist artists snippet "
     "snippets paragraph paragraphs article articles book books entry entries chunk chunks source sources result "
     "results statement statements paper papers agent agents documento documentos pasaje pasajes dokument dokumente artikel "
     "candidato candidatos kandidat kandidaten passaggio opcion документ документа"},
    {kNoun | kFiller | kLink | kText, "text texts title titles"},
    {kText, "name names content contents description"},
    {kNoun | kFiller | kLink | kId, "id ids idx index no nr num number identifier docid docno pid"},
    {kFiller, "and then better next followed finally lastly beats succ gt"},
    {kFiller | kContext, "than over"},
    {kFiller | kLink, "by"},
    {kFiller | kScore,
     "score scores scored scoring rating rated rate confidence relevance relevancy probability prob similarity grade "
     "grades likelihood certainty logit logits weight points"},
    {kFiller | kRank, "rank place position spot"},
    {kFiller | kRank | kCount, "top"},
    {kFiller | kLabel | kLink, "answer choice pick selection"},
    {kLabel | kLink, "decision boxed output prediction respuesta antwort risposta resposta ответ verdict"},
    {kFiller | kList, "ranking order"},
    {kList, "ranked ranks rankings sorted ordering list final"},
    {kVerb,
     "choose chooses chose chosen select selects selected picks picked choosing selecting picking winner vote go"},
    {kVerb | kWorst,
     "exclude excludes excluded excluding exclusion remove removes removed removing removal eliminate eliminates "
     "eliminated eliminating elimination drop drops dropped dropping discard discards discarded discarding reject "
     "rejects rejected rejecting"},
    {kWorst, "least worst lowest weakest poorest irrelevant unrelated offtopic"},
    {kBest, "best most highest strongest"},
    {kLink,
     "is was are were be been being should must can could would will may might has have the a an one that which who "
     "seems seem appears appear looks look as i we my our your s thus therefore hence overall considered "
     "just simply only also far quite very ist es est e d ll am me with"},
    {kLink | kTo, "to"},
    {kLink | kPronoun, "it this"},
    {kBreak,
     "because since so but while whereas although though however when if despite except instead given considering "
     "regarding"},
    {kBreak | kContext, "keep kept keeping keeps retain retained"},
    {kContext, "of among between versus vs against not unlike besides compared relative like"},
    {kNote,
     "note notes explanation explanations reason reasons reasoning justification remark remarks rationale comment "
     "comments caveat disclaimer ps analysis thought thoughts thinking why explain query question"},
    {kCount,
     "all these those other exactly about page pages year step section figure part version level chapter total count "
     "size line approximately nearly"},
    {kOrdinal | kFiller, "first second third fourth fifth sixth seventh eighth ninth tenth"},
    {kUpward, "ascending increasing"},
    {kVerbOf,
     "does do contains contain covers discusses describes mentions talks focuses provides lacks fits says states answers "
     "addresses explains gives matches relates refers comes goes ranks wins"},
};

// Endings of words in scripts that write no blanks between words.
constexpr std::pair<const char*, uint32_t> kEndings[] = {
    {"段落", kNoun}, {"文档", kNoun}, {"文章", kNoun}, {"候选", kNoun}, {"选项", kNoun}, {"文書", kNoun},
    {"候補", kNoun}, {"문서", kNoun}, {"答案", kLabel}, {"回答", kLabel}, {"排除", kVerb}, {"选择", kVerb},
    {"第", kNoun},   {"答案是", kLabel}, {"答案为", kLabel},
};

const std::unordered_map<std::string_view, uint32_t>& table() {
  static const auto* words = [] {
    auto* map = new std::unordered_map<std::string_view, uint32_t>;
    for (const Row& row : kRows) {
      std::string_view rest = row.words;
      while (!rest.empty()) {
        const size_t end = std::min(rest.find(' '), rest.size());
        (*map)[rest.substr(0, end)] |= row.bits;
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
    }
    return map;
  }();
  return *words;
}

}  // namespace

uint32_t meaning(std::string_view word) {
  while (!word.empty() && word.back() == '_') word.remove_suffix(1);
  const size_t joint = word.rfind('_');
  if (joint != std::string_view::npos) word.remove_prefix(joint + 1);
  if (word.empty()) return 0;
  if (static_cast<unsigned char>(word.back()) >= 0x80) {
    for (const auto& [ending, bits] : kEndings) {
      const std::string_view end = ending;
      if (word.size() >= end.size() && word.substr(word.size() - end.size()) == end) return bits;
    }
  }
  if (word.size() > kLongest) return 0;
  std::array<char, kLongest> lower{};
  for (size_t i = 0; i < word.size(); ++i) lower[i] = is_upper(word[i]) ? static_cast<char>(word[i] + 32) : word[i];
  const auto found = table().find(std::string_view(lower.data(), word.size()));
  if (found != table().end()) return found->second;
  const bool adverb = word.size() > 4 && lower[word.size() - 2] == 'l' && lower[word.size() - 1] == 'y';
  return adverb ? static_cast<uint32_t>(kLink) : 0;  // clearly, definitely, ...
}

int64_t ordinal(std::string_view word) {
  static constexpr std::array<std::string_view, 10> names = {"first", "second",  "third",  "fourth", "fifth",
                                                             "sixth", "seventh", "eighth", "ninth",  "tenth"};
  if (!(meaning(word) & kOrdinal)) return 0;
  for (size_t i = 0; i < names.size(); ++i) {
    if ((word[0] | 32) == names[i][0] && word.substr(1) == names[i].substr(1)) return static_cast<int64_t>(i) + 1;
  }
  return 0;
}

}  // namespace rranker
