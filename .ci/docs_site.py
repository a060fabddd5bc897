"""A hook of mkdocs: the pages of this repository, as they are read on a forge, become a site.

Links between pages are written for a forge, relative to the file. Here they are rewritten: a page outside of docs/ that
is part of the site (`PAGES`) has a place in it, and a source file that some page links to gets a page with its text,
so that the site is whole wherever it lies. The API reference is a page for each module of `API`, of its docstrings.
When all is built, every link and anchor of the HTML is followed, and nothing may be loaded from another host.
A warning fails `mkdocs build --strict`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, normpath, relpath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
log = logging.getLogger("mkdocs.hooks.docs_site")

# Pages outside of docs/, and where they are in the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "rranker/assets/default/README.md": "model-card.md",
}
# The public modules, each a page of the API reference.
API = (
    "rranker",
    "rranker.settings",
    "rranker.metrics",
    "rranker.methods",
    "rranker.scorers",
    "rranker.scorers.text",
    "rranker.permutations",
    "rranker.rewards",
    "rranker.prompts",
    "rranker.data",
    "rranker.engine.engine",
)
LANGUAGES = {
    ".py": "python",
    ".pyi": "python",
    ".cpp": "cpp",
    ".hpp": "cpp",
    ".json": "json",
    ".toml": "toml",
}
LANGUAGES |= {".yaml": "yaml", ".yml": "yaml"}
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")


def site_path(path: str) -> str:
    """Where a file or folder of the repository, by its path from the root, is in the site's sources."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"source/{path}/index.md" if (ROOT / path).is_dir() else f"source/{path}.md"


def rewrite(text: str, link_of: Callable[[str], str]) -> str:
    """A page with its links changed, those in code left alone."""
    parts = CODE.split(text)
    parts[::2] = [LINK.sub(lambda match: link_of(match[0]), part) for part in parts[::2]]
    return "".join(parts)


def site_link(page: str, link: str) -> str:
    """A link of the repository's file `page`, as it is from that page in the site."""
    path, hash_, anchor = link.partition("#")
    if not path or urlsplit(link).scheme:
        return link
    target = site_path(normpath(f"{dirname(page)}/{path}".lstrip("/")))
    return relpath(target, dirname(site_path(page)) or ".") + hash_ + anchor


def linked_sources(pages: list[str]) -> set[str]:
    """Files and folders that these pages link to and that are no pages or pictures of the site themselves."""
    found = set()
    for page in pages:
        for part in CODE.split((ROOT / page).read_text(encoding="utf-8"))[::2]:
            for link in LINK.findall(part):
                path = link.partition("#")[0]
                if path and not urlsplit(link).scheme:
                    found.add(normpath(f"{dirname(page)}/{path}".lstrip("/")))
    return {path for path in found - PAGES.keys() if not path.startswith("docs/") and (ROOT / path).exists()}


def source_page(path: str, sources: set[str]) -> str:
    """A page that shows a file, or what is in a folder."""
    head = f"---\ntitle: {Path(path).name}\nsearch:\n  exclude: true\n---\n\n# {path}\n\n"
    if (ROOT / path).is_file():
        text = (ROOT / path).read_text(encoding="utf-8")
        fence = "~" * 12
        return f"{head}{fence} {LANGUAGES.get(Path(path).suffix, 'text')}\n{text.rstrip()}\n{fence}\n"
    lines = []
    for entry in sorted((ROOT / path).iterdir(), key=lambda entry: (entry.is_file(), entry.name)):
        inner = f"{path}/{entry.name}"
        name = entry.name + "/" * entry.is_dir()
        if not entry.name.startswith((".", "__pycache__")) and entry.suffix not in {".so", ".pyc"}:
            there = relpath(site_path(inner), dirname(site_path(path)))
            lines.append(f"- [`{name}`]({there})" if inner in sources | set(PAGES) else f"- `{name}`")
    return head + "\n".join(lines) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are not in docs/."""
    from mkdocs.structure.files import File

    def add(path: str, text: str) -> None:
        files.append(File.generated(config, path, content=text))

    for page, path in PAGES.items():
        add(path, (ROOT / page).read_text(encoding="utf-8"))
    for module in API:
        add(f"api/{module}.md", f"# {module}\n\n::: {module}\n")
    written = [f"docs/{file.src_uri}" for file in files.documentation_pages() if in_docs(file.src_uri)]
    sources = linked_sources([*PAGES, *written])
    for path in sorted(sources):
        add(site_path(path), source_page(path, sources))
    return files


def in_docs(path: str) -> bool:
    """Whether a page of the site is a file of docs/."""
    return (ROOT / "docs" / path).is_file()


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrites the links of a page of the repository."""
    path = page.file.src_uri
    origin = (
        f"docs/{path}"
        if in_docs(path)
        else next((file for file, site in PAGES.items() if site == path), None)
    )
    return markdown if origin is None else rewrite(markdown, lambda link: site_link(origin, link))


class Links(HTMLParser):
    """What an HTML page links to, what it loads, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes one element."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        if "src" in values:
            self.loads.add(values["src"])
        if tag == "link" and values.get("rel") in {"stylesheet", "icon", "preload", "preconnect"}:
            self.loads.add(values["href"])


def broken(site: Path) -> Iterator[str]:
    """A line for everything in a built site that leads nowhere or is loaded from elsewhere."""
    pages = {}
    for path in site.rglob("*.html"):
        pages[path] = Links()
        pages[path].feed(path.read_text(encoding="utf-8"))
    for path, page in pages.items():
        if path.name == "404.html":  # its links start at the root of wherever the site will lie
            continue
        name = path.relative_to(site)
        yield from (f"{name} loads {link}" for link in page.loads if urlsplit(link).netloc)
        for link in page.links | page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                yield f"{name} links to {link}, which is not there"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{name} links to {link}, an anchor that is not there"


def on_post_build(config: MkDocsConfig) -> None:
    """Follows every link of the built site."""
    for line in broken(Path(config.site_dir).resolve()):
        log.warning(line)
