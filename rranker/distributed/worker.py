"""One worker of a job: a Ranker, batches in, parts out. Knows nothing of Ray but the tables that it hands over."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..engine.errors import device_broke
from ..ranker import Ranker
from .parts import Counts, PartFormat, as_result, as_row, part_path, read_part, row_key, write_part


class RankWorker:
    """Ranks batches of queries by a Ranker of its own; an error belongs to its query, but for a broken device's.

    `load` are the arguments of `Ranker`, `settings` those of `rank_batch`, `done` the rows that are left out
    (`row_key`). `line` names the column that holds lines of JSON; None means columns of their own. `parts` is the
    format of what it writes.
    """

    def __init__(
        self,
        folder: str,
        load: dict[str, Any],
        settings: dict[str, Any],
        done: Collection[str],
        line: str | None,
        parts: PartFormat = "jsonl",
    ) -> None:
        self.folder, self.settings, self.done, self.line = Path(folder), settings, frozenset(done), line
        self.parts = parts
        self.ranker = Ranker(**load)

    def __call__(self, table: Any) -> Any:
        """A batch (an Arrow table, which is read only) → its counts, as a table of one row."""
        import pyarrow

        records = table.to_pylist() if self.line is None else table[self.line].to_pylist()
        counts = self.rank([as_row(record) for record in records])
        return pyarrow.table({name: [getattr(counts, name)] for name in Counts.__slots__})

    def rank(self, rows: list[dict[str, Any]]) -> Counts:
        """Ranks what is not done yet and writes its part, unless a worker that died had got so far.

        Raises the error of a device that broke: every query behind it would fail as well, and count as done.
        """
        left = [row for row in rows if row_key(row) not in self.done]
        path = part_path(self.folder, left, self.parts)
        readable = [row for row in left if "error" not in row]
        if left and not path.exists():
            rankings = self.ranker.rank_batch(readable, **self.settings, on_error="return", progress=False)
            for ranking in rankings:
                if isinstance(ranking, Exception) and device_broke(ranking):
                    raise ranking
            results = [as_result(row["id"], ranking) for row, ranking in zip(readable, rankings, strict=True)]
            broken = [row for row in left if "error" in row]
            write_part(path, [*broken, *readable], [*broken, *results])
        failed = sum("error" in result for result in read_part(path)) if left else 0
        return Counts(len(left) - failed, failed, len(rows) - len(left))
