"""Cases as a `datasets.Dataset` and back, and as parquet files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .example import RankingExample


def library() -> Any:
    """The `datasets` package, an optional dependency."""
    try:
        import datasets
    except ModuleNotFoundError as error:
        if error.name != "datasets":  # installed, but something it needs is not
            raise
        raise ImportError("this needs the datasets package: pip install 'rranker[train]'") from error
    return datasets


def to_dataset(cases: Iterable[RankingExample]) -> Any:
    """One row a case: a question stands in `query`, a history in `history`, the other one is null."""
    datasets = library()
    texts = datasets.List(datasets.Value("string"))
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "task": datasets.Value("string"),
            "query": datasets.Value("string"),
            "history": texts,
            "instruction": datasets.Value("string"),
            "candidates": texts,
            "relevance": datasets.List(datasets.Value("float64")),
        }
    )
    return datasets.Dataset.from_list([_row(case) for case in cases], features=features)


def from_dataset(dataset: Iterable[dict[str, Any]]) -> list[RankingExample]:
    """The inverse of `to_dataset`; any other dataset with these columns will do."""
    return [
        RankingExample(
            task=row["task"],
            query=row["query"] if row["history"] is None else list(row["history"]),
            instruction=row["instruction"],
            candidates=list(row["candidates"]),
            relevance=list(row["relevance"] if "relevance" in row else row["grades"]),  # its name until 0.1
            id=row["id"],
        )
        for row in dataset
    ]


def write_parquet(cases: Iterable[RankingExample], path: str | Path) -> None:
    """Writes cases into one Parquet file; `read_parquet` reads them back."""
    to_dataset(cases).to_parquet(str(path))


def read_parquet(path: str | Path) -> list[RankingExample]:
    """The cases of a Parquet file that `write_parquet` wrote."""
    return from_dataset(library().Dataset.from_parquet(str(path)))


def _row(case: RankingExample) -> dict[str, Any]:
    history = isinstance(case.query, list)
    return {
        "id": case.id,
        "task": case.task,
        "query": None if history else case.query,
        "history": case.query if history else None,
        "instruction": case.instruction,
        "candidates": case.candidates,
        "relevance": case.relevance,
    }
