"""`python -m training.calibrate MODEL`: fits what makes relevance of a model's scores, and saves it with the model.

Slope and intercept of a logistic curve are fitted by template, on validation lists whose every candidate is labelled
(docs/relevance.md; `--data`: of your own), and written to the checkpoint's config.json. A language model without a
head is asked in four ways, a pointer head is read with late interaction and without; the way under which the labels are
most likely is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from rranker.calibration import Calibration, SpaceCurve
from rranker.data import BENCHMARK_TASKS, RankingExample, read_examples
from rranker.data.labelled import QUESTIONS, labelled_cases
from rranker.engine.engine import Engine
from rranker.engine.loading.adapters import is_adapter
from rranker.engine.loading.arguments import as_device, as_source
from rranker.engine.loading.files import read_json
from rranker.engine.loading.gguf import is_gguf
from rranker.engine.loading.hub import download
from rranker.engine.loading.settings import FORMAT, ModelSettings
from rranker.item_factors import ItemFactors
from rranker.metrics.reliability import brier_score, expected_calibration_error
from rranker.training import command
from rranker.training.calibrate.fit import Floats, fit_logistic, log_loss
from rranker.training.calibrate.scores import score_cases
from rranker.training.options import in_range

CONFIG = "config.json"
TASKS = [*BENCHMARK_TASKS, QUESTIONS]
_ASKED = [
    Calibration(1.0, 0.0, source, content_free)
    for source in ("pointwise", "query_likelihood")
    for content_free in (False, True)
]
_GAIN = 1e-5
"""Nats by which labels must be likelier under a later way: where a gate is shut, ways differ by rounding alone."""
_QUERIES = 200
"""Lists a task, where nobody says how many."""
_LEAST = 20
"""Lists that a curve of their own needs; fewer go by the joint one."""


def calibrate(engine: Engine, cases: Sequence[RankingExample]) -> tuple[Calibration | None, list[str]]:
    """The calibration of one template's labelled cases, and a line of a table for each way that was tried.

    None where under no way relevant candidates score higher than others. Raises what `score_cases` raises.
    """
    assert engine.model is not None
    pointer = engine.model.settings.readout == "pointer"
    factors = engine.model.item_factors if pointer else None  # a pointer's scores alone hold priors
    best, least, lines = None, float("inf"), list[str]()
    late = (False, True) if engine.readout.matches is not None else (False,)
    read = [Calibration(1.0, 0.0, late_interaction=each) for each in late]
    for kind in read if pointer else _ASKED:
        scores = score_cases(engine, cases, kind)
        name = kind.source + (", less the content-free candidate's" if kind.content_free else "")
        name += " with late interaction" if kind.late_interaction else ""
        found, loss, line = _curve(kind, name, cases, scores)
        lines.append(line)
        if found is None:
            continue
        for space, some in _by_space(factors, cases, scores).items():
            own, _, line = _curve(found, f"{name}, space {space}", *some)
            lines.append(line)
            if own is not None:
                curve = SpaceCurve(space, own.slope, own.intercept)
                found = replace(found, spaces=(*found.spaces, curve))
        if loss < least - _GAIN:
            best, least = found, loss
    return best, lines


def _curve(
    kind: Calibration, name: str, cases: Sequence[RankingExample], scores: Sequence[Floats]
) -> tuple[Calibration | None, float, str]:
    """`kind` with the slope and intercept that fit best, its log loss, and a row of the table; None where none fits."""
    flat, outcomes = np.concatenate(scores), np.concatenate([case.relevance for case in cases])
    row = f"| {cases[0].task} | {name} | {len(cases)} | {len(outcomes)} | {outcomes.mean():.3f} |"
    try:
        slope, intercept = fit_logistic(flat, outcomes)
    except ValueError as error:
        return None, float("inf"), f"{row} {error} | | | | |"
    found = replace(kind, slope=slope, intercept=intercept)
    loss = log_loss(flat, outcomes, slope, intercept)
    said = [found.probability(score) for score in flat.tolist()]
    return (
        found,
        loss,
        f"{row} {slope:.4g} | {intercept:.4g} | {loss:.4f} | {brier_score(said, outcomes):.4f} | "
        f"{expected_calibration_error(said, outcomes):.4f} |",
    )


def _by_space(
    factors: ItemFactors | None, cases: Sequence[RankingExample], scores: Sequence[Floats]
) -> dict[int, tuple[list[RankingExample], list[Floats]]]:
    """The histories of each space of the model's item factors, and their scores: of a space that has `_LEAST`."""
    found: dict[int, tuple[list[RankingExample], list[Floats]]] = {}
    for case, row in zip(cases, scores, strict=True):
        space = None if factors is None else factors.space(case.query)
        if space is not None:
            some = found.setdefault(space, ([], []))
            some[0].append(case)
            some[1].append(row)
    return {space: some for space, some in sorted(found.items()) if len(some[0]) >= _LEAST}


