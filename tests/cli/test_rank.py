"""`rranker rank`: forms of input and output, broken lines, exit codes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import rranker
from rranker.cli.main import app
from rranker.cli.settings import as_query
from rranker.settings import RankSettings
from tests.cli.conftest import Run

QUERY = "who wrote Emma?"
TEXTS = ["Tea is a drink.", "Jane Austen wrote Emma in 1815.", "Emma is a [red]given[/red] name."]
ROWS = [{"id": f"p{i}", "text": text, "year": 1800 + i} for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def expected() -> rranker.Ranking:
    return rranker.rank(QUERY, ROWS)


def written(form: str) -> bytes:
    if form == "text":
        return "\r\n".join(TEXTS).encode()
    if form == "json":
        return json.dumps(ROWS, indent=1).encode()
    if form == "jsonl":
        return "\n\n".join(map(json.dumps, ROWS)).encode()
    separator = "," if form == "csv" else "\t"
    rows = [("id", "text", "year"), *((row["id"], f'"{row["text"]}"', str(row["year"])) for row in ROWS)]
    return ("\ufeff" + "\n".join(map(separator.join, rows))).encode()


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "csv", "tsv"])
def test_every_form_of_input_gives_the_rankings_of_the_library(
    form: str, run: Run, tmp_path: Path, expected: rranker.Ranking
) -> None:
    path = tmp_path / f"candidates.{form}.gz"
    path.write_bytes(gzip.compress(written(form)))
    done = run("rank", QUERY, path, "--format", "json")
    assert done.exit_code == 0, done.stderr
    items = json.loads(done.stdout)["items"]
    assert [item["index"] for item in items] == expected.order
    assert [item["score"] for item in items] == [item.score for item in expected]
    if form != "text":
        assert [item["id"] for item in items] == [item.id for item in expected]
        assert {str(item["metadata"]["year"]) for item in items} == {"1800", "1801", "1802"}


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_a_pipe_is_read_and_a_trec_run_written(form: str, run: Run, expected: rranker.Ranking) -> None:
    done = run("rank", QUERY, "-", "-f", "trec", "--query-id", "q7", input=written(form))
    fields = [line.split() for line in done.stdout.splitlines()]
    assert [row[2] for row in fields] == [item.id for item in expected]
    assert [row[:2] + row[3:4] + row[5:] for row in fields] == [
        ["q7", "Q0", str(place), "rranker"] for place in (1, 2, 3)
    ]
    scores = [float(row[4]) for row in fields]
    assert scores == sorted(set(scores), reverse=True)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_pipe_may_have_a_byte_order_mark(encoding: str, run: Run, expected: rranker.Ranking) -> None:
    done = run("rank", QUERY, "-f", "json", input=written("jsonl").decode().encode(encoding))
    assert [item["id"] for item in json.loads(done.stdout)["items"]] == [item.id for item in expected]


def test_halves_of_surrogate_pairs_go_through(run: Run, tmp_path: Path) -> None:
    rows = b'{"text": "\\ud800 a", "id": "x\\udc80"}\n{"text": "b", "id": "y"}\n'
    for words in (["rank", "a", "-f", "json"], ["explain", "a", "-o", "-"], ["rank", "a"]):
        done = run(*words, input=rows)
        assert (done.exit_code, done.stderr) == (0, "")
        assert "\\udc80" in done.stdout
    assert "x\udc80" in {
        item["id"] for item in json.loads(run("rank", "a", "-f", "json", input=rows).stdout)["items"]
    }
    done = run("rank", "a", "-f", "trec", input=rows)
    assert (done.exit_code, done.stdout) == (65, "")
    assert "not valid Unicode" in done.stderr


def test_every_setting_of_a_call_is_an_option(run: Run) -> None:
    wanted = set(RankSettings.__annotations__) - {"task"}  # another name for template
    for command, left_out in (("rank", set()), ("explain", set()), ("rerank", {"relevance"})):
        options = {parameter.name for parameter in get_command(app).commands[command].params}
        assert options & wanted == wanted - left_out
    settings = {"method": "selection", "top_k": 2, "window": 2, "long_text": "chunk", "self_consistency": 2}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    done = run("rank", QUERY, "-f", "json", *words, input=written("jsonl"))
    ranking = rranker.rank(QUERY, ROWS, **settings)
    found = json.loads(done.stdout)
    assert (found["method"], [item["score"] for item in found["items"]]) == (
        "selection",
        [item.score for item in ranking],
    )
    refused = run("rank", QUERY, "--stop-below", "2", input=written("jsonl"))
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "stop_below must be" in refused.stderr


def test_equal_texts_have_strictly_falling_scores_in_a_run(run: Run) -> None:
    done = run("rank", "x", "-f", "trec", input="a\na\nb\na\n")
    scores = [float(line.split()[4]) for line in done.stdout.splitlines()]
    assert scores == sorted(set(scores), reverse=True)


def test_the_table_shows_texts_as_they_are(run: Run) -> None:
    done = run("rank", QUERY, input=written("text"))
    assert "Emma is a [red]given[/red] name." in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_threshold_leaves_out_what_is_less_relevant(run: Run) -> None:
    kept = rranker.rank(QUERY, TEXTS, threshold=0.5).kept
    done = run("rank", QUERY, "-f", "json", "--threshold", "0.5", input=written("text"))
    assert [item["index"] for item in json.loads(done.stdout)["items"]] == [item.index for item in kept]
    assert 0 < len(kept) < len(TEXTS)


def test_a_title_keeps_what_ends_no_line_of_a_file() -> None:
    assert as_query("Alien\u2028(1979)\r\nAli\x0cens\x85\n\n", True) == [
        "Alien\u2028(1979)",
        "Ali\x0cens\x85",
    ]


def test_a_history_has_a_title_a_line(run: Run) -> None:
    done = run("rank", "Alien\nAliens\n", "--history", "-f", "json", input="Predator\nClueless\n")
    expected = rranker.rank(["Alien", "Aliens"], ["Predator", "Clueless"])
    assert [item["score"] for item in json.loads(done.stdout)["items"]] == [item.score for item in expected]


BROKEN = {
    "candidates.jsonl": (b'{"text": "a"}\n{"text": \n"b"\n{"body": 1}\n', [2, 4], "not JSON"),
    "candidates.csv": (b"text,id\na,1\nb\nc,3\n", [3], "1 fields, where the header has 2"),
    "candidates.txt": (b"a\n\xff\xfe\xfa\nb\n", [2], "not UTF-8"),
    "nul.txt": (b"a\nb\x00c\nb\n", [2], "a NUL byte"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_lines_are_named_or_skipped_and_counted(name: str, run: Run, tmp_path: Path) -> None:
    data, lines, reason = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(data)
    done = run("rank", "a", path)
    assert (done.exit_code, done.stdout) == (65, "")
    assert f"{path}, line {lines[0]}: " in done.stderr
    assert reason in done.stderr
    done = run("rank", "a", path, "--skip-broken", "-f", "json")
    assert done.exit_code == 0
    assert len(json.loads(done.stdout)["items"]) == 2
    assert f"{len(lines)} broken line" in done.stderr
    assert all(f"{path}, line {line}: " in done.stderr for line in lines)


@pytest.mark.parametrize(
    ("words", "given", "code", "message"),
    [
        (["rank", "a", "/no/such/file"], "", 66, "/no/such/file: cannot read the file"),
        (["rank", "a"], "", 65, "stdin holds no candidates"),
        (["rank", "a", "--method", "best"], "b\n", 2, "best"),
        (["rank", "a", "--template", "poem"], "b\n", 2, "unknown template 'poem'"),
        (["rank", "a", "--model", "/no/model"], "b\n", 66, "/no/model"),
        (["rank"], "", 2, "Missing argument"),
        (["rank", "a", "-f", "trec"], '{"text": "b", "id": "two words"}\n', 65, "'two words'"),
    ],
)
def test_exit_codes_say_what_kind_of_trouble_it_was(
    words: list[str], given: str, code: int, message: str, run: Run
) -> None:
    done = run(*words, input=given)
    assert (done.exit_code, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = [sys.executable, "-m", "rranker", "rank", "text", "--format", "json"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(b"a text\n", timeout=100)
    assert (process.returncode, said) == (0, b"")


LEAVING = """
import atexit, sys, threading, time
from rranker.cli import main
def late():
    time.sleep(0.1)
    print("thread")
