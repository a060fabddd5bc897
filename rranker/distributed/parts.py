"""What a job writes: parts, each whole or not there, that say which queries are done. Knows nothing of Ray."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import uuid4

from ..ids import as_id, id_text
from ..request import QUERY_ID_NAMES
from ..types import Ranking

PartFormat = Literal["jsonl", "parquet"]

JOB = "_job.json"
"""The file that says what a folder's rankings are of."""
FINISHED = "_SUCCESS"
"""The file that a job leaves when all is done."""
_ROW = "row"
"""What a part says of each result beside it: of which row it is (`row_key`)."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Queries that were ranked, that have an error in place of a ranking, and that an earlier run had done."""

    ranked: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.ranked + other.ranked, self.failed + other.failed, self.skipped + other.skipped)


def as_row(record: dict[str, Any] | str) -> dict[str, Any]:
    """A query as a batch takes it, its id a text; `record` is a row of a table, or a line of JSON.

    Absent columns of a row (None) are left out, and one called `error`. A row that cannot be read, or has no id, comes
    back under an id made of its content, with the reason in `error`: only such a row has it.
    """
    try:
        row = json.loads(record) if isinstance(record, str) else record
        if not isinstance(row, dict):
            raise TypeError(f"a line must be an object, not {type(row).__name__}")
        row = {name: value for name, value in row.items() if value is not None and name != "error"}
        names = [name for name in QUERY_ID_NAMES if name in row]
        if len(names) != 1:
            raise ValueError(f"a query needs one id, under {' or '.join(map(repr, QUERY_ID_NAMES))}")
        query = row.pop(names[0])
        return {**row, "id": id_text(as_id(query, "the id of a query"))}
    except (TypeError, ValueError) as error:
        content = record if isinstance(record, str) else repr(record)
        return {"id": f"unreadable-{_digest([content])}", "error": f"{type(error).__name__}: {error}"}


def as_result(query: str, ranking: Ranking | Exception) -> dict[str, Any]:
    """A line of a part: of the candidates, best first, input places (`order`), scores and relevance; or an error."""
    if isinstance(ranking, Exception):
        return {"id": query, "error": f"{type(ranking).__name__}: {ranking}"}
    scores, relevance = [item.score for item in ranking], [item.relevance for item in ranking]
    return {"id": query, "order": ranking.order, "scores": scores, "relevance": relevance}


def row_key(row: dict[str, Any]) -> str:
    """What tells a row from all others: its content, as queries of two files may have the same id."""
    return _digest([repr(sorted(row.items()))])


def part_path(folder: Path, rows: Sequence[dict[str, Any]], form: PartFormat = "jsonl") -> Path:
    """Where the part of these queries lies: whoever ranks them again, after a crash, writes the same file.

    Its name says all of them, by their content.
    """
    return folder / f"part-{_digest([row_key(row) for row in rows])}.{form}"


def write_part(path: Path, rows: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> None:
    """Writes the results of rows in the format that the path says, or replaces them; nobody ever sees half a part."""
    written = [{**result, _ROW: row_key(row)} for row, result in zip(rows, results, strict=True)]
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")  # two machines may have equal process ids
    try:
        _write(unfinished, path.suffix, written)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _write(path: Path, suffix: str, results: Sequence[dict[str, Any]]) -> None:
    if suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        numbers = pyarrow.list_(pyarrow.float64())
        columns = {
            "id": pyarrow.string(),
            "order": pyarrow.list_(pyarrow.int32()),
            "scores": numbers,
            "relevance": numbers,
            "error": pyarrow.string(),
            _ROW: pyarrow.string(),
        }
        table = pyarrow.Table.from_pylist(results, schema=pyarrow.schema(columns))
        pyarrow.parquet.write_table(table, path)
    else:
        path.write_text("".join(json.dumps(result) + "\n" for result in results), encoding="utf-8")


def read_results(folder: str | Path) -> Iterator[dict[str, Any]]:
    """All results of a folder, in no order: `{"id", "order", "scores", "relevance"}`, or `{"id", "error"}`."""
    for path in sorted(Path(folder).glob("part-*")):
        yield from read_part(path)


def read_done(folder: Path) -> set[str]:
    """Of which rows (`row_key`) a folder has results."""
    return {result[_ROW] for path in folder.glob("part-*") for result in _read(path)}


def read_part(path: Path) -> list[dict[str, Any]]:
    """The results of one part."""
    return [{name: value for name, value in result.items() if name != _ROW} for result in _read(path)]


def _read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(path).to_pylist()
        return [{name: value for name, value in row.items() if value is not None} for row in rows]
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_format(form: str) -> None:
    """Raises ValueError for a format that parts are not written in."""
    if form not in get_args(PartFormat):
        raise ValueError(f"parts are written as {' or '.join(get_args(PartFormat))}, not as {form!r}")


def claim(folder: Path, job: dict[str, Any]) -> None:
    """Makes the folder that of a job, by its inputs and settings. Raises ValueError when it is another's."""
    folder.mkdir(parents=True, exist_ok=True)
    said, path = json.dumps({**job, "done by": _ROW}, sort_keys=True, default=str) + "\n", folder / JOB
    if not path.exists():
        path.write_text(said, encoding="utf-8")
    elif (known := path.read_text(encoding="utf-8")) != said:
        raise ValueError(
            f"{folder} holds rankings of another job: take another folder, or the inputs (unchanged since) and "
            f"settings of that one: {known.strip()}"
        )


def read_finished(folder: Path) -> Counts | None:
    """The counts of a job that is done, as one that has nothing left to do; None where it is not."""
    try:
        counts = Counts(**json.loads((folder / FINISHED).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    return Counts(skipped=counts.ranked + counts.failed + counts.skipped)


def write_finished(folder: Path, counts: Counts) -> None:
    """Says that the job is done."""
    (folder / FINISHED).write_text(json.dumps(asdict(counts)) + "\n", encoding="utf-8")


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:20]
