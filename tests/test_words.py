"""The table of words: what was renamed to the field's term stays gone as an identifier; prose is free."""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import rranker
from rranker import Ranker
from rranker.engine.engine import Engine

ROOT = Path(__file__).parents[1]
FOLDERS = ("rranker", "haystack_integrations", "kernels", "training", "bench", "tests", "csrc")
# Where old names are understood for one more release, and where that is tested; this file.
ALIASES = ("rranker/deprecated.py", "tests/test_deprecated.py", "tests/test_words.py")

# Names that mean nothing else here: no identifier at all.
GONE = {
    "max_tokens_in_flight": "kv_cache_tokens",
    "step_tokens": "max_batch_tokens",
    "NINE": "BENCHMARK_TASKS",
    "Case": "RankingExample",
    "Plan": "Batch",
    "Ask": "Subset",
    "asks": "subsets",
    "Session": "QueryState",
    "BlockSession": "BlockQueryState",
    "CausalSession": "CausalQueryState",
    "Reading": "ReadoutRequest",
    "KVStore": "KVCache",
    "Extents": "SlotAllocator",
    "AttentionWork": "AttentionMetadata",
    "triton_work": "triton_metadata",
    "Dialect": "PromptFormat",
    "dialect": "prompt_format",
    "Piece": "PromptPart",
    "uses_labels": "uses_identifiers",
    "oracle": "reference",
    "twin": "reference",
    "Lesson": "Example",
    "match_at_birth": "init_matching_heads",
    "latent_semantics": "lsa_embeddings",
}
# Common words: not the name of a function, a class, a parameter or a field.
DEFINED = {
    "owner": "query_index",
    "walk": "layout_order",
    "account": "policy",
    "settle": "update",
    "probe": "self_check",
    "plain": "reference",
    "naive": "reference",
    "dense": "reference",
}
# Words that are another thing elsewhere: no identifier in a folder.
WITHIN = {
    "kernels": {
        "mixed": "acc",
        "peak": "m_i",
        "total": "l_i",
        "shrink": "alpha",
        "place": "index",
        "labels": "identifiers",
    },
    "rranker/engine": {"Job": "EngineRequest", "Episode": "Method", "labels": "identifiers"},
    "rranker/prompts": {"labels": "identifiers", "cut": "truncate_part"},
    "rranker/data": {"WEIGHTS": "ROUTING_WEIGHTS"},
    "training": {
        "hints": "teacher_scores",
        "trust": "teacher_weight",
        "learn": "forward_backward",
        "ease": "curriculum",
        "widen": "init_fan_in",
        "cut": "shortened",
        "labels": "identifiers",
        "owner": "query_index",
    },
    "csrc": {"Ranker": "RunSorter"},
}
MODULES = {
    "rranker/methods": {"iranker": "elimination", "dranker": "listwise"},
    "rranker/engine": {
        "reading": "gather",
        "support": "compatibility",
        "probe": "self_check",
        "packing": "onednn",
        "hook": "transformers_hook",
    },
}
ARGUMENTS = {"attention": "attention_mode", "backend": "attention_backend", "order": "relayout"}


def identifiers(path: str, text: str) -> set[str]:
    """The names in a source, those in strings and comments left out."""
    if path.endswith((".py", ".pyi")):
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        return {token.string for token in tokens if token.type == tokenize.NAME}
    code = re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', "", text, flags=re.DOTALL)
    return set(re.findall(r"[A-Za-z_]\w*", code))


def defined(text: str) -> Iterator[str]:
    """Functions, classes, their parameters and fields."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.arg):
            yield node.arg
        if isinstance(node, ast.ClassDef):
            yield from (
                field.target.id
                for field in node.body
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            )


def old_names(path: str, text: str) -> dict[str, str]:
    """The old names in a source, and the new name of each."""
    names = identifiers(path, text)
    old = {name: GONE[name] for name in names & GONE.keys()}
    for folder, words in WITHIN.items():
        if path.startswith(folder + "/"):
            old |= {name: words[name] for name in names & words.keys()}
    if path.endswith((".py", ".pyi")):
        old |= {name: DEFINED[name] for name in set(defined(text)) & DEFINED.keys()}
    for folder, modules in MODULES.items():
        if path.startswith(folder + "/") and Path(path).stem in modules:
            old[path] = modules[Path(path).stem]
    return old


def sources() -> Iterator[tuple[str, str]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            name = str(path.relative_to(ROOT))
            if path.suffix in {".py", ".pyi", ".cpp", ".hpp"} and name not in ALIASES:
                yield name, path.read_text()


def test_no_old_name_is_an_identifier() -> None:
    seen = {path: old_names(path, text) for path, text in sources()}
    assert len(seen) > 300
    assert {path: old for path, old in seen.items() if old} == {}


@pytest.mark.parametrize(
    ("path", "text", "old"),
    [
        ("rranker/ranker.py", "def rank(step_tokens): ...", {"step_tokens"}),
        ("rranker/ranker.py", "# the Plan\nprompt = 'a Session'  # dialect", set()),
        ("rranker/engine/engine.py", "from .probe import probe\ndef probe(owner): ...", {"probe", "owner"}),
        ("rranker/engine/engine.py", "probe = place = total = 1", set()),
        ("rranker/engine/sub/hook.py", "", {"rranker/engine/sub/hook.py"}),
        ("kernels/score/kernel.py", "total = labels + index", {"total", "labels"}),
        ("training/sft/example.py", "class Lesson:\n    trust: float = 1", {"Lesson", "trust"}),
        ("csrc/sort.hpp", '// a Ranker\nclass Sorter { const char* name = "Ranker"; };', set()),
        ("csrc/sort.hpp", "class Ranker {};", {"Ranker"}),
    ],
)
def test_an_old_name_would_be_seen(path: str, text: str, old: set[str]) -> None:
    assert old_names(path, text).keys() == old


@pytest.mark.parametrize(
    "function",
    [Ranker, Ranker.rank, Ranker.rank_batch, rranker.rank, Engine, Engine.load],
)
def test_public_functions_take_the_new_names(function: object) -> None:
    assert callable(function)
    assert not inspect.signature(function).parameters.keys() & ARGUMENTS.keys()
