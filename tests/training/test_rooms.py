"""Training's rooms: few, few arrows between them, none in a circle, and none from what is below to a trainer."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2] / "training"
PREFIX = "rranker.training."


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def arrows() -> dict[str, set[str]]:
    """Room → the other rooms that it imports, wherever in its files."""
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        if path != ROOT / "__init__.py":
            here = found.setdefault(room(path), set())
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
                    here.add(str(node.module).removeprefix(PREFIX).split(".")[0])
            here.discard(room(path))
    return found


def test_there_are_few_rooms_and_few_arrows() -> None:
    found = arrows()
    assert {"sft", "grpo", "policy", "packing", "examples"} <= found.keys()
    assert len(found) <= 9
    assert sum(map(len, found.values())) <= 12


def test_arrows_run_down() -> None:
    found = arrows()
    assert set(TopologicalSorter(found).static_order()) == set(found)  # raises CycleError on a circle
    assert not any({"sft", "grpo"} & needs for needs in found.values())


def test_no_file_repeats_its_rooms_name() -> None:
    files = [path for path in ROOT.rglob("*.py") if path.parent != ROOT]
    assert len(files) > 20
    assert [path.name for path in files if path.name.startswith(f"{path.parent.name}_")] == []
