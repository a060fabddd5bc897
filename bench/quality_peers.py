"""Rows that need no ranker: popularity, BM25, item-kNN, BPR, routers by neighbours, and MiniLM's vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from torch.nn.functional import normalize

from bench.pretrained_models import minilm_folder
from bench.quality_held_out import HELD_OUT
from rranker import data
from rranker.data import INTERACTIONS, Interactions, RankingExample, Split, in_validation
from rranker.data.recommendation import HISTORY
from rranker.data.routing import utilities
from rranker.engine.embedding import Embedding
from rranker.training.examples.similarity import Similarity

Scores = list[np.ndarray]
"""One array a case: a score for each candidate, higher is better."""


def by_score(scores: np.ndarray, seed: int) -> list[int]:
    """Best first; equal scores in a seeded random order, so that the list's own order says nothing."""
    noise = np.random.default_rng(seed).random(len(scores))
    return sorted(range(len(scores)), key=lambda i: (-scores[i], noise[i]))


def peers(task: str, cases: Sequence[RankingExample], split: Split = "test") -> dict[str, Scores]:
    """Row name → scores, for all rows that suit the task. Slow ones are fitted once a process.

    They are fitted on all that is known beside `split`: for the test on validation, too.
    """
    if task in INTERACTIONS:
        return {**recommenders(task, cases, split), "MiniLM cosine": cosine(cases)}
    if task.startswith("router-"):
        return {**routers(task.removeprefix("router-"), cases, split), "cheapest first": cheapest(cases)}
    if task.startswith(("invented-", "ood-router-")):
        return {"cheapest first": cheapest(cases), "MiniLM cosine": cosine(cases)}
    if task.startswith("passage-") or task in ("ood-pubmedqa", *HELD_OUT):
        return {"BM25": bm25(cases), "MiniLM cosine": cosine(cases), "MiniLM MaxSim": maxsim(cases)}
    return {"MiniLM cosine": cosine(cases)}


@lru_cache(maxsize=1)
def minilm() -> Similarity:
    """all-MiniLM-L6-v2, as sentence-transformers runs it. Raises ModuleNotFoundError where it is not installed."""
    return Similarity(minilm_folder(), tokens=256)


class TokenEmbedding(Embedding):
    """Vectors of single tokens, each text's once, in half precision: what late interaction compares."""

    def maxsim(self, query: str, texts: Sequence[str]) -> np.ndarray:
        """[texts]: the mean, over the query's tokens, of the cosine to the text's token that is most like it."""
        asked = self.queries([query])[0].astype(np.float32)
        alike = (self.vectors([text])[0].astype(np.float32) @ asked.T for text in texts)
        return np.array([found.max(0).mean() for found in alike])

    def _encoded(self, texts: list[str]) -> Iterable[np.ndarray]:
        states, seen = self._states(texts)
        tokens = normalize(states, dim=-1).cpu().numpy().astype(np.float16)
        lengths = seen.sum((1, 2)).int().tolist()
        return [row[:length] for row, length in zip(tokens, lengths, strict=True)]


@lru_cache(maxsize=1)
def minilm_tokens() -> TokenEmbedding:
    """The same encoder's single tokens."""
    return TokenEmbedding(minilm_folder(), tokens=256)


def maxsim(cases: Sequence[RankingExample]) -> Scores:
    """Late interaction as ColBERT's, over MiniLM's token states, which it was never trained for."""
    return [minilm_tokens().maxsim(str(case.query), case.candidates) for case in cases]


def cosine(cases: Sequence[RankingExample]) -> Scores:
    """Of MiniLM's vectors of the query (or the history's titles, a line each) and of the candidates."""
    asked = [case.query if isinstance(case.query, str) else "\n".join(case.query) for case in cases]
    return [minilm().scores(query, case.candidates) for query, case in zip(asked, cases, strict=True)]


def bm25(cases: Sequence[RankingExample]) -> Scores:
    """bm25s (Lucene's variant, k1 = 0.9, b = 0.4) over all candidates of the task together."""
    import bm25s

    texts = list(dict.fromkeys(text for case in cases for text in case.candidates))
    place = {text: i for i, text in enumerate(texts)}
    retriever = bm25s.BM25(k1=0.9, b=0.4)
    retriever.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    found = []
    for case in cases:
        words = bm25s.tokenize([str(case.query)], return_ids=False, show_progress=False)[0]
        every = retriever.get_scores(words) if words else np.zeros(len(texts))
        found.append(np.array([every[place[text]] for text in case.candidates]))
    return found


