"""Prints what CHANGELOG.md says of one version: `python .ci/release_notes.py 1.2.3`. Fails where it says nothing."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def notes(changelog: str, version: str) -> str:
    """The section of a version, without its heading. Raises SystemExit where there is none, or it is empty."""
    found = re.search(
        rf"^## {re.escape(version)}(?=\s)[^\n]*\n(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE
    )
    if found is None or not found[1].strip():
        raise SystemExit(f"CHANGELOG.md says nothing of {version}: rename its section Unreleased")
    return found[1].strip()


if __name__ == "__main__":
    print(notes((Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8"), sys.argv[1]))
