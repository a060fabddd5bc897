"""`rranker rerank`: the documents of a whole run, ranked anew; a job that was killed goes on where it was."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rranker.cli.errors import UNENCODABLE, ExitCode, Failure, command, failing_as, results, say
from rranker.cli.journal import Journal, fingerprint
from rranker.cli.lines import STDIN, Faults, read_input
from rranker.cli.loading import load_ranker
from rranker.cli.settings import (
    Device,
    Devices,
    Dtype,
    Model,
    SkipBroken,
    call_settings,
)
from rranker.cli.trec import check_names, trec_lines
from rranker.files import as_named, ending

if TYPE_CHECKING:
    from rranker.cli.collections import Problem
    from rranker.ranker import Ranker

Ranked = list[tuple[str, float]]


class RunFormat(StrEnum):
    """How the result is written."""

    trec = "trec"
    json = "json"
    jsonl = "jsonl"


@command
@call_settings("relevance", template="passage")  # a run has one column of scores
def rerank(  # noqa: PLR0913 (options of a command)
    source: Annotated[
        str | None,
        typer.Argument(
            help="A run (TREC's columns), or RankLLM's requests (.json, .jsonl, .ndjson). - is stdin."
        ),
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="Texts of the documents: BEIR's JSON lines, or id, tab, text.")
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="Texts of the queries, in the same formats.")] = None,
    beir: Annotated[
        Path | None,
        typer.Option(help="A BEIR folder, in place of both; without a run, BM25 finds candidates in it."),
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="Where to; - is stdout.")] = STDIN,
    layout: Annotated[
        RunFormat | None, typer.Option("--format", "-f", help="Left out: a TREC run; of requests, requests.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="Rank so many documents a query, the first ones.")] = 100,
    tag: Annotated[str, typer.Option(help="The last column of a TREC run.")] = "rranker",
    model: Model = None,
    device: Device = None,
    devices: Devices = None,
    dtype: Dtype = None,
    batch: Annotated[int, typer.Option(min=1, help="Queries that are ranked together.")] = 16,
    skip_broken: SkipBroken = False,
    **settings: Any,
) -> None:
    """Rank the documents of a run anew, query by query.

    With --output FILE, what is done stands in FILE.partial until all is; the same command goes on from there, whatever
    ended it.
    """
    faults = Faults(skip_broken)
    with failing_as(ExitCode.DATA):
        data = None if source is None else read_input(source)
        problems, files, came_as = _problems(source, data, corpus, queries, beir, depth, faults)
        if not problems:
            raise ValueError("nothing to rank")
    layout = layout or came_as
    if layout is not RunFormat.trec and came_as is RunFormat.trec:
        raise Failure(
            f"--format {layout} writes RankLLM's requests, and only requests become them", ExitCode.USAGE
        )
    _check_output(output, layout, problems, tag)
    model_settings = {"model": model, "device": device, "devices": devices, "dtype": dtype}
    journal: Journal | None = None
    if output != STDIN:
        piped = data if source == STDIN else None
        weights = [model] if model is not None and Path(model).exists() else []
        job = fingerprint({**model_settings, **settings, "depth": depth}, files + weights, piped)
        with failing_as(ExitCode.USAGE, ExitCode.NO_OUTPUT):
            journal = Journal(Path(f"{output}.partial"), job)
    with journal or nullcontext():
        done = {} if journal is None else journal.done
        if done:
            say(f"{len(done)} of {len(problems)} queries are done already")
        left = [problem for problem in problems if problem.id not in done]
        if left:
            with load_ranker(**model_settings) as ranker:
                for problem, ranked in _ranked(ranker, left, settings, batch, faults, len(problems)):
                    if journal is None:
                        done[problem.id] = ranked
                    else:
                        journal.add(problem.id, ranked)
        if not done:
            raise Failure(f"none of {len(problems)} queries could be ranked", ExitCode.DATA)
        with failing_as(ExitCode.DATA, ExitCode.NO_OUTPUT):
            _write(output, layout, [p for p in problems if p.id in done], done, tag)
        if journal is not None:
            journal.remove()
    faults.report()


def _check_output(output: str, layout: RunFormat, problems: Sequence[Problem], tag: str) -> None:
    """Refuses what could not be written when all is ranked, which may take hours."""
    if output != STDIN and Path(output).is_dir():
        raise Failure(f"{output}: is a folder, not a file to write to", ExitCode.NO_OUTPUT)
    if layout is RunFormat.trec:
        with failing_as(ExitCode.DATA):
            for problem in problems:
                check_names(problem.id, problem.documents, tag)


def _problems(
    source: str | None,
    data: bytes | None,
    corpus: Path | None,
    queries: Path | None,
    beir: Path | None,
    depth: int,
    faults: Faults,
) -> tuple[list[Problem], list[str], RunFormat]:
    """What to rank, the files that it was read from, and in which form it came. `data` is what `source` holds."""
    from rranker.cli import (
        collections as read,
    )  # the readers of data take their time: `rank` needs none of them

    files = [] if source is None or source == STDIN else [source]
    if source is not None and data is not None and _are_requests(source, data):
        layout = RunFormat.json if data.lstrip().startswith(b"[") else RunFormat.jsonl
        return read.request_problems(source, data, depth, faults), files, layout
    if beir is not None:
        corpus, queries = read.beir_folder(beir)
    if corpus is None or queries is None:
        raise Failure(
            "a run needs its texts: --beir FOLDER, or --corpus FILE and --queries FILE", ExitCode.USAGE
        )
    files += [str(corpus), str(queries)]
    if source is not None and data is not None:
        return read.run_problems(source, data, corpus, queries, depth, faults), files, RunFormat.trec
    if beir is None:
        raise Failure("no run: name one, or a whole collection (--beir FOLDER)", ExitCode.USAGE)
    return read.bm25_problems(corpus, queries, depth, faults), files, RunFormat.trec


def _are_requests(source: str, data: bytes) -> bool:
    """Whether it is RankLLM's requests, by its name's ending; on stdin, by how it begins."""
    if source == STDIN:
        return data.lstrip()[:1] in (b"[", b"{")
    return ending(source) in (".json", ".jsonl", ".ndjson")


def _ranked(
    ranker: Ranker,
    problems: Sequence[Problem],
    settings: dict[str, Any],
    batch: int,
    faults: Faults,
    total: int,
) -> Iterator[tuple[Problem, Ranked]]:
    """Each query's documents and scores, best first, as batches of queries are done."""
    from tqdm import tqdm

    before = total - len(problems)
    with tqdm(
        total=total, initial=before, unit="query", file=sys.stderr, disable=None
    ) as bar:  # None: no bar in a pipe
        for start in range(0, len(problems), batch):
            some = problems[start : start + batch]
            queries = [
                {
                    "id": problem.id,
                    "query": problem.query,
                    "candidates": [{"id": name, "text": text} for name, text in problem.documents.items()],
                }
                for problem in some
            ]
            with failing_as(ExitCode.USAGE):  # a query's own errors are returned
                found = ranker.rank_batch(queries, **settings, on_error="return", progress=False)
            for problem, ranking in zip(some, found, strict=True):
                if isinstance(ranking, Exception):
                    wrong = ValueError(f"query {problem.id!r}: {ranking.__cause__ or ranking}")
                    wrong.__cause__ = ranking
                    faults.add(wrong)
                else:
                    yield problem, [(str(item.id), item.score) for item in ranking.kept]
            bar.update(len(some))


def _write(
    output: str, layout: RunFormat, problems: Sequence[Problem], done: dict[str, Ranked], tag: str
) -> None:
    """Writes all results in the input's order; a file appears when it is whole."""
    if layout is RunFormat.trec:
        text = "".join(line for problem in problems for line in _lines(problem.id, done[problem.id], tag))
    else:
        from rranker.cli.collections import reordered

        requests = [reordered(problem, done[problem.id]) for problem in problems]
        if layout is RunFormat.json:
            text = json.dumps(requests, ensure_ascii=False, indent=2) + "\n"
        else:
            text = "".join(json.dumps(request, ensure_ascii=False) + "\n" for request in requests)
    if output == STDIN:
        with results():
            sys.stdout.write(text)
        return
    unfinished = Path(f"{output}.writing")
    unfinished.write_bytes(as_named(output, text.encode("utf-8", UNENCODABLE)))
    os.replace(unfinished, output)


def _lines(query: str, ranked: Ranked, tag: str) -> Iterator[str]:
    return trec_lines(query, [name for name, _ in ranked], [score for _, score in ranked], tag)
