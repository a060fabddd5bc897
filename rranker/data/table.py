"""Cases as a `datasets.Dataset` and back, and as parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .example import RankingExample
from .rows import COLUMNS, example_of


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


def from_dataset(dataset: Iterable[Mapping[str, Any]]) -> list[RankingExample]:
    """The inverse of `to_dataset`; any other rows that `example_of` takes will do.

    Raises ValueError naming the row, counted from 1, that cannot be taken.
    """
    examples = []
    for number, row in enumerate(dataset, start=1):
        try:
            examples.append(example_of(row, f"row-{number}"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"row {number}: {error}") from error
    return examples


def write_parquet(cases: Iterable[RankingExample], path: str | Path) -> None:
    """Writes cases into one Parquet file; `read_parquet` reads them back."""
    to_dataset(cases).to_parquet(str(path))


def read_parquet(path: str | Path) -> list[RankingExample]:
    """The cases of a Parquet file that `write_parquet` wrote; `read_examples` is for files to train on."""
    return from_dataset(parquet_rows(path))


def parquet_rows(path: str | Path) -> Any:
    """A `datasets.Dataset` of a Parquet file's rows. Raises OSError or ValueError naming the file.

    Without the columns that are not read, where `datasets` has no type for one of those.
    """
    datasets = library()
    with open(path, "rb") as file:
        if file.read(4) != b"PAR1":
            raise ValueError(f"{path} is not a Parquet file")
    broken = (ValueError, datasets.exceptions.DatasetGenerationError)  # an Arrow error is a ValueError
    try:
        return datasets.Dataset.from_parquet(str(path))
    except broken as error:
        try:
            return datasets.Dataset(_read_columns(path))
        except broken:
            raise ValueError(f"{path} is not a whole Parquet file: {error.__cause__ or error}") from error


def _read_columns(path: str | Path) -> Any:
    from pyarrow import parquet  # comes with datasets

    with parquet.ParquetFile(path) as file:
        return file.read([name for name in file.schema_arrow.names if name in COLUMNS])


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
