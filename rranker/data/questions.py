"""Questions with their paragraphs (SQuAD), and two old test collections (Cranfield, CACM)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np

from rranker.files import parsed_lines

from .example import RankingExample, data_file
from .lexical import BM25
from .records import json_lines


@dataclass(frozen=True)
class Question:
    """A question, its relevant texts, and near misses, nearest first, none of which answers it."""

    id: str
    text: str
    good: tuple[str, ...]
    bad: tuple[str, ...]


def squad(
    folder: str | Path | None = None, seed: int = 0, near: int = 20
) -> tuple[list[Question], list[Question]]:
    """(train, test), split 80/20 by article. Near misses come from the same article, by BM25."""
    articles: dict[str, dict[int, str]] = {}
    home: dict[int, str] = {}
    paragraphs = json_lines(data_file("squad/paragraphs.jsonl", folder), itemgetter("title", "pid", "text"))
    for title, number, text in paragraphs:
        articles.setdefault(title, {})[number] = text
        home[number] = title
    names = sorted(articles)
    held_out = {names[i] for i in np.random.default_rng(seed).permutation(len(names))[: len(names) // 5]}
    indices = {name: BM25(list(texts.values())) for name, texts in articles.items()}
    train: list[Question] = []
    test: list[Question] = []
    fields = itemgetter("qid", "pid", "question", "answers")
    for qid, number, asked, accepted in json_lines(data_file("squad/questions.jsonl", folder), fields):
        name = home[number]
        texts, answers = list(articles[name].values()), [answer.lower() for answer in accepted]
        gold = articles[name][number]
        order = np.argsort(-indices[name].scores(asked), kind="stable")
        misses = [texts[i] for i in order if texts[i] != gold]
        misses = [text for text in misses if not any(answer in text.lower() for answer in answers)]
        question = Question(f"squad-{qid}", asked, (gold,), tuple(misses[:near]))
        (test if name in held_out else train).append(question)
    return train, test


def question_cases(
    questions: list[Question], k: int, *, limit: int | None = None, seed: int = 0
) -> list[RankingExample]:
    """One relevant text among its k-1 nearest misses; a seeded sample of `limit` questions."""
    usable = [question for question in questions if len(question.bad) >= k - 1]
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(usable))[: limit or len(usable)]
    cases = []
    for question in (usable[i] for i in chosen):
        pool = [question.good[0], *question.bad[: k - 1]]
        order = rng.permutation(k)
        texts, relevance = [pool[i] for i in order], [float(i == 0) for i in order]
        cases.append(RankingExample("passage", question.text, None, texts, relevance, question.id))
    return cases


def cranfield(folder: str | Path | None = None, near: int = 30) -> list[Question]:
    """Queries count 1-225 in the judgements, whatever their `.I` says; grade -1 and 5 mean no use."""
    documents = _smart(data_file("ir_classic/cranfield/cran.all.1400", folder))
    queries = _smart(data_file("ir_classic/cranfield/cran.qry", folder))
    relevant: dict[int, set[int]] = {}
    path = data_file("ir_classic/cranfield/cranqrel", folder)
    for query, document, grade in parsed_lines(path, lambda line: _integers(line, 3)):
        if 1 <= grade <= 4:
            relevant.setdefault(query, set()).add(document)
    texts = {number: fields.get("W", "") for number, fields in documents.items()}
    ordinals = {i + 1: fields.get("W", "") for i, fields in enumerate(queries.values())}
    return _collection("cranfield", texts, ordinals, relevant, near)


def cacm(folder: str | Path | None = None, near: int = 30) -> list[Question]:
    """The CACM collection's queries, each with its relevant abstracts and `near` others that BM25 ranks high."""
    documents = _smart(data_file("ir_classic/cacm/cacm.all", folder))
    queries = _smart(data_file("ir_classic/cacm/query.text", folder))
    relevant: dict[int, set[int]] = {}
    path = data_file("ir_classic/cacm/qrels.text", folder)
    for query, document in parsed_lines(path, lambda line: _integers(line, 2)):
        relevant.setdefault(query, set()).add(document)
    texts = {n: (f.get("T", "") + ". " + f.get("W", "")).strip(". ") for n, f in documents.items()}
    return _collection("cacm", texts, {n: f.get("W", "") for n, f in queries.items()}, relevant, near)


def _collection(
    name: str, documents: dict[int, str], queries: dict[int, str], relevant: dict[int, set[int]], near: int
) -> list[Question]:
    numbers = [number for number, text in documents.items() if text]
    index = BM25([documents[number] for number in numbers])
    result = []
    for query, text in queries.items():
        good = [documents[n] for n in sorted(relevant.get(query, ())) if documents.get(n)]
        if not good or not text:
            continue
        order = [numbers[i] for i in np.argsort(-index.scores(text), kind="stable")]
        bad = [documents[n] for n in order if n not in relevant[query]]
        result.append(Question(f"{name}-{query}", text, tuple(good), tuple(bad[:near])))
    return result


def _integers(line: str, count: int) -> list[int]:
    """The first `count` columns."""
    fields = line.split()
    if len(fields) < count:
        raise ValueError(f"{count} columns are needed, this row has {len(fields)}")
    return [int(field) for field in fields[:count]]


def _smart(path: Path) -> dict[int, dict[str, str]]:
    """`.I n` opens a record, `.X` a field: {n: {field letter: text on one line}}."""
    records: dict[int, dict[str, str]] = {}
    for block in re.split(r"^\.I (?=\s*\d+\s*$)", path.read_text(encoding="latin-1"), flags=re.M)[1:]:
        number, _, body = block.partition("\n")
        parts = re.split(r"^\.([A-Z])\s*\n", body, flags=re.M)
        fields = {key: " ".join(value.split()) for key, value in zip(parts[1::2], parts[2::2], strict=True)}
        records[int(number)] = fields
    return records
