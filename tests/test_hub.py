"""Hub names, against a small server that answers as the hub does: downloads, and refusals that come at once."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rranker.engine.loading.item_factors import FACTORS_FILE, save_item_factors
from rranker.engine.loading.pointer_head import HEAD_FILE
from rranker.item_factors import ItemFactors
from tests.support.checkpoints import save_checkpoint, small_tokenizer
from tests.support.encoders import add_sentence_files, save_encoder
from tests.support.toy_examples import WORDS
from tests.support.toys import save_encoder_policy

COMMIT = "a" * 40
RANK = """
import sys, time
from rranker import Ranker
began = time.perf_counter()
try:
    with Ranker(sys.argv[1]) as ranker:
        print("ranked", len(ranker.rank("which?", ["the fox", "the dog"])))
except Exception as error:
    print(type(error).__name__, error)
print(time.perf_counter() - began)
"""


class Hub(ThreadingHTTPServer):
    """Serves one folder as the model `owner/model`; `owner/gated` is for others; everything else is not there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        found = (path for path in folder.rglob("*") if path.is_file())
        self.files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
        self.downloaded: list[str] = []


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.split("?")[0].strip("/").split("/")
        if "owner/gated" in self.path:
            return self.reply(403, b"{}", X_Error_Code="GatedRepo", X_Error_Message="restricted")
        if "owner/model" not in self.path:
            return self.reply(404, b"{}", X_Error_Code="RepoNotFound", X_Error_Message="not found")
        if path[0] == "api":
            files = [{"rfilename": name} for name in self.server.files]
            tree = [
                {"type": "file", "path": n, "size": len(b), "oid": "0"} for n, b in self.server.files.items()
            ]
            about = {"id": "owner/model", "sha": COMMIT, "siblings": files}
            return self.reply(200, json.dumps(tree if "tree" in path else about).encode())
        name = "/".join(path[path.index("resolve") + 2 :])
        if name not in self.server.files:
            return self.reply(404, b"", X_Error_Code="EntryNotFound")
        body = self.server.files[name]
        if self.command == "GET":
            self.server.downloaded.append(name)
        self.reply(200, body, ETag=f'"{sha256(body).hexdigest()}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = save_checkpoint(tmp_path_factory.mktemp("model"), "qwen3", small_tokenizer())
    # What repositories also hold, and nobody here needs.
    for name in ("pytorch_model.bin", "consolidated.safetensors", "README.md"):
        (folder / name).write_bytes(b"large")
    server = Hub(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def reached(endpoint: str, cache: Path) -> dict[str, str]:
    """The environment of a process whose hub is there."""
    here = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    return {**here, "HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache), "NO_PROXY": "127.0.0.1"}


def ask(name: str, endpoint: str, cache: Path) -> tuple[str, float]:
    """What a fresh process says of a hub name, and the seconds it took from the call on."""
    done = subprocess.run(
        [sys.executable, "-c", RANK, name],
        capture_output=True, text=True, check=True, env=reached(endpoint, cache),
    )  # fmt: skip
    assert done.stderr == ""
    said, seconds = done.stdout.rsplit("\n", 2)[:2]
    return said, float(seconds)


def test_a_model_is_downloaded_once_and_then_served_without_the_hub(hub: Hub, tmp_path: Path) -> None:
    hub.downloaded.clear()
    assert ask("owner/model", f"http://127.0.0.1:{hub.server_port}", tmp_path)[0] == "ranked 2"
    assert sorted(set(hub.downloaded)) == sorted(
        {
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        }
        | {"chat_template.jinja"}
    )
    downloads = len(hub.downloaded)
    assert ask("owner/model", f"http://127.0.0.1:{hub.server_port}", tmp_path)[0] == "ranked 2"
    assert ask("owner/model", "http://127.0.0.1:9", tmp_path)[0] == "ranked 2"  # nobody listens there
    assert len(hub.downloaded) == downloads


def test_what_lies_beside_the_weights_comes_with_them(tmp_path: Path) -> None:
    made, served = save_encoder_policy(tmp_path / "made"), tmp_path / "served"
    served.mkdir()
    for path in made.glob("*.*"):
        shutil.copy(path, served)
    factors = ItemFactors(np.array([1]), np.array([0]), np.ones((1, 2), np.float32), 0.9)
    save_item_factors(factors, served)
    server = Hub(served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        found = ask("owner/model", f"http://127.0.0.1:{server.server_port}", tmp_path / "cache")[0]
    finally:
        server.shutdown()
    assert found == "ranked 2"
    assert {HEAD_FILE, FACTORS_FILE} <= set(server.downloaded)


def test_training_by_reward_leaves_out_what_does_not_fit_a_model_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    texts = {"candidates": ["a fox", "a dog"], "relevance": [1, 0]}
    rows = [{"query": query, **texts} for query in ("red " * 2000, "red", "blue")]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "held.jsonl").write_text(json.dumps({"query": "green", **texts}) + "\n")
    words = [
        "--model",
        "owner/model",
        "--dry_run",
        "true",
        "--data",
        "rows.jsonl",
        "--validation",
        "held.jsonl",
    ]
    words += ["--max_prompt_tokens", "1000", "--use_cpu", "true", "--bf16", "false"]
    environment = reached(f"http://127.0.0.1:{hub.server_port}", tmp_path / "cache")
    done = subprocess.run(
        [sys.executable, "-m", "rranker.training.grpo", *words],
        capture_output=True, text=True, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "2 of 3 training cases" in done.stdout


def test_an_encoder_of_the_hub_brings_how_it_compares_texts(tmp_path: Path) -> None:
    made = save_encoder(tmp_path / "made", words=WORDS)
    add_sentence_files(made, {"pooling_mode": "cls"}, {"query": "query: "})
    (made / "onnx").mkdir()
    (made / "onnx" / "config.json").write_text("{}")  # a copy for something else
    server = Hub(made)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rranker.training.sft.from_encoder", "owner/model", str(tmp_path / "out")],
            capture_output=True, text=True, check=False,
            env=reached(f"http://127.0.0.1:{server.server_port}", tmp_path / "cache"),
        )  # fmt: skip
    finally:
        server.shutdown()
    assert done.returncode == 0, done.stderr[-3000:]
    assert "pooling cls, query prompt 'query: ', document prompt ''" in done.stdout
    assert "1_Pooling/config.json" in server.downloaded
    assert "onnx/config.json" not in server.downloaded


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("owner/modle", "FileNotFoundError no model 'owner/modle': .* has none of that name"),
        ("modle", "FileNotFoundError no model 'modle': .* has none of that name"),
        ("owner/gated", "PermissionError .* accept its terms at https://huggingface.co/owner/gated"),
        ("not a name", "FileNotFoundError .* no name on the Hugging Face hub looks like that"),
    ],
)
def test_what_the_hub_does_not_give_is_said_at_once(hub: Hub, tmp_path: Path, name: str, says: str) -> None:
    said, _ = ask(name, f"http://127.0.0.1:{hub.server_port}", tmp_path)
    assert re.search(says, said), said


def test_a_hub_out_of_reach_costs_no_retries(tmp_path: Path) -> None:
    said, seconds = ask("owner/model", "http://127.0.0.1:9", tmp_path)
    assert said.startswith("FileNotFoundError no model 'owner/model'")
    assert "could not be reached" in said
    assert "hf download owner/model" in said
    assert seconds < 10  # imports included; five retries wait for 23 s
