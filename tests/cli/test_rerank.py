"""`rranker rerank`: runs, BEIR folders and RankLLM's requests; a job that was killed goes on where it was."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import Result

from rranker import Ranker
from rranker.data import read_texts
from rranker.metrics import read_run
from tests.cli.conftest import Run


@pytest.fixture(scope="module")
def expected(beir: Path) -> dict[str, list[str]]:
    """The library's own order of each query's documents."""
    texts, words = read_texts(beir / "corpus.jsonl"), read_texts(beir / "queries.jsonl")
    with Ranker() as ranker:
        return {
            query: [
                str(item.id)
                for item in ranker.rank(
                    words[query], [{"id": d, "text": texts[d]} for d in docs], template="passage"
                )
            ]
            for query, docs in read_run(beir / "run.txt").items()
        }


def ordered(run: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in run.splitlines():
        query, _, document, rank, *_ = line.split()
        found.setdefault(query, []).append(document)
        assert int(rank) == len(found[query])
    return found


def test_a_run_is_ranked_anew(run: Run, beir: Path, expected: dict[str, list[str]], tmp_path: Path) -> None:
    whole = run("rerank", beir / "run.txt", "--beir", beir, "-o", tmp_path / "out.txt", "--batch", "4")
    assert (whole.exit_code, whole.stdout, whole.stderr) == (0, "", "")
    assert ordered((tmp_path / "out.txt").read_text()) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    texts = ["--corpus", beir / "corpus.jsonl", "--queries", beir / "queries.jsonl"]
    piped = run("rerank", "-", *texts, "--depth", "3", input=(beir / "run.txt").read_text())
    assert {query: len(found) for query, found in ordered(piped.stdout).items()} == dict.fromkeys(expected, 3)


def test_a_threshold_leaves_documents_out(run: Run, beir: Path, tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text("".join((beir / "run.txt").read_text().splitlines(True)[:8]))
    done = run("rerank", tmp_path / "run.txt", "--beir", beir, "--threshold", "0.5")
    texts = read_texts(beir / "corpus.jsonl")
    with Ranker() as ranker:
        ranking = ranker.rank(
            read_texts(beir / "queries.jsonl")["q0"],
            [{"id": d, "text": texts[d]} for d in read_run(tmp_path / "run.txt")["q0"]],
            template="passage",
            threshold=0.5,
        )
    assert ordered(done.stdout) == {"q0": [item.id for item in ranking.kept]}
    assert 0 < len(ranking.kept) < 8


def test_without_a_run_bm25_finds_the_candidates(run: Run, beir: Path) -> None:
    done = run("rerank", "--beir", beir, "--depth", "5")
    found = ordered(done.stdout)
    assert found.keys() == {f"q{i}" for i in range(6)}
    for query, documents in found.items():
        assert [int(name[1:]) % 6 for name in documents] == [int(query[1:])] * 5


def requests(beir: Path) -> list[dict[str, object]]:
    texts, words = read_texts(beir / "corpus.jsonl"), read_texts(beir / "queries.jsonl")
    return [
        {
            "query": {"text": words[query], "qid": query},
            "candidates": [
                {"docid": name, "score": score, "doc": {"contents": texts[name]}}
                for name, score in docs.items()
            ],
        }
        for query, docs in read_run(beir / "run.txt").items()
    ]


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_rankllms_requests_go_in_and_come_out(
    ending: str, run: Run, beir: Path, expected: dict[str, list[str]], tmp_path: Path
) -> None:
    given, path = requests(beir), tmp_path / f"requests.{ending}"
    path.write_text(json.dumps(given) if ending == "json" else "\n".join(map(json.dumps, given)))
    done = run("rerank", path)
    assert done.exit_code == 0, done.stderr
    piped = run("rerank", "-", input=b"\xef\xbb\xbf" + path.read_bytes())
    assert piped.stdout == done.stdout
    written = (
        json.loads(done.stdout) if ending == "json" else [json.loads(x) for x in done.stdout.splitlines()]
    )
    assert {r["query"]["qid"]: [c["docid"] for c in r["candidates"]] for r in written} == expected
    for before, after in zip(given, written, strict=True):
        assert after["query"] == before["query"]
        texts = {c["docid"]: c["doc"] for c in before["candidates"]}  # type: ignore[attr-defined]
        assert {c["docid"]: c["doc"] for c in after["candidates"]} == texts
        scores = [c["score"] for c in after["candidates"]]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("name", ["r.ndjson", "R.JSONL", "r.Json.gz"])
def test_requests_are_known_by_their_names_however_those_are_spelled(
    run: Run, tmp_path: Path, name: str
) -> None:
    request = json.dumps({"query": "bees", "candidates": ["a note on bees", "trains"]}).encode()
    (tmp_path / name).write_bytes(gzip.compress(request) if name.endswith("gz") else request)
    out = tmp_path / "out.jsonl.gz"
    done = run("rerank", tmp_path / name, "-o", out)
    assert done.exit_code == 0, done.stderr
    (written,) = gzip.decompress(out.read_bytes()).splitlines()
    assert [candidate["docid"] for candidate in json.loads(written)["candidates"]] == ["1", "2"]


def test_requests_may_be_as_short_as_rankllm_takes_them(run: Run) -> None:
    """Strings for the query and the documents, `text` in place of `doc`: what its validator calls valid."""
    short = {"query": "bees", "candidates": ["trains", {"text": "a note on bees", "page": 3}], "more": [1]}
    done = run("rerank", "-", input=json.dumps(short) + "\n" + json.dumps({**short, "query": {"text": "x"}}))
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["query"], first["more"], second["query"]) == ("bees", [1], {"text": "x"})
    scores = [candidate.pop("score") for candidate in first["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert first["candidates"] == [
        {"docid": "2", "text": "a note on bees", "page": 3},
        {"docid": "1", "doc": "trains"},
    ]
    found = ordered(run("rerank", "-", "-f", "trec", input=json.dumps([short])).stdout)
    assert found == {"1": ["2", "1"]}


def test_broken_requests_and_missing_documents_are_named_or_skipped(
    run: Run, beir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text('{"query": "cats"}\nnot json\n' + json.dumps(requests(beir)[0]))
    assert f"{path}, line 1: a request is an object with query and candidates" in run("rerank", path).stderr
    done = run("rerank", path, "--skip-broken")
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 1)
    assert "2 broken lines skipped" in done.stderr
    (tmp_path / "run.txt").write_text("q1 Q0 d1 1 2.0 x\nq1 Q0 nobody 2 1.0 x\n")
    done = run("rerank", tmp_path / "run.txt", "--beir", beir)
    assert done.exit_code == 65
    assert "has no document 'nobody'" in done.stderr
    done = run("rerank", tmp_path / "run.txt", "--beir", beir, "--skip-broken")
    assert ordered(done.stdout) == {"q1": ["d1"]}


def test_a_job_that_was_killed_goes_on_where_it_was(
    run: Run, beir: Path, expected: dict[str, list[str]], tmp_path: Path
) -> None:
    out, journal = tmp_path / "out.txt", tmp_path / "out.txt.partial"
    # Each query's documents are long, so that the job is still running when the first query is done.
    words = ["rerank", str(beir / "run.txt"), "--beir", str(beir), "-o", str(out), "--batch", "1"]
    slow = (
        "import sys, time; from rranker import Ranker; from rranker.cli.main import main\n"
        "rank_batch = Ranker.rank_batch\n"
        "def slowly(*args, **kwargs):\n    time.sleep(0.3)\n"
        "    assert not {'accelerate', 'scipy', 'fastapi'} & set(sys.modules), 'too much for a ranking'\n"
        "    return rank_batch(*args, **kwargs)\n"
        "Ranker.rank_batch = slowly; sys.argv = ['rranker', *sys.argv[1:]]; main()"
    )
    process = subprocess.Popen([sys.executable, "-c", slow, *words], stderr=subprocess.PIPE)
    limit = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b"\n") < 3:
        assert process.poll() is None, process.stderr
        assert time.monotonic() < limit
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    kept = journal.read_bytes()
    assert 3 <= kept.count(b"\n") < 7
    # As a kill in the middle of a line would leave it.
    journal.write_bytes(kept + b'["q5", [["d1", 0.')
    other = run(*words, "--depth", "4")
    assert other.exit_code == 2
    assert "belongs to a job with other input or settings" in other.stderr
    done = run(*words)
    assert done.exit_code == 0, done.stderr
    finished = len(kept.splitlines()) - 1
    assert f"{finished} of 6 queries are done already" in done.stderr
    assert ordered(out.read_text()) == expected
    assert not journal.exists()


def test_other_requests_on_stdin_do_not_go_on_with_the_job_of_the_first(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def piped(*texts: str, stop: bool = False) -> Result:
        lines = [
            json.dumps({"query": f"note {i}", "candidates": [text, "x"]}) for i, text in enumerate(texts)
        ]
        with monkeypatch.context() as patch:
            if stop:
                patch.setattr("rranker.cli.rerank._write", _full_disk)
            return run("rerank", "-", "-o", tmp_path / "out.jsonl", input="\n".join(lines))

    assert piped("bees", "tea", stop=True).exit_code == 73
    other = piped("rivers", "trains")
    assert other.exit_code == 2
    assert "belongs to a job with other input or settings" in other.stderr
    same = piped("bees", "tea")
    assert (same.exit_code, same.stderr) == (0, "rranker: 2 of 2 queries are done already\n")
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [{c["doc"] for c in request["candidates"]} for request in written] == [{"bees", "x"}, {"tea", "x"}]


def test_a_job_does_not_go_on_with_other_weights_in_the_folder_of_its_model(
    run: Run, beir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    shutil.copytree("configs/tiny-start", model)
    given = "rerank", beir / "run.txt", "--beir", beir, "-o", tmp_path / "out.txt", "--model", model
    with monkeypatch.context() as patch:
        patch.setattr("rranker.cli.rerank._write", _full_disk)
        assert run(*given).exit_code == 73
    trained = (
        next(model.glob("*.safetensors")) if list(model.glob("*.safetensors")) else model / "config.json"
    )
    os.utime(trained, ns=(0, 0))
    other = run(*given)
    assert other.exit_code == 2
    assert "other weights" in other.stderr


def _full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device", "out.jsonl")


def test_a_wrong_setting_is_no_broken_input(run: Run, beir: Path, tmp_path: Path) -> None:
    given = "rerank", beir / "run.txt", "--beir", beir, "-o", tmp_path / "out.txt", "--skip-broken"
    for option in ("--template", "--method"):
        done = run(*given, option, "nonsense")
        assert done.exit_code == 2
        assert "nonsense" in done.stderr
        assert "--skip-broken" not in done.stderr
    assert not (tmp_path / "out.txt").exists()


def test_a_run_of_which_nothing_could_be_ranked_is_no_success(run: Run, tmp_path: Path) -> None:
    requests = [
        {"query": {"text": "q", "qid": "1"}, "candidates": [{"doc": {"contents": "x"}, "docid": "a"}]}
    ]
    (tmp_path / "requests.json").write_text(json.dumps(requests))
    given = "rerank", tmp_path / "requests.json", "-o", tmp_path / "out.json"
    assert run(*given, "--skip-broken", "--threshold", "0.5", "--model", "configs/tiny-start").exit_code != 0
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("words", "name", "code", "message"),
    [
        (["--tag", "my run"], "d1", 65, "the tag 'my run' cannot stand in a TREC run"),
        ([], "Emma (novel)", 65, "the document id 'Emma (novel)' cannot stand in a TREC run"),
        (["-o", "FOLDER"], "d1", 73, "is a folder, not a file to write to"),
    ],
)
def test_what_could_not_be_written_is_refused_before_anything_is_ranked(
    words: list[str], name: str, code: int, message: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"_id": name, "text": "Jane Austen wrote Emma"}) + "\n")
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "who wrote Emma?"}\n')
    output = tmp_path / "out.txt"
    words = [str(tmp_path) if word == "FOLDER" else word for word in words]
    done = run("rerank", "--beir", tmp_path, "-o", output, "--model", tmp_path / "no model is loaded", *words)
    assert (done.exit_code, done.stdout) == (code, "")
    assert message in done.stderr
    assert not list(tmp_path.glob("*.partial")) + list(tmp_path.parent.glob("*.partial"))
