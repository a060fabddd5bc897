"""The training mixture: every source draws examples from a random generator.

So a step's batch is a function of the seed and the step's number, and an interrupted run resumes exactly.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from rranker import data
from rranker.data import Question, RankingExample, Topic, in_validation
from rranker.data.collections import RECURRING
from rranker.prompts.encoding import TextEncoder
from rranker.training.examples.cloze import Cloze
from rranker.training.examples.example import Example, Pairs
from rranker.training.examples.histories import Histories
from rranker.training.examples.own import CANDIDATE_TOKENS, PREFIX_TOKENS, Own
from rranker.training.examples.passages import Passages
from rranker.training.examples.routing import Routing
from rranker.training.examples.similarity import Similarity

HISTORIES = {"movies": "rec-movie", "music": "rec-music", "games": "rec-game"}
"""Source → the task that it trains for."""
PASSAGES = ("squad", "trecdl", "classic", "questions")
SOURCES = (*HISTORIES, *(f"{name}-pairs" for name in HISTORIES), "routing", "cloze", *PASSAGES)
OWN = "own"
"""The source that a user's own files are."""
TOKENS, LIST_TOKENS = 4096, 250
"""Of a micro-batch of the usual size, and of a short list of titles or of language models."""
QUERIES, TEXTS = 20, 160
"""Of one draw of pairs."""
SHORT, SHORT_QUERIES, SHORT_TEXTS = 0.5, 64, 320
"""The share of pairs whose histories are of one to three titles, and how many of each: they leave room for more
titles, and what goes with what is learnt title by title."""


@dataclass(frozen=True)
class Draw:
    """Examples for one micro-batch, and the lengths to cut them to."""

    examples: Sequence[Example] | Pairs
    candidate_tokens: int
    prefix_tokens: int