@main.app.command()
def leave():
    atexit.register(print, "handler")
    threading.Thread(target=late).start()
    raise SystemExit(7)
sys.argv = ["rranker", "leave"]
main.main()
"""


def test_the_quick_end_waits_for_threads_runs_exit_handlers_and_keeps_the_code() -> None:
    done = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "thread\nhandler\n", "")


def test_explain_writes_the_page_of_the_ranking(run: Run, tmp_path: Path) -> None:
    done = run("explain", QUERY, "-o", tmp_path / "page.html", input=written("text"))
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    page = (tmp_path / "page.html").read_text()
    held = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert held["query"] == QUERY
    assert [item["index"] for item in held["ranking"]["items"]] == rranker.rank(QUERY, TEXTS).order


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
@pytest.mark.parametrize(
    "words",
    [
        ["rank", "tea"],
        ["explain", "tea", "-", "-o", "-"],
        ["evaluate", "qrels", "-"],
        ["info", "--format", "json"],
    ],
    ids=" ".join,
)
def test_an_output_that_is_full_has_its_exit_code(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text("1 0 d 1\n")
    given = b"1 Q0 d 1 1 x\n" if words[0] == "evaluate" else b"a text\n"
    code = "import os; os.chdir(os.environ['IN']); from rranker.cli.main import main; main()"
    environment = {**os.environ, "IN": str(tmp_path), "PYTHONUNBUFFERED": ""}  # as shells start it: buffered
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, *words], input=given, stdout=full, stderr=subprocess.PIPE,
            env=environment, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (73, b"rranker: stdout: No space left on device\n")
