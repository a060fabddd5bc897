"""The examples of docs/adapters.md run and print what stands under them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs/adapters.md").read_text(encoding="utf-8")
OPENING, *SECTIONS = re.split(r"^## ", PAGE, flags=re.M)
LIBRARY = {
    "LangChain": "langchain_classic",
    "LlamaIndex": "llama_index.core",
    "Haystack": "haystack",
    "PyTerrier": "pyterrier",
    "rerankers": "rerankers",
    "MTEB": "mteb",
}


def blocks(text: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.M)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0])
def test_the_example_prints_what_stands_under_it(
    section: str, ranker: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if library := LIBRARY.get(section.splitlines()[0]):
        pytest.importorskip(library, reason=f"needs {library}: see docs/adapters.md")
    monkeypatch.setattr("rranker.Ranker", lambda: ranker)  # the opening's: one is loaded already
    names: dict[str, Any] = {}
    exec(blocks(OPENING)[0], names)
    monkeypatch.undo()
    code, shown = blocks(section)
    exec(code, names)
    assert capsys.readouterr().out.splitlines() == shown.splitlines()


def test_every_section_is_in_the_table() -> None:
    linked = re.findall(r"\]\(#([\w-]+)\)", OPENING)
    assert linked == [section.splitlines()[0].lower().replace(" ", "-") for section in SECTIONS]
