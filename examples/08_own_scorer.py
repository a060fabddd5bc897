"""Let anything that answers in words rank: `python examples/08_own_scorer.py`.

This scorer is a set of rules, so that it runs anywhere; a remote model would send `question` as a prompt
and return what comes back. Its answers go through the permutation parser: prose, numbers out of range and
missing candidates are all understood, repaired and reported, and the ranking is always complete.
"""

import re
from collections.abc import Sequence

import rranker
from rranker.scorers.text import TextQuestion, TextScorer


def words(text: str) -> set[str]:
    """Lower-case words of more than three letters."""
    return set(re.findall(r"\w{4,}", text.lower()))


class WordOverlap(TextScorer):
    """Says which candidate shares most (or fewest) words with the query."""

    def complete(self, questions: Sequence[TextQuestion]) -> list[str | Exception]:
        """One answer a question; all queries of a batch are asked together, round by round."""
        return [self.answer(question) for question in questions]

    def answer(self, question: TextQuestion) -> str:
        """An order for methods that want one, else one name: candidates are numbered from 1."""
        wanted = words(str(question.request.query))
        overlaps = [len(wanted & words(text)) for text in question.texts]
        best_first = sorted(range(len(overlaps)), key=lambda i: -overlaps[i])
        if question.wants_order:  # it keeps silent about candidates without a common word
            return " > ".join(f"[{i + 1}]" for i in best_first if overlaps[i])
        named = best_first[-1] if question.kind == "exclude" else best_first[0]
        return f"I would name candidate [{named + 1}]."


def main() -> None:
    """Prints a ranking by rounds, and one by a single answer with what had to be repaired in it."""
    query = "which planets have rings around them?"
    texts = [
        "Saturn's rings are ice.",
        "Mars has two moons.",
        "Rings circle several outer planets.",
        "Oaks are trees.",
    ]
    with rranker.Ranker(scorer=WordOverlap()) as ranker:
        print(ranker.rank(query, texts))
        in_one = ranker.rank(query, texts, method="dranker")
    print(f"\nIn one answer: {[texts[i] for i in in_one.order]}")
    for repair in in_one.repairs:
        print(f"  repaired ({repair.kind}): {repair.message}")


if __name__ == "__main__":
    main()
