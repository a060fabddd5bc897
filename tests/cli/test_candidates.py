"""Candidates as files hold them."""

from __future__ import annotations

import csv
from pathlib import Path

from rranker.cli.candidates import read_candidates
from rranker.cli.lines import Faults


def test_a_field_of_a_table_may_be_as_long_as_a_c_long_says_on_every_system(tmp_path: Path) -> None:
    """Windows' has 32 bits: a larger limit is an error there, before a line is read."""
    table = tmp_path / "long.csv"
    table.write_text("text,id\n" + "a" * 200_000 + ",7\n")
    csv.field_size_limit(131_072)
    assert read_candidates(str(table), None, "text", Faults(skip=False)) == [
        {"text": "a" * 200_000, "id": "7"}
    ]
    assert csv.field_size_limit() < 2**31
