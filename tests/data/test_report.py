"""`python -m rranker.data` with a part of the files: what is there is counted, what is missing is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rranker.data.__main__ import main


def test_a_missing_file_is_named_and_the_rest_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pubmedqa").mkdir()
    entries = {
        str(number): {"QUESTION": f"question {number}?", "CONTEXTS": [f"answer {number}"]}
        for number in range(8)
    }
    (tmp_path / "pubmedqa/ori_pqal.json").write_text(json.dumps(entries), encoding="utf-8")
    tasks = ["passage-5", "ood-pubmedqa", "rec-movie"]
    monkeypatch.setattr(sys, "argv", ["data", "--data", str(tmp_path), "--tasks", *tasks])
    with pytest.raises(SystemExit, match=r"not counted, for want of a file: passage-5, rec-movie$"):
        main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert [line[0] for line in lines] == tasks
    assert lines[1][1:5] == ["0", "0", "8", "8"]
    assert str(tmp_path / "trecdl") in " ".join(lines[0])
    assert str(tmp_path / "ml_latest_small") in " ".join(lines[2])


def test_a_missing_collection_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["data", "--data", str(tmp_path), "--collections", "trecqa"])
    with pytest.raises(SystemExit, match=r"trecqa$"):
        main()
    assert f"{tmp_path}" in capsys.readouterr().out.splitlines()[1]


def test_a_missing_folder_ends_it_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["data", "--data", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match=r"no data folder at .*nowhere"):
        main()