def recommenders(task: str, cases: Sequence[RankingExample], split: Split = "test") -> dict[str, Scores]:
    """Fitted on whole histories, of the asked users on their first 20 items: what is asked stays hidden."""
    found = _interactions(task)
    index = {title: item for item, title in enumerate(found.titles)}
    users = [int(case.id.rpartition("-")[2]) for case in cases]
    lists = [np.array([index[title] for title in case.candidates]) for case in cases]
    popularity = found.popularity if split == "test" else found.counts(found.train_users)
    rows: dict[str, Scores] = {"popularity": [popularity[items] for items in lists]}
    for name, model in _fitted(task, split).items():
        if name == "item-kNN":
            similarity = model.similarity
            history = [np.array(found.histories[user][:HISTORY]) for user in users]
            rows[name] = [
                np.asarray(similarity[seen][:, items].sum(0)).ravel()
                for seen, items in zip(history, lists, strict=True)
            ]
        else:
            rows[name] = [
                model.item_factors[items] @ model.user_factors[user]
                for user, items in zip(users, lists, strict=True)
            ]
    return rows


def known(found: Interactions, split: Split = "test") -> list[tuple[int, int]]:
    """(user, item) pairs that may be fitted on: of test users, and of the split's, what the histories show."""
    hidden = found.test_users | (found.validation_users if split == "validation" else frozenset())
    return [
        (user, item)
        for user, items in enumerate(found.histories)
        for item in (items[:HISTORY] if user in hidden else items)
    ]


@lru_cache(maxsize=3)
def _interactions(task: str) -> Interactions:
    return INTERACTIONS[task](None)


@lru_cache(maxsize=3)
def _fitted(task: str, split: Split) -> dict[str, Any]:
    """item-kNN (cosine of TF-IDF weighted columns, 200 neighbours) and BPR (64 factors)."""
    import implicit
    from scipy.sparse import csr_matrix

    found = _interactions(task)
    pairs = known(found, split)
    rows, columns = np.array(pairs).T
    shape = (len(found.histories), len(found.titles))
    matrix = csr_matrix((np.ones(len(pairs), dtype=np.float32), (rows, columns)), shape=shape)
    near = implicit.nearest_neighbours.TFIDFRecommender(K=200, num_threads=1)
    near.fit(matrix, show_progress=False)
    bpr = implicit.bpr.BayesianPersonalizedRanking(
        factors=64, learning_rate=0.05, regularization=0.01, iterations=200, num_threads=1, random_state=0
    )
    bpr.fit(matrix, show_progress=False)
    return {"item-kNN": near, "BPR": bpr}


def routers(setting: str, cases: Sequence[RankingExample], split: Split = "test") -> dict[str, Scores]:
    """majority: each model's mean utility, or how often it is the best; kNN and ridge regression on vectors."""
    train, _ = data.routerbench()
    top = data.max_cost(train)
    if split == "validation":
        train = [row for row in train if not in_validation(row.query)]
    scores, costs = [row.scores for row in train], [row.costs for row in train]
    table = utilities(scores, costs, setting, top)  # [queries, models]
    place = {text: model for model, text in enumerate(train[0].candidates)}
    lists = [np.array([place[text] for text in case.candidates]) for case in cases]
    known, asked = _vectors(tuple(row.query for row in train), tuple(str(case.query) for case in cases))
    vectors = [
        minilm().vectors(texts) for texts in ([row.query for row in train], [str(c.query) for c in cases])
    ]
    predicted = {
        "majority": np.repeat(table.mean(0)[None], len(cases), 0),
        "most often best": np.repeat((table == table.max(1, keepdims=True)).mean(0)[None], len(cases), 0),
        "kNN router": _nearest(known, asked, table),
        "MiniLM kNN router": _nearest(vectors[0], vectors[1], table),
        "TF-IDF router": _ridge(known, asked, table),
    }
    return {
        name: [row[models] for row, models in zip(rows, lists, strict=True)]
        for name, rows in predicted.items()
    }


def cheapest(cases: Sequence[RankingExample]) -> Scores:
    """By the price that a description tells: of several, as of reading and writing, their mean. None told: last."""
    return [np.array([_told_price(text) for text in case.candidates]) for case in cases]


def _told_price(text: str) -> float:
    told = [float(a or b) for a, b in re.findall(r"\$(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?) USD", text)]
    return -float(np.mean(told)) if told else -np.inf


@lru_cache(maxsize=4)
def _vectors(known: tuple[str, ...], asked: tuple[str, ...]) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    return vectorizer.fit_transform(known), vectorizer.transform(asked)


def _nearest(known: Any, asked: Any, table: np.ndarray, k: int = 40) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    places = NearestNeighbors(n_neighbors=k, metric="cosine").fit(known).kneighbors(asked)[1]
    result: np.ndarray = table[places].mean(1)
    return result


def _ridge(known: Any, asked: Any, table: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import Ridge

    result: np.ndarray = Ridge(alpha=1.0).fit(known, table).predict(asked)
    return result
