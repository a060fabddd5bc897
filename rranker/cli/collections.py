"""What `rranker rerank` reads: a run with the texts of its queries and documents, or RankLLM's requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rranker.cli.errors import say
from rranker.cli.lines import Faults, json_array, json_lines, name_of, numbered_lines
from rranker.data.lexical import BM25
from rranker.data.texts import read_texts
from rranker.files import fault
from rranker.ids import as_id, id_text
from rranker.metrics import read_run

_TEXTS = ("text", "segment", "contents", "content", "body", "passage")  # where RankLLM looks, in its order


@dataclass(frozen=True, slots=True)
class Problem:
    """One query with its documents, in the order they came. `record` is the request it was read from, if any."""

    id: str
    query: str
    documents: Mapping[str, str]
    record: Mapping[str, Any] | None = None


def beir_folder(folder: Path) -> tuple[Path, Path]:
    """Corpus and queries of a BEIR folder, packed or not. Raises FileNotFoundError naming what it lacks."""
    found = []
    for stem in ("corpus", "queries"):
        paths = [folder / f"{stem}.jsonl", folder / f"{stem}.jsonl.gz"]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise FileNotFoundError(
                2, f"a BEIR folder holds {stem}.jsonl, and this one does not", str(folder)
            )
        found.append(path)
    return found[0], found[1]


def run_problems(
    run: str, data: bytes, corpus: Path, queries: Path, depth: int, faults: Faults
) -> list[Problem]:
    """The first `depth` documents of each query of a run ("-": stdin) that holds `data`, with their texts."""
    rows = read_run(name_of(run), data)
    best = {
        query: sorted(documents, key=lambda name: (documents[name], name), reverse=True)[:depth]
        for query, documents in rows.items()
    }
    words = read_texts(queries, only=best, on_fault=faults.add)
    texts = read_texts(corpus, only={name for names in best.values() for name in names}, on_fault=faults.add)
    problems = []
    for query, names in best.items():
        if query not in words:
            faults.add(
                ValueError(f"{queries} has no query {query!r}, which {name_of(run)} ranks documents for")
            )
            continue
        for name in names:
            if name not in texts:
                faults.add(
                    ValueError(
                        f"{corpus} has no document {name!r}, which {name_of(run)} has for query {query!r}"
                    )
                )
        known = {name: texts[name] for name in names if name in texts}
        if known:
            problems.append(Problem(query, words[query], known))
    return problems


def bm25_problems(corpus: Path, queries: Path, depth: int, faults: Faults) -> list[Problem]:
    """The `depth` documents that BM25 finds for each query in the whole corpus."""
    texts, words = (read_texts(path, on_fault=faults.add) for path in (corpus, queries))
    names, index = list(texts), BM25(list(texts.values()))
    problems = []
    for query, text in words.items():
        scores = np.asarray(index.scores(text))
        order = [names[i] for i in np.argsort(-scores, kind="stable")[:depth] if scores[i] > 0]
        if order:
            problems.append(Problem(query, text, {name: texts[name] for name in order}))
    if len(problems) < len(words):
        say(f"{len(words) - len(problems)} of {len(words)} queries share no word with any document: left out")
    return problems


def request_problems(path: str, data: bytes, depth: int, faults: Faults) -> list[Problem]:
    """RankLLM's requests: a JSON list of them, or one a line. A broken one is named by file, and line or place."""
    problems, seen = list[Problem](), set[str]()
    if data.lstrip().startswith(b"["):
        numbered: Iterable[tuple[int, Any]] = enumerate(json_array(path, data), start=1)
        unit = "record"
    else:
        numbered, unit = json_lines(path, numbered_lines(path, data, faults), faults), "line"
    for number, record in numbered:
        try:
            problem = _problem(record, number, depth)
            if problem.id in seen:
                raise ValueError(f"the query id {problem.id!r} appears twice")
        except (ValueError, TypeError) as error:
            faults.add(fault(name_of(path), number, error, unit=unit))
            continue
        seen.add(problem.id)
        problems.append(problem)
    return problems


def reordered(problem: Problem, ranked: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """A request with its candidates in their new order, under their new scores; all else as it was.

    Those beyond the depth, which were not ranked, follow as they were, without a score.
    """
    assert problem.record is not None
    by_id = {id_text(candidate["docid"]): candidate for candidate in problem.record["candidates"]}
    candidates = [{**by_id[name], "score": score} for name, score in ranked]
    for name, candidate in by_id.items():
        if name not in problem.documents:
            candidates.append({key: value for key, value in candidate.items() if key != "score"})
    return {**problem.record, "candidates": candidates}


def _problem(record: Any, number: int, depth: int) -> Problem:
    """One request; where it has no qid, `number` is its id, and a document without a docid goes by its place from 1."""
    if not isinstance(record, dict) or not {"query", "candidates"} <= record.keys():
        raise ValueError("a request is an object with query and candidates")
    query, candidates = record["query"], record["candidates"]
    if isinstance(query, str):
        query = {"text": query}
    if not isinstance(query, dict) or not isinstance(query.get("text"), str):
        raise ValueError("query must be a string, or an object with text and qid")
    if not isinstance(candidates, list) or not candidates:
        raise ValueError("candidates must be a list of at least one")
    documents, named = dict[str, str](), list[dict[str, Any]]()
    for place, candidate in enumerate(candidates):
        if isinstance(candidate, str):
            candidate = {"doc": candidate}
        if not isinstance(candidate, dict) or not {"text", "doc"} & candidate.keys():
            raise ValueError(f"candidates[{place}] must be a string, or an object with doc and docid")
        candidate = {"docid": str(place + 1), **candidate}
        name = id_text(as_id(candidate["docid"], f"the docid of candidates[{place}]"))
        if name in documents:
            raise ValueError(f"the docid {name!r} appears twice")
        documents[name] = _text(candidate.get("text", candidate.get("doc")), place)
        named.append(candidate)
    kept = dict(list(documents.items())[:depth])
    name = id_text(as_id(query.get("qid", str(number)), "qid"))
    return Problem(name, query["text"], kept, {**record, "candidates": named})


def _text(doc: Any, place: int) -> str:
    if isinstance(doc, str):
        return doc
    field = next((name for name in _TEXTS if isinstance(doc, dict) and name in doc), None)
    if field is None or not isinstance(doc[field], str):
        raise ValueError(
            f"the doc of candidates[{place}] must hold a string under one of {', '.join(_TEXTS)}"
        )
    title = doc.get("title")
    return f"{title} {doc[field]}" if isinstance(title, str) and title else str(doc[field])
