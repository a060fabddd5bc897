"""A job: files of queries over a pool of workers, by Ray Data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import stamps
from ..ranker import check_settings
from .parts import Counts, PartFormat, check_format, claim, read_done, read_finished, write_finished
from .worker import RankWorker

_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
"""What files of JSON lines end in; Ray unpacks by the ending, and only by one in lower case."""


def rank_files(
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    workers: int | None = None,
    batch_size: int = 32,
    load: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    parts: PartFormat = "jsonl",
    progress: bool = True,
) -> Counts:
    """Ranks the queries of files, many at a time, on every GPU or CPU of a Ray cluster. Start it again to go on.

    Args:
        inputs: files of JSON lines (`.jsonl`, `.ndjson`, also `.gz`) or Parquet, all of one kind: `id`, `query`,
            `candidates`, and what else an item of `Ranker.rank_batch` may have.
        output: a folder that every machine sees; `read_results` reads it.
        workers: so many Rankers; None is one a GPU, and without GPUs one a CPU but one, which reads.
        batch_size: queries a part; what a worker that dies has to do again.
        load: arguments of `Ranker`.
        settings: those of `Ranker.rank_batch`, such as `template`.
        parts: how rankings are written: `jsonl` or `parquet`.
        progress: shows a bar.

    A worker that dies is started again, and its batch with it; a query that cannot be ranked has its error in the
    output. What a run that was stopped had written is kept, and left out by the next one.

    Raises ImportError without Ray; ValueError for files of other or mixed kinds, for unknown `parts`, and for a folder
    that holds the rankings of other inputs, another model (files that were written to since are others) or settings,
    and what `Ranker.rank_batch` raises for wrong settings; FileNotFoundError for no files.
    """
    paths = [str(inputs)] if isinstance(inputs, str | Path) else list(map(str, inputs))
    line = _line_column(paths)
    check_format(parts)
    check_settings(settings or {})  # before the folder is claimed, and before any worker starts
    folder = Path(output).absolute()
    model = str((load or {}).get("model") or "")
    known = {path: _state(path) for path in paths}
    if model and Path(model).exists():
        known |= {path: [size, changed] for path, size, changed in stamps(model)}
    claim(
        folder,
        {"inputs": paths, "files": known, "load": load or {}, "settings": settings or {}, "parts": parts},
    )
    if (finished := read_finished(folder)) is not None:
        return finished
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(f"this needs Ray: pip install 'rranker[ray]' ({error})") from error
    from tqdm.auto import tqdm

    if not ray.is_initialized():
        ray.init()
    gpus = int(ray.cluster_resources().get("GPU", 0))
    count = workers or gpus or max(1, int(ray.cluster_resources()["CPU"]) - 1)
    done = sorted(read_done(folder))
    ray.data.DataContext.get_current().enable_progress_bars = False  # ours counts queries
    queries = ray.data.read_text(paths) if line else ray.data.read_parquet(paths)
    counted = queries.repartition(target_num_rows_per_block=batch_size).map_batches(
        RankWorker,
        fn_constructor_args=(str(folder), load or {}, settings or {}, done, line, parts),
        batch_size=batch_size,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=count),
        num_gpus=1 if gpus else 0,
    )
    total = Counts()
    with tqdm(disable=not progress, unit="query") as bar:
        for row in counted.iter_rows():
            counted_now = Counts(**row)
            total += counted_now
            bar.update(counted_now.ranked + counted_now.failed + counted_now.skipped)
    write_finished(folder, total)
    return total


def _state(path: str) -> list[int]:
    """A file's size, and when it was written: other contents under the same name are another job."""
    stat = Path(path).stat()
    return [stat.st_size, stat.st_mtime_ns]


def _line_column(paths: Sequence[str]) -> str | None:
    """The column under which Ray reads lines, None for Parquet."""
    if not paths:
        raise FileNotFoundError("there are no files to rank")
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise FileNotFoundError(f"no such file: {missing[0]}")
    kinds = {"parquet" if path.endswith(".parquet") else "jsonl" for path in paths}
    strange = [path for path in paths if not path.endswith((".parquet", *_LINES))]
    if strange or len(kinds) > 1:
        raise ValueError(
            "inputs must all be .parquet, or all .jsonl or .ndjson (also .gz), in lower case: "
            f"{(strange or list(paths))[0]}"
        )
    return "text" if kinds == {"jsonl"} else None
