"""One ranking problem with its graded answer, and where the public files lie."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RankingExample:
    """`relevance[i]` says how well `candidates[i]` fits; equal ones are ties. `task` names a prompt template.

    The hash leaves out what may be a list.
    """

    task: str
    query: str | list[str] = field(hash=False)
    instruction: str | None
    candidates: list[str] = field(hash=False)
    relevance: list[float] = field(hash=False)
    id: str

    def __post_init__(self) -> None:
        if len(self.candidates) != len(self.relevance):
            raise ValueError(
                f"relevance holds {len(self.relevance)} numbers for {len(self.candidates)} candidates: give one each"
            )

    def as_query(self) -> dict[str, Any]:
        """What `Ranker.rank_batch` takes for it."""
        return {
            "query": self.query,
            "candidates": self.candidates,
            "template": self.task,
            "instruction": self.instruction,
        }

    @property
    def grades(self) -> list[float]:
        """The name of `relevance` until 0.1; warns."""
        warnings.warn("RankingExample.grades is now called relevance", DeprecationWarning, stacklevel=2)
        return self.relevance


def data_folder(folder: str | Path | None = None) -> Path:
    """`folder`, else $RRANKER_DATA, else `../shared/data` beside the checkout or the working folder."""
    chosen = folder or os.environ.get("RRANKER_DATA")
    if chosen:
        path = Path(chosen)
        if not path.is_dir():
            raise FileNotFoundError(f"no data folder at {path}: set RRANKER_DATA to one")
        return path
    checkout = Path(__file__).resolve().parents[2]
    places = [checkout.parent / "shared" / "data", Path.cwd().parent / "shared" / "data"]
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"no data folder at {places[0]}: set RRANKER_DATA to one")


def data_file(relative: str, folder: str | Path | None = None) -> Path:
    """The path of one source file. Raises FileNotFoundError that names it and RRANKER_DATA."""
    path = data_folder(folder) / relative
    if not path.is_file():
        raise FileNotFoundError(f"missing data file {path}: does RRANKER_DATA point to the data folder?")
    return path
