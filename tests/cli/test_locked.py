"""Two jobs with one output: the second ends at once, and a killed one blocks nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rranker.cli.journal import Journal
from tests.cli.conftest import Run


def test_two_jobs_do_not_write_one_file_at_once(run: Run, tmp_path: Path) -> None:
    out, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial"
    words = ["rerank", "-", "-o", str(out)]
    request = json.dumps({"query": "bees", "candidates": ["a note on bees", "trains"]})
    with Journal(journal, "the first"):
        kept = journal.read_bytes()
        second = run(*words, input=request)
        assert (second.exit_code, out.exists()) == (73, False)
        assert f"{journal}: another process is writing it: wait for its end" in second.stderr
        assert journal.read_bytes() == kept
    assert not journal.exists()
    holding = (
        "import sys, pathlib; from rranker.cli.journal import Journal\n"
        "held = Journal(pathlib.Path(sys.argv[1]), 'job'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(journal)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert run(*words, input=request).exit_code == 73
        process.kill()
    with Journal(journal, "job") as after:  # what a killed process held is free
        assert after.done == {}
