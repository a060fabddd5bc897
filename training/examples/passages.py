"""Questions with passages that answer them and passages that nearly do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rranker.data import Question, RankingExample, Topic
from rranker.training.examples.example import Example

Score = Callable[[str, Sequence[str]], np.ndarray]
"""A teacher's log preferences over texts for a query."""
MINED, JUDGED = 0.45, 0.3
"""The teacher's weight where nobody judged the negatives, and where somebody did."""
DOUBT = 3.0
"""A mined negative that the teacher prefers to the gold text by so much (nats) may well answer: it is left out."""


class Passages:
    """Lists of passages, and what `teacher` thinks of them. `doubts`: its preferences are good enough to drop by."""

    def __init__(self, teacher: Score, *, doubts: bool = False) -> None:
        self._teacher, self._doubts = teacher, doubts

    def example(self, case: RankingExample) -> Example:
        """The case with the teacher's view."""
        return Example(case, self._teacher(str(case.query), case.candidates), JUDGED)

    def question(
        self, questions: list[Question], rng: np.random.Generator, n: int, *, fill: bool = True
    ) -> Example:
        """One text that answers among up to n-1 others, near misses mostly.

        `fill`: where half of the near misses are too few, texts that answer other questions join them. Where questions
        recur (`RECURRING`) those may be right answers: then all near misses come, and a list may stay short.
        """
        question = questions[rng.integers(len(questions))]
        near = [text for text in question.bad if rng.random() < 0.5][: n - 1]
        if not fill:
            near = list(dict.fromkeys([*near, *question.bad]))[: n - 1]
        while fill and len(near) < n - 1:
            near.append(questions[rng.integers(len(questions))].good[0])
        good = question.good[rng.integers(len(question.good))]
        # One passage may answer several questions, so an "other" one may be this very one; a list of one teaches
        # nothing, and does no harm.
        pool = [good, *dict.fromkeys(text for text in near if text not in question.good)]
        scores = self._teacher(question.text, pool)
        kept = [0, *(i for i in range(1, len(pool)) if not self._doubts or scores[i] < scores[0] + DOUBT)]
        order = [kept[i] for i in rng.permutation(len(kept))]
        case = RankingExample(
            "passage",
            question.text,
            None,
            [pool[i] for i in order],
            [float(i == 0) for i in order],
            question.id,
        )
        return Example(case, scores[order], MINED)

    def topic(self, topics: list[Topic], rng: np.random.Generator, n: int) -> Example:
        """Judged passages of a topic: half of the lists hold one that is relevant, the others any grades.

        What a grade counts is 2^grade - 1, as in NDCG.
        """
        topic = topics[rng.integers(len(topics))]
        graded = rng.random() < 0.5
        good = [hit for hit in topic.hits if (hit.grade or 0) >= (1 if graded else 2)]
        gains = {hit.text: 2.0 ** (hit.grade or 0) - 1 for hit in good}
        bad = [hit.text for hit in topic.hits if hit.grade == 0]
        other = topics[rng.integers(len(topics))]
        bad += [hit.text for hit in other.hits[:4] if other.qid != topic.qid]
        best = list(gains) or [topic.hits[0].text]
        count = min(int(rng.integers(1, n)) if graded else 1, len(best))
        pool = [best[i] for i in rng.permutation(len(best))[:count]]
        pool += [bad[i] for i in rng.permutation(len(bad))[: n - count]]
        texts = [pool[i] for i in rng.permutation(len(pool))]
        relevance = [gains.get(text, float(not gains and text == best[0])) for text in texts]
        return self.example(RankingExample("passage", topic.query, None, texts, relevance, topic.qid))
