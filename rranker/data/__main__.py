"""What the tasks hold: `python -m rranker.data` prints counts, tie rates and leak checks, and exports.

`--collections` counts the collections of questions instead. Where a file is missing, the line of its task or collection
names it, the others are counted, and the exit status is 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from .collections import COLLECTIONS, collection_questions
from .example import RankingExample, data_folder
from .table import write_parquet
from .tasks import BENCHMARK_TASKS, OUT_OF_DOMAIN, VERSION, task_cases


def tie_rate(cases: Sequence[RankingExample]) -> float:
    """The share of cases with more than one best candidate."""
    return sum(case.relevance.count(max(case.relevance)) > 1 for case in cases) / max(len(cases), 1)


def leaks(train: Sequence[RankingExample], test: Sequence[RankingExample]) -> int:
    """How many test cases share their id, or their task and query, with a training case."""
    ids = {case.id for case in train}
    queries = {(case.instruction, str(case.query)) for case in train}
    return sum(case.id in ids or (case.instruction, str(case.query)) in queries for case in test)


def line(
    name: str,
    train: Sequence[RankingExample],
    validation: Sequence[RankingExample],
    test: Sequence[RankingExample],
) -> str:
    """One line of the table: the sizes of a task's splits, its ties, its leaks."""
    sizes = sorted({len(case.candidates) for case in test})
    span = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]}-{sizes[-1]}"
    queries = len({case.id for case in test})
    return (
        f"{name:24} {len(train):6} {len(validation):10} {len(test):6} {queries:8} {span:>10} "
        f"{tie_rate(test):6.3f} {leaks([*train, *validation], test) + leaks(train, validation):6}"
    )


def main() -> None:
    """The command line of `python -m rranker.data`."""
    parser = argparse.ArgumentParser(prog="python -m rranker.data", description=__doc__)
    parser.add_argument("--data", type=Path, help="the data folder (default: $RRANKER_DATA, ../shared/data)")
    parser.add_argument("--sampler", choices=("uniform", "popular"), default="uniform")
    parser.add_argument("--tasks", nargs="*", choices=[*BENCHMARK_TASKS, *OUT_OF_DOMAIN], help="default: all")
    parser.add_argument("--export", type=Path, help="also write TASK.SPLIT.parquet files into this folder")
    parser.add_argument(
        "--collections",
        nargs="*",
        choices=list(COLLECTIONS),
        help="count these collections of questions in place of the tasks; without names: all",
    )
    options = parser.parse_args()
    try:
        data_folder(options.data)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from error
    if options.collections is None:
        missing = report_tasks(options)
    else:
        missing = report_collections(options.collections or list(COLLECTIONS), options.data)
    if missing:
        raise SystemExit(f"not counted, for want of a file: {', '.join(missing)}")


def found(name: str, report: Callable[[str], None]) -> bool:
    """Calls `report(name)`; where a file is missing, prints a line that names it, and returns False."""
    try:
        report(name)
    except FileNotFoundError as error:
        print(f"{name:24} {error}", flush=True)
        return False
    return True


def report_tasks(options: argparse.Namespace) -> list[str]:
    """Prints the table of the tasks, and exports them. Returns the names of those that lack a file."""
    print(f"cases, version {VERSION}, {options.sampler} negatives")
    print(
        f"{'task':24} {'train':>6} {'validation':>10} {'test':>6} {'queries':>8} {'candidates':>10} "
        f"{'ties':>6} {'leaks':>6}"
    )

    def report(name: str) -> None:
        test = task_cases(name, sampler=options.sampler, folder=options.data)
        train: list[RankingExample] = []
        validation: list[RankingExample] = []
        if name in BENCHMARK_TASKS:
            train = task_cases(name, "train", sampler=options.sampler, folder=options.data)
            validation = task_cases(name, "validation", sampler=options.sampler, folder=options.data)
        print(line(name, train, validation, test), flush=True)
        if options.export:
            options.export.mkdir(parents=True, exist_ok=True)
            for split, cases in (("train", train), ("validation", validation), ("test", test)):
                if cases:
                    write_parquet(cases, options.export / f"{name}.{split}.parquet")

    return [name for name in options.tasks or [*BENCHMARK_TASKS, *OUT_OF_DOMAIN] if not found(name, report)]


def report_collections(names: Sequence[str], folder: Path | None) -> list[str]:
    """Prints how many questions the collections have, how many near misses on average, and their licences.

    Returns the names of those that lack a file.
    """
    print(f"{'collection':24} {'questions':>9} {'good':>6} {'misses':>6} {'permissive':>10}  licence")

    def report(name: str) -> None:
        questions, about = collection_questions(name, folder), COLLECTIONS[name]
        count = max(len(questions), 1)
        good = sum(len(question.good) for question in questions) / count
        bad = sum(len(question.bad) for question in questions) / count
        permissive = "yes" if about.permissive else "no"
        print(
            f"{name:24} {len(questions):9} {good:6.2f} {bad:6.2f} {permissive:>10}  {about.licence}",
            flush=True,
        )

    return [name for name in names if not found(name, report)]


if __name__ == "__main__":
    main()
