"""`rranker evaluate`: runs against relevance judgements, the first one as the baseline."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rranker.cli.errors import ExitCode, command, failing_as, results, say
from rranker.cli.lines import STDIN, name_of, read_input
from rranker.cli.settings import Layout
from rranker.cli.tables import print_table

if TYPE_CHECKING:
    from rranker.metrics import Comparison, Evaluation


@command
def evaluate(
    qrels: Annotated[
        str, typer.Argument(help="Relevance judgements: TREC's, BEIR's or MS MARCO's columns. - is stdin.")
    ],
    runs: Annotated[
        list[str], typer.Argument(help="Runs; the others are compared with the first. - is stdin.")
    ],
    measures: Annotated[
        list[str] | None,
        typer.Option(
            "--measure", "-m", help="Such as nDCG@10, RR, AP, R@100; repeatable. [default: nDCG@10, RR, AP]"
        ),
    ] = None,
    complete: Annotated[
        bool, typer.Option("--complete", "-c", help="Queries that a run lacks count as 0 (trec_eval's -c).")
    ] = False,
    level: Annotated[
        int, typer.Option("--level", "-l", min=1, help="Least relevant level (trec_eval's -l).")
    ] = 1,
    layout: Annotated[Layout, typer.Option("--format", "-f", help="What to write.")] = Layout.table,
) -> None:
    """Evaluate runs as trec_eval does, and compare each with the first.

    The difference of means stands with a 95 % bootstrap interval over the queries that both have, and with the p-value
    of a paired randomisation test.
    """
    from rranker.metrics import evaluate as measured
    from rranker.metrics import read_run
    from rranker.metrics.trec import read_columns

    wanted = measures or ["nDCG@10", "RR", "AP"]
    found = dict[str, Any]()
    with failing_as(ExitCode.DATA), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        if qrels == STDIN and STDIN in runs:
            raise ValueError("stdin holds the qrels or a run, not both: name a file for one of them")
        judged = read_columns(name_of(qrels), "qrels", read_input(qrels))
        for run in runs:
            name = name_of(run)
            if name in found:
                raise ValueError(f"{name} is named twice")
            given = read_run(name, read_input(run)) if run == STDIN else run
            found[name] = measured(judged, given, wanted, complete=complete, relevance_level=level)
    for warning in warned:
        say(str(warning.message))
    first, *others = found
    against = {name: _comparisons(found[first], found[name]) for name in others}
    if layout is Layout.json:
        with results():
            print(json.dumps([_record(name, found[name], against.get(name, {})) for name in found]))
        return
    shown, rows = _shown(list(found)), []
    for name, result in found.items():
        for measure, mean in result.items():
            row = [shown[name], measure, f"{mean:.4f}", str(len(result.queries))]
            if others:
                row += _cells(against.get(name, {}).get(measure))
            rows.append(row)
    columns = ["run", "measure", "mean", "queries"]
    if others:
        columns += ["difference", "95 % interval", "p"]
    with results():
        print_table(columns, rows, left=("run", "measure"))
    for name, result in found.items():
        if result.not_retrieved and not complete:
            say(
                f"{name} lacks {len(result.not_retrieved)} queries of the qrels; they are left out (--complete: 0)"
            )


def _shown(names: Sequence[str]) -> dict[str, str]:
    """How the table calls each run: by its file's name, or as it was given where others have that name too."""
    files = {name: Path(name).name for name in names}
    often = Counter(files.values())
    return {name: file if often[file] == 1 else name for name, file in files.items()}


def _comparisons(base: Evaluation, other: Evaluation) -> dict[str, Comparison]:
    """Of each measure, over the queries that both have; of none where there is no such query."""
    from rranker.metrics import paired_randomisation

    both = [query for query in other.queries if query in set(base.queries)]
    if not both:
        return {}

    def values(evaluation: Evaluation, measure: str) -> Mapping[str, float]:
        by_query = evaluation.per_query(measure)
        return {query: by_query[query] for query in both}

    return {name: paired_randomisation(values(other, name), values(base, name)) for name in other}


def _cells(found: Comparison | None) -> list[str]:
    if found is None:
        return ["", "", ""]
    return [f"{found.difference:+.4f}", f"[{found.low:+.4f}, {found.high:+.4f}]", f"{found.p_value:.4f}"]


def _record(name: str, result: Evaluation, against: Mapping[str, Comparison]) -> dict[str, Any]:
    compared = {
        measure: {
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
            "p_value": found.p_value,
            "queries": found.queries,
        }
        for measure, found in against.items()
    }
    return {"run": name, "queries": len(result.queries), "means": dict(result), "against_first": compared}
