"""The training mixture: every source draws cases from a random generator.

So a step's batch is a function of the seed and the step's number, and an interrupted run resumes exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from rranker import data
from rranker.data import Question, RankingExample, Topic
from rranker.data.passage import TRAIN_YEARS
from rranker.data.recommendation import EARLY, HISTORY, Sampler
from rranker.prompts.encoding import TextEncoder
from rranker.training.examples.cloze import Cloze
from rranker.training.examples.example import Example
from rranker.training.examples.teachers import Neighbours


@dataclass(frozen=True)
class Draw:
    """Examples for one micro-batch, and the lengths to cut them to."""

    examples: list[Example]
    candidate_tokens: int
    prefix_tokens: int


class Sources:
    """Everything that may train: test users, test articles, DL 2019, RouterBench's test file are not here."""

    def __init__(self, uniform: float = 0.5, early: float = 0.0) -> None:
        self._uniform, self._early = uniform, early
        self.interactions = {d.name: d for d in (data.movielens(), data.lastfm(), data.games())}
        self.rows, _ = data.routerbench()
        self.max_cost = data.max_cost(self.rows)
        self.squad, _ = data.squad()
        self.classic = data.cranfield() + data.cacm()
        self.topics = [topic for year in TRAIN_YEARS for topic in data.judged(year)]
        self.neighbours = {name: Neighbours(interactions) for name, interactions in self.interactions.items()}
        self.cloze = Cloze()
        self.lexical = self.cloze.lexical

    def texts(self) -> Iterable[str]:
        """What the tokenizer learns from: titles as often as they are seen, and a share of the text."""
        for interactions in self.interactions.values():
            for title, count in zip(interactions.titles, interactions.popularity, strict=True):
                yield from [title] * min(1 + int(count) // 4, 20)
        yield from (" ".join(p) for p in self.cloze.paragraphs[::3])
        yield from (hit.text for topic in self.topics for hit in topic.hits)
        yield from (q.text for q in self.squad)
        yield from (row.query for row in self.rows)
        yield from list(data.DESCRIPTIONS.values()) * 200

    def documents(self, encoder: TextEncoder, items: int = 8, tokens: int = 40) -> Iterator[list[int]]:
        """Token ids that keep company: titles of neighbouring items of one history, stretches of text."""
        for interactions in self.interactions.values():
            titles = encoder.user_batch(list(interactions.titles))
            for user in interactions.train_users:
                history = interactions.histories[user]
                for at in range(0, len(history) - 1, items):
                    yield [token for item in history[at : at + items] for token in titles[item]]
        for ids in encoder.user_batch([" ".join(p) for p in self.cloze.paragraphs[::4]]):
            yield from (list(ids[at : at + tokens]) for at in range(0, len(ids), tokens))

    def draw(self, name: str, rng: np.random.Generator, curriculum: float = 0.0) -> Draw:
        """One micro-batch of source `name`. `curriculum` in [0, 1] asks for short passages (early training)."""
        if name in self.interactions:
            # Mostly short histories: what matters is how many lists are seen, and these cost half. One length
            # a micro-batch, because prefixes are padded to the longest.
            length = HISTORY if rng.random() < 0.2 else int(rng.integers(3, 10))
            return Draw([self._window(name, length, rng) for _ in range(32)], 12, 256)
        if name == "routing":
            return Draw([self._routing(rng) for _ in range(20)], 40, 56)
        if name == "cloze":
            length = int(rng.choice([14, 20] if rng.random() < curriculum else [20, 40, 72]))
            n = int(rng.integers(4, 9))
            cases = [self.cloze.draw(rng, n, length) for _ in range(max(4, 3600 // (n * length)))]
            return Draw([self._searched(case) for case in cases], int(length * 1.5), 32)
        make: dict[str, Callable[[np.random.Generator, int], RankingExample]] = {
            "squad": lambda r, n: self._question(self.squad, r, n),
            "classic": lambda r, n: self._question(self.classic, r, n),
            "trecdl": self._topic,
        }
        n = int(rng.integers(4, 9))
        cases = [make[name](rng, n) for _ in range(60 // n)]
        return Draw([self._searched(case) for case in cases], 160 if name == "squad" else 112, 48)

    def _window(self, name: str, length: int, rng: np.random.Generator) -> Example:
        """A training user's `length` items before a random moment → the next one."""
        interactions = self.interactions[name]
        items: tuple[int, ...] = ()
        while len(items) < 4:
            items = interactions.histories[
                interactions.train_users[rng.integers(len(interactions.train_users))]
            ]
        early = self._early > 0 and rng.random() < self._early
        at = int(rng.integers(3, min(len(items), EARLY) if early else len(items)))
        history = items[max(0, at - length) : at]
        sampler: Sampler = "uniform" if rng.random() < self._uniform else "popular"
        pool = [items[at], *interactions.negatives(items, int(rng.integers(9, 20)), sampler, rng)]
        pool = [pool[i] for i in rng.permutation(len(pool))]
        teacher_scores = self.neighbours[name].scores(history, pool, own=items)
        titles = [interactions.titles[i] for i in pool]
        query = [interactions.titles[i][:64] for i in history]
        relevance = [float(i == items[at]) for i in pool]
        return Example(
            RankingExample("recommendation", query, None, titles, relevance, interactions.name),
            teacher_scores,
            0.7,
        )

    def _routing(self, rng: np.random.Generator) -> Example:
        """Utilities are differences in value, so they are standardised (costs spread far less than scores)."""
        row = self.rows[rng.integers(len(self.rows))]
        setting = str(rng.choice(["performance", "balance", "cost"]))
        case = data.routing_case(row, setting, self.max_cost, rng)
        n = int(rng.integers(4, len(case.relevance) + 1))
        values = np.array(case.relevance[:n])
        teacher_scores = 2 * (values - values.mean()) / (values.std() + 1e-3)
        kept = RankingExample(
            "routing", case.query, case.instruction, case.candidates[:n], case.relevance[:n], case.id
        )
        return Example(kept, teacher_scores, 1.0)

    def _searched(self, case: RankingExample) -> Example:
        return Example(case, self.lexical.scores(str(case.query), case.candidates), 0.3)

    def _question(self, questions: list[Question], rng: np.random.Generator, n: int) -> RankingExample:
        question = questions[rng.integers(len(questions))]
        near = [text for text in question.bad if rng.random() < 0.5][: n - 1]
        while len(near) < n - 1:
            near.append(questions[rng.integers(len(questions))].good[0])
        good = question.good[rng.integers(len(question.good))]
        # One passage may answer several questions, so an "other" one may be this very one; a list of one teaches
        # nothing, and does no harm.
        return _shuffled(question.text, good, [text for text in near if text not in question.good], rng)

    def _topic(self, rng: np.random.Generator, n: int) -> RankingExample:
        topic: Topic = self.topics[rng.integers(len(self.topics))]
        good = [h.text for h in topic.hits if (h.grade or 0) >= 2] or [topic.hits[0].text]
        bad = [h.text for h in topic.hits if h.grade == 0]
        other = self.topics[rng.integers(len(self.topics))]
        bad += [h.text for h in other.hits[:4] if other.qid != topic.qid]
        chosen = rng.permutation(len(bad))[: n - 1]
        return _shuffled(topic.query, good[rng.integers(len(good))], [bad[i] for i in chosen], rng)


def _shuffled(query: str, good: str, bad: list[str], rng: np.random.Generator) -> RankingExample:
    pool = [good, *bad]
    order = rng.permutation(len(pool))
    return RankingExample(
        "passage", query, None, [pool[i] for i in order], [float(i == 0) for i in order], query
    )
