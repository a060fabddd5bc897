"""Whether relevance can be taken at its word: calibration error, Brier score and reliability on labelled test lists.

Searches of a word or two (`keywords`) are not of the test split, and were fitted on by nobody.

    python -m bench.calibration --model bundled=rranker/assets/default --plot calibration.png

prints Markdown tables. Models that carry no calibration are refused: `python -m training.calibrate` fits one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.quality_held_out import keywords
from rranker import Ranker, Ranking
from rranker.data import BENCHMARK_TASKS, RankingExample
from rranker.data.labelled import irrelevant_lists, labelled_cases, relevant_lists
from rranker.data.passage import topics
from rranker.metrics.reliability import brier_score, expected_calibration_error, reliability

Floats = NDArray[np.float64]
LISTS, SIZE = 50, 7
"""Of the two checks: so many lists of so many passages."""
KEYWORDS = "keywords"


def rankings(ranker: Ranker, cases: Sequence[RankingExample]) -> list[Ranking]:
    queries = [c.as_query() for c in cases]
    return ranker.rank_batch(queries, relevance=True, progress=False)


def pairs(
    found: Sequence[Ranking], cases: Sequence[RankingExample], of: Callable[[Ranking], Sequence[float]]
) -> tuple[Floats, Floats]:
    """Probabilities, as `of` takes them from a ranking in its order, and labels: [candidates of all cases] each."""
    values = [value for ranking in found for value in of(ranking)]
    labels = [case.relevance[i] for ranking, case in zip(found, cases, strict=True) for i in ranking.order]
    return np.asarray(values), np.asarray(labels)


def relevances(ranking: Ranking) -> list[float]:
    """Raises ValueError where there is none."""
    return [item.relevance for item in ranking.above(0.0) if item.relevance is not None]


def line(name: str, probabilities: Floats, labels: Floats) -> str:
    by_mass = expected_calibration_error(probabilities, labels, 15, "mass")
    by_width = expected_calibration_error(probabilities, labels, 10, "width")
    return f"| {name} | {by_mass:.3f} | {by_width:.3f} | {brier_score(probabilities, labels):.3f} |"


def family_tables(
    family: str, cases: Sequence[RankingExample], found: dict[str, Sequence[Ranking]]
) -> tuple[str, dict[str, tuple[Floats, Floats]]]:
    """Markdown of one family, and each model's probabilities and labels."""
    scored = {label: pairs(rankings, cases, relevances) for label, rankings in found.items()}
    labels = np.asarray([value for case in cases for value in case.relevance])
    lines = [
        f"**{family}** ({len(cases)} lists, {len(labels)} candidates, {labels.mean():.3f} of them relevant)",
        "",
        "| row | ECE, 15 bins of equal mass | ECE, 10 of equal width | Brier |",
        "|---|---:|---:|---:|",
        line("random", np.random.default_rng(0).random(len(labels)), labels),
        line("base rate", np.full(len(labels), labels.mean()), labels),
    ]
    for label, rankings in found.items():
        lines.append(line(f"{label}: score", *pairs(rankings, cases, lambda r: [item.score for item in r])))
        lines.append(line(f"{label}: relevance", *scored[label]))
    for label, (probabilities, truth) in scored.items():
        lines += ["", f"| {label}: candidates | mean relevance | relevant |", "|---:|---:|---:|"]
        lines += [
            f"| {each.count} | {each.probability:.3f} | {each.relevant:.3f} |"
            for each in reliability(probabilities, truth, 10, "width")
        ]
    return "\n".join(lines) + "\n", scored


def checks(rankers: dict[str, Ranker]) -> str:
    """A threshold's two promises: nothing passes where nothing fits, everything where everything does."""
    judged, rng = topics("test"), np.random.default_rng(0)
    nothing, everything = (make(judged, SIZE, LISTS, rng) for make in (irrelevant_lists, relevant_lists))
    lines = [
        f"**{LISTS} lists each of {SIZE} passages of TREC DL 2019**",
        "",
        "| row | top relevance where none fits (median) | last relevance where all fit (median) |",
        "|---|---:|---:|",
    ]
    for label, ranker in rankers.items():
        top = np.median([relevances(ranking)[0] for ranking in rankings(ranker, nothing)])
        last = np.median([relevances(ranking)[-1] for ranking in rankings(ranker, everything)])
        lines.append(f"| {label} | {top:.3f} | {last:.3f} |")
    return "\n".join(lines) + "\n"


def plot(path: Path, families: dict[str, dict[str, tuple[Floats, Floats]]]) -> None:
    """Share of relevant candidates against mean relevance, in ten bins of equal mass, a panel a family."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(families), figsize=(4.2 * len(families), 4), squeeze=False)
    for axis, (family, scored) in zip(axes.flat, families.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
        for label, (probabilities, labels) in scored.items():
            table = reliability(probabilities, labels, 10, "mass")
            axis.plot([b.probability for b in table], [b.relevant for b in table], marker="o", label=label)
        axis.set(xlabel="mean relevance", ylabel="share of relevant", title=family, xlim=(0, 1), ylim=(0, 1))
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.calibration", description=__doc__)
    parser.add_argument("--model", action="append", required=True, help="label=folder; may be repeated")
    tasks = [*BENCHMARK_TASKS, KEYWORDS]
    parser.add_argument("--tasks", nargs="+", choices=tasks, default=tasks)
    parser.add_argument("--limit", type=int, default=200, help="lists a task, at most")
    parser.add_argument("--plot", type=Path, help="a PNG of the reliability tables")
    options = parser.parse_args(words)
    rankers = {}
    for entry in options.model:
        label, separator, folder = entry.partition("=")
        rankers[label] = Ranker(folder if separator else entry, kv_cache_tokens=32768)
    families: dict[str, list[RankingExample]] = {}
    for task in options.tasks:
        cases = keywords(options.limit) if task == KEYWORDS else labelled_cases(task, "test", options.limit)
        families.setdefault(KEYWORDS if task == KEYWORDS else cases[0].task, []).extend(cases)
    drawn = {}
    for family, cases in families.items():
        found: dict[str, Sequence[Ranking]] = {
            label: rankings(ranker, cases) for label, ranker in rankers.items()
        }
        text, drawn[family] = family_tables(family, cases, found)
        print(text, flush=True)
    if "passage" in families:
        print(checks(rankers), flush=True)
    if options.plot is not None:
        plot(options.plot, drawn)


if __name__ == "__main__":
    main()
