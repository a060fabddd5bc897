"""Readers of runs, qrels and corpora on files that are nearly right: right figures, or an error with file and line."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

from hypothesis import strategies as st

from rranker.data import read_texts
from rranker.metrics import evaluate, read_qrels, read_run, write_qrels, write_run
from tests.fuzz.runner import Target

words = st.one_of(
    st.sampled_from(
        ["q1", "q2", "d1", "d2", "Q0", "0", "1", "2", "-1", "1.5", "1e5", "nan", "inf", "0x1p3", "1.5\0z"]
    ),
    st.sampled_from(
        ["query-id", "corpus-id", "score", "qid", "pid", "rank", "é", "9" * 40, "#", '{"_id": "d1"}']
    ),
    st.text(max_size=4),
)
rows = st.one_of(
    st.builds("{} Q0 {} {} {} tag".format, words, words, st.integers(0, 9), st.floats() | words),
    st.builds("{} 0 {} {}".format, words, words, st.integers(-2, 4) | words),
    st.builds("{}\t{}\t{}".format, words, words, st.integers(0, 9) | words),
    st.builds(
        '{{"{}": "{}", "text": "{}", "title": ""}}'.format, st.sampled_from(["_id", "id", "x"]), words, words
    ),
    st.builds('{{"_id": {}, "contents": {}}}'.format, words, words),
    st.builds("{}\t{}".format, words, words),
    st.lists(words, max_size=8).map(" ".join),
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(rows, max_size=8))
    text = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"])).join(lines)
    data = draw(st.sampled_from(["", "\ufeff", "query-id\tcorpus-id\tscore\n"])) + text
    raw = data.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "latin-1"])), "replace")
    raw = gzip.compress(raw, mtime=0) if draw(st.integers(0, 9)) == 0 else raw
    if raw and draw(st.integers(0, 4)) == 0:
        place = draw(st.integers(0, len(raw) - 1))
        raw = raw[:place] + draw(st.binary(max_size=3)) + raw[place + draw(st.integers(0, 2)) :]
    return raw


def _check_message(message: str, path: Path) -> None:
    assert str(path) in message, f"does not name the file: {message}"


def check(given: tuple[bytes, bytes, str]) -> None:
    qrels_bytes, run_bytes, suffix = given
    with tempfile.TemporaryDirectory() as folder:
        qrels, run, again = (Path(folder) / f"{name}{suffix}" for name in ("qrels", "run", "again"))
        qrels.write_bytes(qrels_bytes)
        run.write_bytes(run_bytes)
        for path, read, write in ((qrels, read_qrels, write_qrels), (run, read_run, write_run)):
            try:
                rows = read(path)
            except ValueError as error:
                _check_message(str(error), path)
                continue
            try:
                write(again, rows)
            except ValueError:
                continue  # an id that is text between tabs, say, has no place in a TREC file
            assert read(again) == rows
        try:
            texts = read_texts(run)
            assert all(type(key) is type(text) is str for key, text in texts.items())
        except ValueError as error:
            _check_message(str(error), run)
        try:
            evaluate(qrels, run, ["nDCG@10", "RR", "AP"])
        except ValueError:
            return


TARGET = Target(
    "trec", st.tuples(files(), files(), st.sampled_from([".txt", ".tsv", ".jsonl", ".gz"])), check, chunk=200
)
