"""What the documentation says about this repository is so: paths, commands, its first example, where to find what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.doc_code import printed, steady

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("rranker/assets/**/*.md")]
FOLDERS = (
    "bench",
    "configs",
    "csrc",
    "docs",
    "examples",
    "haystack_integrations",
    "kernels",
    "rranker",
    "tests",
    "training",
)
SOURCE = (".py", ".cpp", ".hpp", ".pyi")
# Entries of the site's navigation that are no file of docs/ (.ci/docs_site.py).
ELSEWHERE = {"index.md", "contributing.md", "changelog.md", "security.md", "model-card.md"}


class SiteConfig(yaml.SafeLoader):
    """Reads mkdocs.yml; what its own tags say is of no account here."""


SiteConfig.add_multi_constructor("!ENV", lambda *_: None)
SiteConfig.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def leaves(nav: list[Any]) -> Iterator[str]:
    """The pages of a navigation."""
    for entry in nav:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else leaves(value)


def test_every_page_is_in_the_sites_navigation_once() -> None:
    """A new page: give it a line in mkdocs.yml, under `nav`."""
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), SiteConfig)
    pages = sorted(page for page in leaves(config["nav"]) if not page.startswith("api/"))
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages == sorted(written | ELSEWHERE)


def test_the_site_loads_no_fonts_styles_or_scripts_from_other_hosts() -> None:
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), SiteConfig)
    assert config["theme"]["font"] is False
    assert [entry for entry in config["extra_css"] if not (ROOT / "docs" / entry).is_file()] == []


def named_paths(page: Path) -> Iterator[str]:
    """Words in backticks that name a file or folder of this repository."""
    for word in re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8")):
        if ("/" in word and word.split("/")[0] in FOLDERS) or word.endswith(SOURCE):
            yield word


def test_every_path_in_the_documentation_exists() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SOURCE]
    known = [path.as_posix() for path in [*files, *ROOT.glob("*.py")]]
    missing, seen = [], 0
    for page in PAGES:
        for word in named_paths(page):
            seen += 1
            # A page may leave the folder out that it is about.
            if not (ROOT / word).exists() and not any(path.endswith(f"/{word}") for path in known):
                missing.append(f"{page.relative_to(ROOT)}: {word}")
    assert seen > 20
    assert missing == []


def test_every_module_that_a_command_starts_exists() -> None:
    missing, seen = [], 0
    for page in PAGES:
        for name in re.findall(r"python -m (\w+(?:\.\w+)*)", page.read_text(encoding="utf-8")):
            seen += 1
            if find_spec(name) is None:
                missing.append(f"{page.relative_to(ROOT)}: {name}")
    assert seen > 20
    assert missing == []


def test_the_first_example_prints_what_the_readme_shows(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```(\w*)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    code = next(place for place, (language, _) in enumerate(blocks) if language == "python")
    exec(compile(blocks[code][1], "README.md", "exec"), {})
    assert steady(capsys.readouterr().out) == steady(blocks[code + 1][1])


@pytest.mark.parametrize(
    "name", ["search", "recommendation", "routing", "scores", "own-model", "how-it-works"]
)
def test_the_code_of_a_page_prints_what_the_page_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the bundled model has changed: `python -m tests.support.doc_code docs/NAME.md`, then read the page."""
    monkeypatch.chdir(ROOT)
    outputs = printed(ROOT / "docs" / f"{name}.md")
    assert any(shown for shown, _ in outputs)
    for shown, said in outputs:
        assert steady(said) == steady(shown or "")


def test_the_page_on_evaluation_names_every_bench() -> None:
    page = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    benches = [path.stem for path in (ROOT / "bench").glob("*.py") if path.stem.startswith("test_")]
    benches += [path.stem for path in (ROOT / "bench").glob("*.py") if "__main__" in path.read_text("utf-8")]
    assert len(benches) > 10
    assert [name for name in benches if f"bench.{name}" not in page] == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Where would I add a Cohere-shaped prompt?", "class TextFormat"),
        ("What decides how many rounds are guessed?", "def depth"),
        ("Where is a candidate's text made safe?", "def _without_reserved"),
        ("What does `top_k` skip?", "surplus"),
        ("How does a step-wise reward reach the loss?", "From a reward to the loss"),
    ],
)
def test_a_reader_finds_the_answer_in_two_hops(question: str, answer: str) -> None:
    page = ROOT / "docs/architecture.md"
    assert "](docs/architecture.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.read_text(encoding="utf-8").splitlines() if f"| {question} |" in line]
    linked = [page.parent / link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", row)]
    assert any(answer in target.read_text(encoding="utf-8") for target in linked if target.is_file())
