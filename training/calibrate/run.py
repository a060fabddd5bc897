"""`python -m training.calibrate MODEL`: fits what makes relevance of a model's scores, and saves it with the model.

Slope and intercept of a logistic curve are fitted by template, on validation lists whose every candidate is labelled
(docs/relevance.md), and written to the checkpoint's config.json. A language model without a head is asked in four ways,
and the one under which the labels are most likely is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rranker.calibration import Calibration, Source
from rranker.data import BENCHMARK_TASKS, RankingExample
from rranker.data.labelled import QUESTIONS, labelled_cases
from rranker.engine.engine import Engine
from rranker.engine.loading.adapters import is_adapter
from rranker.engine.loading.arguments import as_device, as_source
from rranker.engine.loading.files import read_json
from rranker.engine.loading.gguf import is_gguf
from rranker.engine.loading.hub import download
from rranker.engine.loading.settings import FORMAT, ModelSettings
from rranker.metrics.reliability import brier_score, expected_calibration_error
from rranker.training.calibrate.fit import fit_logistic, log_loss
from rranker.training.calibrate.scores import score_cases

CONFIG = "config.json"
TASKS = [*BENCHMARK_TASKS, QUESTIONS]
_ASKED: tuple[tuple[Source, bool], ...] = (
    ("pointwise", False),
    ("pointwise", True),
    ("query_likelihood", False),
    ("query_likelihood", True),
)


def calibrate(engine: Engine, cases: Sequence[RankingExample]) -> tuple[Calibration | None, list[str]]:
    """The calibration of one template's labelled cases, and a line of a table for each way that was tried.

    None where under no way relevant candidates score higher than others. Raises what `score_cases` raises.
    """
    assert engine.model is not None
    pointer = engine.model.settings.readout == "pointer"
    best, least, lines = None, float("inf"), list[str]()
    for source, content_free in (("pointer", False),) if pointer else _ASKED:
        scores, outcomes = score_cases(engine, cases, source, content_free)
        name = source + (", less the content-free candidate's" if content_free else "")
        row = f"| {cases[0].task} | {name} | {len(cases)} | {len(outcomes)} | {outcomes.mean():.3f} |"
        try:
            slope, intercept = fit_logistic(scores, outcomes)
        except ValueError as error:
            lines.append(f"{row} {error} | | | | |")
            continue
        found = Calibration(slope, intercept, source, content_free)
        loss = log_loss(scores, outcomes, slope, intercept)
        said = [found.probability(score) for score in scores.tolist()]
        lines.append(
            f"{row} {slope:.4g} | {intercept:.4g} | {loss:.4f} | {brier_score(said, outcomes):.4f} | "
            f"{expected_calibration_error(said, outcomes):.4f} |"
        )
        if loss < least:
            best, least = found, loss
    return best, lines


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


def by_template(tasks: Sequence[str], queries: int) -> Iterator[list[RankingExample]]:
    """The labelled validation lists of the tasks, those of one template together."""
    found: dict[str, list[RankingExample]] = {}
    for task in tasks:
        cases = labelled_cases(task, "validation", queries)
        found.setdefault(cases[0].task, []).extend(cases)
    yield from found.values()


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.calibrate`."""
    parser = argparse.ArgumentParser(prog="python -m training.calibrate", description=__doc__)
    parser.add_argument("model", help="a checkpoint folder, or a hub name (with --out)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--queries", type=int, default=200, help="lists a task, at most")
    parser.add_argument("--out", type=Path, help="a new folder for a calibrated copy of the checkpoint")
    parser.add_argument("--device", help="default: the first GPU when there is one, else the CPU")
    options = parser.parse_args(words)
    try:
        folder, target = target_folder(options.model, options.out)
        found = _fitted(options)
    except (ValueError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")
    if not found:
        sys.exit(f"{parser.prog}: nothing could be calibrated, and {folder} stays as it is")
    if target != folder:
        source = as_source(options.model)
        shutil.copytree(download(source, weights=True) if isinstance(source, str) else folder, target)
    write_calibration(target, found)
    print(f"wrote {target / CONFIG}", flush=True)


def _fitted(options: argparse.Namespace) -> dict[str, Calibration]:
    engine = Engine.load(options.model, device=as_device(options.device))
    print("| template | score | lists | candidates | relevant | slope | intercept | log loss | Brier | ECE |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    found = dict[str, Calibration]()
    for cases in by_template(options.tasks, options.queries):
        best, lines = calibrate(engine, cases)
        print("\n".join(lines), flush=True)
        if best is not None:
            found[cases[0].task] = best
    engine.close()
    return found
