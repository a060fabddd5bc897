"""Claims, and sentences that say something for or against them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from ..example import data_file
from ..questions import Question
from ..records import csv_rows, json_lines
from .labelled import Judged, labelled
from .texts import one_line

_CLIMATE = {"SUPPORTS": True, "REFUTES": True, "NOT_ENOUGH_INFO": False}
_HEALTH = {"Supports": True, "Refutes": True, "Neutral": False}


def climate_fever(folder: str | Path | None = None) -> list[Question]:
    """CLIMATE-FEVER: sentences that support or refute a claim are good, those that do neither are bad."""
    path = data_file("questions/climate_fever/climate-fever.jsonl.gz", folder)
    return labelled("climate_fever", chain.from_iterable(json_lines(path, _climate)))


def healthver(folder: str | Path | None = None) -> list[Question]:
    """HealthVer: the same of claims on COVID-19 and abstracts."""
    paths = [data_file(f"questions/healthver/healthver_{part}.csv", folder) for part in ("dev", "test")]
    return labelled("healthver", chain.from_iterable(csv_rows(path, _health) for path in paths))


def wice(folder: str | Path | None = None) -> list[Question]:
    """WiCE: the sentences of the cited web pages that support a claim, among the pages' others."""
    path = data_file("questions/wice/claim_dev.jsonl.gz", folder)
    return labelled("wice", chain.from_iterable(json_lines(path, _cited)))


def _climate(row: dict[str, Any]) -> list[Judged]:
    claim = one_line(row["claim"])
    return [
        Judged(claim, one_line(found["evidence"]), _CLIMATE[found["evidence_label"]])
        for found in row["evidences"]
    ]


def _health(row: Mapping[str, str]) -> Judged:
    return Judged(one_line(row["claim"]), one_line(row["evidence"]), _HEALTH[row["label"]])


def _cited(row: dict[str, Any]) -> list[Judged]:
    claim, sentences = one_line(row["claim"]), row["evidence"]
    supporting = set(chain.from_iterable(row["supporting_sentences"]))  # of all sets that do
    if beyond := [i for i in supporting if not 0 <= i < len(sentences)]:
        raise ValueError(f"no sentence {min(beyond)} among {len(sentences)}")
    return [Judged(claim, one_line(text), i in supporting) for i, text in enumerate(sentences)]
