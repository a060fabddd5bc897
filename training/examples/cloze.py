"""Passage search without labels: part of a paragraph is the query, the paragraph is the answer."""

from __future__ import annotations

import numpy as np

from rranker.data import RankingExample, textbooks, wikipedia
from rranker.data.lexical import words
from rranker.training.examples.teachers import Lexical


class Cloze:
    """Four ways to ask for a passage: its rare words, a phrase of it, a sentence around it, its title."""

    def __init__(self) -> None:
        books = textbooks()
        wiki = wikipedia()
        self.paragraphs = [text.split() for book in books for text in book]
        self.titles: dict[int, str] = {}
        for title, text in wiki:
            if text.count(" ") >= 15:
                self.titles[len(self.paragraphs)] = title
                self.paragraphs.append(text.split())
        self._wiki = sorted(self.titles)
        self.lexical = Lexical(" ".join(p) for p in self.paragraphs)

    def draw(self, rng: np.random.Generator, n: int, length: int) -> RankingExample:
        """`n` passages of about `length` words; most negatives come from nearby, so a topic is not enough."""
        from_wiki = rng.random() < 0.25
        i = int(rng.choice(self._wiki)) if from_wiki else int(rng.integers(len(self.paragraphs)))
        start, gold = self._window(i, length, rng)
        query = self._query(i, start, gold, rng)
        negatives: list[str] = []
        while len(negatives) < n - 1:
            near = rng.random() < 0.6
            j = int(i + rng.integers(-12, 13) if near else rng.integers(len(self.paragraphs)))
            if j != i and 0 <= j < len(self.paragraphs):
                negatives.append(" ".join(self._window(j, length, rng)[1]))
        pool = [" ".join(gold), *negatives]
        order = rng.permutation(n)
        return RankingExample(
            "passage", query, None, [pool[k] for k in order], [float(k == 0) for k in order], f"cloze-{i}"
        )

    def _window(self, i: int, length: int, rng: np.random.Generator) -> tuple[int, list[str]]:
        tokens = self.paragraphs[i]
        size = int(length * rng.uniform(0.6, 1.1))
        start = int(rng.integers(max(len(tokens) - size, 0) + 1))
        return start, tokens[start : start + size]

    def _query(self, i: int, start: int, gold: list[str], rng: np.random.Generator) -> str:
        kind = rng.random()
        if i in self.titles and kind < 0.4:
            return self.titles[i]
        if kind < 0.55:
            return self._keywords(gold, rng)
        rest = self.paragraphs[i][:start] + self.paragraphs[i][start + len(gold) :]
        if kind > 0.8 and len(rest) >= 12:
            gold = rest
        size = int(rng.integers(4, 14))
        at = int(rng.integers(max(len(gold) - size, 0) + 1))
        phrase = [w for w in gold[at : at + size] if rng.random() > 0.2]
        return " ".join(phrase) or " ".join(gold[:size])

    def _keywords(self, gold: list[str], rng: np.random.Generator) -> str:
        answer_words = sorted(set(words(" ".join(gold))))
        weight = np.array([self.lexical.idf(w) if len(w) > 2 else 0.1 for w in answer_words]) ** 2 + 1e-3
        count = min(int(rng.integers(2, 7)), len(answer_words))
        picked = rng.choice(len(answer_words), size=count, replace=False, p=weight / weight.sum())
        return " ".join(answer_words[k] for k in picked)
