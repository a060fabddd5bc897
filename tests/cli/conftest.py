"""A small collection in files, and commands run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rranker.cli.main import app

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """`run("rank", "query", input=b"…")`: the command, with stdout and stderr apart."""

    def start(*words: object, input: bytes | str | None = None) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], input=input, prog_name="rranker")

    return start


@pytest.fixture(scope="session")
def beir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BEIR folder of 40 documents and 6 queries, with a run of 8 documents each."""
    folder = tmp_path_factory.mktemp("beir")
    subjects = ("bees", "rivers", "trains", "bread", "stars", "shoes")
    documents = [
        {"_id": f"d{i}", "title": f"About {subjects[i % 6]}", "text": f"note {i} on {subjects[i % 6]}"}
        for i in range(40)
    ]
    queries = [{"_id": f"q{i}", "text": f"a note on {name}"} for i, name in enumerate(subjects)]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = [f"q{q} Q0 d{(5 * q + r) % 40} {r + 1} {8 - r} first\n" for q in range(6) for r in range(8)]
    (folder / "run.txt").write_text("".join(run))
    qrels = [f"q{q} 0 d{i} 1\n" for q in range(6) for i in range(40) if i % 6 == q]
    (folder / "qrels.txt").write_text("".join(qrels))
    return folder
