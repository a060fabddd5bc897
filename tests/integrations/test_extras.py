"""Without its library, an adapter says which extra to install; the others work."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDS = {
    "rranker.integrations.langchain": ("langchain_core", "langchain"),
    "rranker.integrations.llama_index": ("llama_index", "llama-index"),
    "rranker.integrations.mteb": ("mteb", "mteb"),
    "rranker.integrations.pyterrier": ("pyterrier", "pyterrier"),
    "rranker.integrations.rerankers": ("rerankers", "rerankers"),
    "haystack_integrations.components.rankers.rranker": ("haystack", "haystack"),
}
FREE = ("beir", "gateway", "ir_datasets", "sentence_transformers")
CODE = """
import importlib, json, sys
needs, free = json.loads(sys.argv[1])
sys.modules |= {package: None for package, _ in needs.values()} | {"beir": None, "sentence_transformers": None}
said = {}
for module in needs:
    try:
        importlib.import_module(module)
    except ImportError as error:
        said[module] = str(error)
for module in free:
    importlib.import_module("rranker.integrations." + module)
print(json.dumps(said))
"""


def test_a_missing_package_names_the_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps([NEEDS, FREE])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    for module, (package, extra) in NEEDS.items():
        assert f"pip install 'rranker[{extra}]'" in said[module]
        assert package in said[module]  # the cause
        assert extra in extras


def test_every_adapter_is_short_and_listed_here() -> None:
    paths = [*ROOT.glob("rranker/integrations/*.py"), *ROOT.glob("haystack_integrations/**/ranker.py")]
    assert {path.name: n for path in paths if (n := len(path.read_text().splitlines())) > 80} == {}
    names = {path.stem for path in ROOT.glob("rranker/integrations/*.py")} - {"__init__", "common"}
    assert names == {*FREE, *(module.rsplit(".")[-1] for module in NEEDS if module.startswith("rranker."))}