class Sources:
    """Everything that may train. Validation and test are not here: their users, topics, questions, routed queries.

    Each is read when it is first drawn from. `uniform` and `early` are those of `Histories`. `teacher` is an
    encoder's checkpoint that says how alike a query and a text are; None leaves that to BM25. `collections` are those
    that `questions` draws from, None all. `own` are a user's own ranking problems.
    """

    def __init__(
        self,
        uniform: float = 0.5,
        early: float = 0.0,
        teacher: str | Path | None = None,
        collections: Sequence[str] | None = None,
        own: Sequence[RankingExample] = (),
    ) -> None:
        self._uniform, self._early = uniform, early
        self._teacher = teacher
        self._collections = data.COLLECTIONS if collections is None else collections
        self._own = own
        self._histories: dict[str, Histories] = {}

    def histories(self, name: str) -> Histories:
        """The windows of one of `HISTORIES`."""
        if name not in self._histories:
            self._histories[name] = Histories(
                data.INTERACTIONS[HISTORIES[name]](None), self._uniform, self._early
            )
        return self._histories[name]

    @cached_property
    def similarity(self) -> Similarity | None:
        """The teacher that is an encoder."""
        return None if self._teacher is None else Similarity(self._teacher)

    @cached_property
    def cloze(self) -> Cloze:
        """Textbooks and encyclopedia, as passages."""
        return Cloze()

    @cached_property
    def passages(self) -> Passages:
        """How lists of passages are made and taught."""
        if self.similarity is None:
            return Passages(self.cloze.lexical.scores)
        return Passages(self.similarity.scores, doubts=True)

    @cached_property
    def routing(self) -> Routing:
        """The routed queries, with their prices scaled as the task's are."""
        rows, _ = data.routerbench()
        vectors = None if self.similarity is None else self.similarity.vectors
        known = [row for row in rows if not in_validation(row.query)]
        return Routing(known, data.max_cost(rows), vectors)

    @cached_property
    def topics(self) -> list[Topic]:
        """Judged topics of the training years."""
        return data.topics("train")

    @cached_property
    def squad(self) -> list[Question]:
        """Questions about the training articles."""
        return _training(data.squad()[0])

    @cached_property
    def classic(self) -> list[Question]:
        """The queries of the old test collections."""
        return _training(data.cranfield() + data.cacm())

    @cached_property
    def questions(self) -> dict[str, list[Question]]:
        """Collection → its questions."""
        return {name: _training(data.collection_questions(name)) for name in self._collections}

    @cached_property
    def own(self) -> Own:
        """A user's own lists."""
        return Own(self._own)

    @cached_property
    def _collection_shares(self) -> np.ndarray:
        """By the square root of their sizes: a large one shall not drown the others."""
        sizes = np.sqrt([len(questions) for questions in self.questions.values()])
        shares: np.ndarray = sizes / sizes.sum()
        return shares

    def read(self, names: Iterable[str], device: torch.device) -> None:
        """Reads what `names` draw from now rather than at their first draw, and has the teacher see it on `device`.

        Processes that are forked afterwards share all of it.
        """
        for name in names:
            self.draw(name, np.random.default_rng(0))
        if self.similarity is None:
            return
        asked = [q for name in names if name in PASSAGES and name != "trecdl" for q in self.asked(name)]
        texts, queries = [text for q in asked for text in (*q.good, *q.bad)], [q.text for q in asked]
        if "trecdl" in names:
            texts += [hit.text for topic in self.topics for hit in topic.hits]
            queries += [topic.query for topic in self.topics]
        self.similarity.read(texts, queries, device)

    def asked(self, name: str) -> list[Question]:
        """All questions of one of `PASSAGES` that has questions."""
        if name == "questions":
            return [question for questions in self.questions.values() for question in questions]
        return self.squad if name == "squad" else self.classic

    def draw(
        self,
        name: str,
        rng: np.random.Generator,
        curriculum: float = 0.0,
        most: int | None = None,
        tokens: int = TOKENS,
    ) -> Draw:
        """One micro-batch of source `name`, of `most` lists at most (None: as many as the small models take).

        `curriculum` in [0, 1] asks for short passages (early training). `tokens` is what there is room for: beyond
        `TOKENS`, as a GPU wants it, more is drawn in proportion.
        """
        most, room = most or sys.maxsize, max(1.0, tokens / TOKENS)
        if name.endswith("-pairs"):
            histories = self.histories(name.removesuffix("-pairs"))
            # Every query meets every text: both grow with the root.
            each, short = room**0.5, rng.random() < SHORT
            queries, texts = (SHORT_QUERIES, SHORT_TEXTS) if short else (QUERIES, TEXTS)
            length = int(rng.integers(1, 4)) if short else histories.length(rng)
            return Draw(histories.pairs(rng, int(queries * each), int(texts * each), length), 32, 256)
        if name in HISTORIES:
            # One length a micro-batch, because prefixes are padded to the longest.
            histories = self.histories(name)
            length, lists = histories.length(rng), min(most, max(32, tokens // LIST_TOKENS))
            return Draw([histories.window(rng, length) for _ in range(lists)], 32, 256)
        if name == "routing":
            lists = min(most, max(20, tokens // LIST_TOKENS))
            return Draw([self.routing.draw(rng) for _ in range(lists)], 96, 96)
        if name == OWN:
            lists = min(most, max(32, tokens // LIST_TOKENS))
            return Draw(self.own.draw(rng, lists), CANDIDATE_TOKENS, PREFIX_TOKENS)
        n = int(rng.integers(4, 10))
        if name == "cloze":
            length = int(rng.choice([14, 20] if rng.random() < curriculum else [20, 40, 72]))
            lists = min(most, max(4, int(3600 * room) // (n * length)))
            cases = [self.cloze.draw(rng, n, length) for _ in range(lists)]
            return Draw([self.passages.example(case) for case in cases], int(length * 1.5), 32)
        lists = min(most, max(2, int(40 * room) // n))
        if name == "trecdl":
            return Draw([self.passages.topic(self.topics, rng, n) for _ in range(lists)], 112, 64)
        if name == "questions":
            chosen = rng.choice(list(self.questions), size=lists, p=self._collection_shares)
            found = [(self.questions[collection], collection not in RECURRING) for collection in chosen]
        else:
            found = [(self.squad if name == "squad" else self.classic, True)] * lists
        examples = [self.passages.question(questions, rng, n, fill=fill) for questions, fill in found]
        return Draw(examples, 160 if name == "squad" else 112, 64)

    def texts(self) -> Iterable[str]:
        """What a tokenizer learns from: titles as often as they are seen, and a share of the text."""
        for name in HISTORIES:
            interactions = self.histories(name).interactions
            for title, count in zip(interactions.titles, interactions.popularity, strict=True):
                yield from [title] * min(1 + int(count) // 4, 20)
        yield from (" ".join(p) for p in self.cloze.paragraphs[::3])
        yield from (hit.text for topic in self.topics for hit in topic.hits)
        yield from (q.text for q in self.squad)
        yield from (row.query for row in self.routing.rows)
        yield from list(data.DESCRIPTIONS.values()) * 200

    def documents(self, encoder: TextEncoder, items: int = 8, tokens: int = 40) -> Iterator[list[int]]:
        """Token ids that keep company: titles of neighbouring items of one history, stretches of text."""
        for name in HISTORIES:
            interactions = self.histories(name).interactions
            titles = encoder.user_batch(list(interactions.titles))
            for user in interactions.train_users:
                history = interactions.histories[user]
                for at in range(0, len(history) - 1, items):
                    yield [token for item in history[at : at + items] for token in titles[item]]
        for ids in encoder.user_batch([" ".join(p) for p in self.cloze.paragraphs[::4]]):
            yield from (list(ids[at : at + tokens]) for at in range(0, len(ids), tokens))


def _training(questions: list[Question]) -> list[Question]:
    return [question for question in questions if not in_validation(question.text)]
