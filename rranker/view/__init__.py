"""A ranking as a page: how the candidates left, round by round. One file, nothing from elsewhere, text only as text."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_HEIGHT = 520  # pixels of a notebook's cell


@cache
def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def ranking_page(ranking: Mapping[str, Any], query: str | list[str] | None = None) -> str:
    """A whole HTML document that shows a ranking (`Ranking.to_dict()`). It loads nothing and sends nothing."""
    return _document({"query": query, "ranking": ranking}, form="", connect="'none'")


def ranking_frame(ranking: Mapping[str, Any]) -> str:
    """`ranking_page` in a frame of its own, for notebooks: neither can reach the other."""
    page = html.escape(ranking_page(ranking), quote=True)
    return (
        f'<iframe srcdoc="{page}" sandbox="allow-scripts allow-downloads" title="Ranking" loading="lazy" '
        f'style="width:100%;height:{_HEIGHT}px;border:0"></iframe>'
    )


@cache
def server_page() -> str:
    """The page of a server: a form, and the same view, which follows the rounds as they come."""
    return _document({}, form=_part("form.html"), connect="'self'")


def _document(data: Mapping[str, Any], *, form: str, connect: str) -> str:
    script, style = _part("view.js"), _part("view.css")
    policy = (
        f"default-src 'none'; script-src 'sha256-{_hash(script)}'; style-src 'sha256-{_hash(style)}'; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )
    # No "<" means that no text can end the element it stands in.
    held = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    parts = {"POLICY": policy, "STYLE": style, "FORM": form, "SCRIPT": script, "DATA": held}
    page, rest = "", _part("page.html")
    while True:  # one pass: what was filled in is not looked at again
        before, mark, behind = rest.partition("{{")
        page += before
        if not mark:
            return page
        name, _, rest = behind.partition("}}")
        page += parts[name]


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