def write_calibration(folder: Path, calibration: Mapping[str, Calibration]) -> None:
    """Writes calibrations by template into a checkpoint's config.json; those of other templates stay as they are.

    Raises what `ModelSettings.read` raises, and then leaves the file as it was.
    """
    path = folder / CONFIG
    config = read_json(path)
    entry = dict(config.get("rranker") or {"format": FORMAT})
    fitted = {template: asdict(each) for template, each in calibration.items()}
    entry["calibration"] = {**(entry.get("calibration") or {}), **fitted}
    ModelSettings.read(entry, path)
    draft = path.with_name(f"{CONFIG}.new")
    draft.write_text(json.dumps({**config, "rranker": entry}, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


def target_folder(model: str, out: Path | None) -> tuple[Path, Path]:
    """The folder of a checkpoint, and where the calibrated one goes (`out` or the same).

    Raises ValueError for what has no config.json of its own to write to, and for an `out` that is there;
    PermissionError for a folder that cannot be written to; what `as_source` and `download` raise.
    """
    source = as_source(model)
    assert source is not None
    if is_gguf(source):
        raise ValueError(
            f"{model} is a GGUF file, which has no config.json: calibrate the checkpoint it was made of"
        )
    folder = download(source, weights=False) if isinstance(source, str) else source
    if is_adapter(folder):
        raise ValueError(f"{model} is an adapter: merge it into its base model, and calibrate that")
    if out is not None:
        if out.exists():
            raise ValueError(f"{out} is there already: --out takes a new folder")
        return folder, out
    if isinstance(source, str):
        raise ValueError(f"{model} is on the hub: say where the calibrated copy goes (--out FOLDER)")
    if not os.access(folder, os.W_OK):
        raise PermissionError(
            f"{folder} cannot be written to: say where the calibrated copy goes (--out FOLDER)"
        )
    return folder, folder


def own_cases(files: Sequence[Path]) -> list[RankingExample]:
    """A user's own rows: a candidate fits whose relevance is above 0. Of some lists none may, or all.

    Raises what `read_examples` raises.
    """
    rows = [row for path in files for row in read_examples(path, alike=True)]
    return [replace(row, relevance=[float(value > 0) for value in row.relevance]) for row in rows]


def by_template(cases: Iterable[RankingExample]) -> list[list[RankingExample]]:
    """Those of one template together."""
    found: dict[str, list[RankingExample]] = {}
    for case in cases:
        found.setdefault(case.task, []).append(case)
    return list(found.values())


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.calibrate`."""
    parser = argparse.ArgumentParser(prog=command("calibrate"), description=__doc__)
    parser.add_argument("model", help="a checkpoint folder, or a hub name (with --out)")
    parser.add_argument(
        "--tasks", nargs="+", choices=TASKS, help="default: all of them; with --data none but those named"
    )
    parser.add_argument(
        "--data",
        nargs="+",
        type=Path,
        help="your own rows, .jsonl or .parquet, that did not train the model: a candidate fits "
        "whose relevance is above 0",
    )
    parser.add_argument(
        "--queries",
        type=in_range(int, least=1),
        help=f"lists a task, at most (default: {_QUERIES}); of --data all rows are read",
    )
    parser.add_argument("--out", type=Path, help="a new folder for a calibrated copy of the checkpoint")
    parser.add_argument("--device", help="default: the first GPU when there is one, else the CPU")
    options = parser.parse_args(words)
    if options.queries is not None and options.data is not None and options.tasks is None:
        parser.error("--queries bounds the lists of --tasks, and all rows of --data are read: leave it out")
    folder, target = target_folder(options.model, options.out)
    found = _fitted(options)
    if not found:
        sys.exit(f"{parser.prog}: nothing could be calibrated, and {folder} stays as it is")
    if target != folder:
        source = as_source(options.model)
        shutil.copytree(download(source, weights=True) if isinstance(source, str) else folder, target)
    write_calibration(target, found)
    print(f"wrote {target / CONFIG}", flush=True)


def _fitted(options: argparse.Namespace) -> dict[str, Calibration]:
    tasks = (TASKS if options.data is None else []) if options.tasks is None else options.tasks
    queries = options.queries or _QUERIES
    cases = own_cases(options.data or [])
    cases += [case for task in tasks for case in labelled_cases(task, "validation", queries)]
    engine = Engine.load(options.model, device=as_device(options.device))
    print("| template | score | lists | candidates | relevant | slope | intercept | log loss | Brier | ECE |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    found = dict[str, Calibration]()
    for some in by_template(cases):
        best, lines = calibrate(engine, some)
        print("\n".join(lines), flush=True)
        if best is not None:
            found[some[0].task] = best
    engine.close()
    return found
