"""TREC Deep Learning: judged passages and first-stage lists for real search queries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rranker.metrics import read_qrels

from .example import RankingExample, data_file
from .records import json_file
from .splits import Split, in_validation

RUNS = {"bm25": "retrieve_results_dl{year}.json", "splade": "SPLADE_P_P_ENSEMBLE_DISTIL.dl{year}.json"}
TRAIN_YEARS, TEST_YEARS = (20, 21), (19,)


@dataclass(frozen=True)
class Hit:
    """A retrieved passage. `grade` is NIST's 0-3, or None where nobody judged it."""

    docid: str
    text: str
    grade: int | None


@dataclass(frozen=True)
class Topic:
    """A query with a first-stage list, best first."""

    qid: str
    query: str
    hits: tuple[Hit, ...]


def trecdl(year: int, run: str = "bm25", folder: str | Path | None = None) -> list[Topic]:
    """The top-100 lists of DL 2019, 2020 or 2021 (`year` 19, 20, 21) with their judgements."""
    qrels = read_qrels(data_file(f"trecdl/qrels.dl{year}-passage.txt", folder))
    path = data_file("trecdl/" + RUNS[run].format(year=year), folder)
    topics = []
    for entry in json_file(path):
        hits = sorted(entry["hits"], key=lambda hit: hit["rank"])
        qid = str(hits[0]["qid"])
        grades = qrels.get(qid, {})
        judged_hits = [Hit(str(h["docid"]), h["content"], grades.get(str(h["docid"]))) for h in hits]
        topics.append(Topic(qid, entry["query"], tuple(judged_hits)))
    return topics


def judged(year: int, folder: str | Path | None = None) -> list[Topic]:
    """Every judged passage whose text some run holds, once by text (the highest grade wins)."""
    pools: dict[str, dict[str, Hit]] = {}
    queries: dict[str, str] = {}
    for run in RUNS:
        for topic in trecdl(year, run, folder):
            pool = pools.setdefault(topic.qid, {})
            queries[topic.qid] = topic.query
            for hit in topic.hits:
                known = pool.get(hit.text)
                if hit.grade is not None and (known is None or hit.grade > (known.grade or 0)):
                    pool[hit.text] = hit
    return [Topic(qid, queries[qid], tuple(pools[qid].values())) for qid in sorted(pools)]


def topics(split: Split, folder: str | Path | None = None) -> list[Topic]:
    """The judged topics of a split: 2019 is the test; of the other years one topic in five validates."""
    years = TEST_YEARS if split == "test" else TRAIN_YEARS
    found = [topic for year in years for topic in judged(year, folder)]
    if split == "test":
        return found
    return [t for t in found if in_validation(t.query, one_in=5) == (split == "validation")]


def passage_cases(topics: list[Topic], k: int, *, draws: int = 1, seed: int = 0) -> list[RankingExample]:
    """One passage of grade ≥ 2 among k-1 judged 0; `draws` cases a query, which share the query's id."""
    cases = []
    for number, topic in enumerate(topics):
        good = [hit.text for hit in topic.hits if (hit.grade or 0) >= 2]
        bad = [hit.text for hit in topic.hits if hit.grade == 0]
        if not good or len(bad) < k - 1:
            continue
        rng = np.random.default_rng([seed, number, k])
        for _ in range(draws):
            pool = [
                good[rng.integers(len(good))],
                *(bad[i] for i in rng.choice(len(bad), k - 1, replace=False)),
            ]
            order = rng.permutation(k)
            texts, relevance = [pool[i] for i in order], [float(i == 0) for i in order]
            cases.append(RankingExample("passage", topic.query, None, texts, relevance, f"dl-{topic.qid}"))
    return cases


def list_cases(topics: list[Topic]) -> list[RankingExample]:
    """The whole first-stage list in its order; unjudged passages count 0."""
    return [
        RankingExample(
            "passage", t.query, None, [h.text for h in t.hits], [float(h.grade or 0) for h in t.hits], t.qid
        )
        for t in topics
    ]
