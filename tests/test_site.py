"""What makes a site of pages that are written for a forge (`make docs`): links, sources, the check at its end."""

from __future__ import annotations

import re
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def loaded(name: str) -> ModuleType:
    """A script of .ci/ as a module."""
    spec = spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    return loaded("docs_site")


@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("README.md", "docs/training.md#data-of-your-own", "training.md#data-of-your-own"),
        ("README.md", "docs/img/rounds.svg", "img/rounds.svg"),
        ("README.md", "examples/01_search.py", "source/examples/01_search.py.md"),
        ("README.md", "rranker/engine", "source/rranker/engine/index.md"),
        ("docs/engine.md", "../README.md#speed", "index.md#speed"),
        ("docs/engine.md", "../rranker/engine/", "source/rranker/engine/index.md"),
        ("docs/engine.md", "#readouts", "#readouts"),
        ("docs/engine.md", "https://example.org/a.md", "https://example.org/a.md"),
        ("rranker/assets/default/README.md", "../../../docs/data.md", "data.md"),
    ],
)
def test_links_of_a_forge_lead_to_the_same_thing_in_the_site(
    hook: ModuleType, page: str, link: str, there: str
) -> None:
    assert hook.site_link(page, link) == there


def test_pages_outside_of_docs_and_modules_of_the_reference_exist(hook: ModuleType) -> None:
    assert [page for page in hook.PAGES if not (ROOT / page).is_file()] == []
    assert [name for name in hook.API if find_spec(name) is None] == []
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert sorted(re.findall(r": api/([\w.]+)\.md$", nav, re.MULTILINE)) == sorted(hook.API)


def test_links_in_code_are_left_alone(hook: ModuleType) -> None:
    text = "[`a`](x.md) and `[b](x.md)`\n\n```\n[c](x.md)\n```\n[d](x.md)"
    assert hook.rewrite(text, str.upper) == text.replace("[`a`](x.md)", "[`a`](X.MD)").replace(
        "d](x.md", "d](X.MD"
    )


def test_linked_sources_get_a_page_with_their_text_and_folders_one_with_their_files(hook: ModuleType) -> None:
    sources = hook.linked_sources(["docs/architecture.md", "README.md"])
    assert {"rranker/api.py", "rranker/engine", "pyproject.toml"} <= sources
    assert not any(path.startswith("docs/") or path in hook.PAGES for path in sources)
    assert (ROOT / "rranker/api.py").read_text(encoding="utf-8").rstrip() in hook.source_page(
        "rranker/api.py", sources
    )
    folder = hook.source_page("rranker/engine", sources)
    assert "[`engine.py`](engine.py.md)" in folder
    assert "[`sessions/`](sessions/index.md)" in folder
    assert "- `errors.py`" in folder  # no page links to it


def test_what_leads_nowhere_or_is_loaded_from_elsewhere_is_named(hook: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="here">x</h1><a href="sub/#there">ok</a><a href="#here">ok</a><a href="https://example.org/">ok</a>'
        '<a href="sub/#gone">no</a><a href="nowhere/">no</a><img src="lost.svg"><link rel="canonical" href="https://a.b/">'
    )
    (tmp_path / "sub/index.html").write_text(
        '<p id="there">x</p><a href="..">ok</a><script src="https://cdn.example.org/x.js"></script>'
    )
    assert sorted(hook.broken(tmp_path)) == [
        "index.html links to lost.svg, which is not there",
        "index.html links to nowhere/, which is not there",
        "index.html links to sub/#gone, an anchor that is not there",
        "sub/index.html loads https://cdn.example.org/x.js",
    ]


def test_examples_and_fields_in_docstrings_become_code_and_lists() -> None:
    griffe = pytest.importorskip("griffe", reason="needs the site's tools: pip install 'rranker[docs]'")
    text = "Adds.\n\nsize: of all.\n    Indeed.\nNot a field: it has blanks.\n\n>>> 1 + 1\n2\n\nMore."
    written = text.replace("size", "- `size`").replace(">>> 1 + 1\n2\n", "```pycon\n>>> 1 + 1\n2\n```\n")
    described = griffe.Class("Sum", docstring=griffe.Docstring(text))
    loaded("docs_docstrings").Markdown().on_class(cls=described)
    assert described.docstring.value == written
