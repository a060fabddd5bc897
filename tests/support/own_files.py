"""A user's files of ranking problems, made of the toy ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from rranker.data import RankingExample, write_parquet


def write_own(path: Path, examples: Iterable[RankingExample]) -> Path:
    """As JSON lines or Parquet, by the suffix."""
    if path.suffix == ".parquet":
        write_parquet(examples, path)
    else:
        path.write_text("".join(json.dumps(asdict(example)) + "\n" for example in examples), encoding="utf-8")
    return path
