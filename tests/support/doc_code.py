"""Code in pages of the documentation, and what it prints: read, run, compared, and written anew.

`python -m tests.support.doc_code docs/search.md …` puts what the code prints now into these pages, for when the bundled
model has changed. Blocks of Python of one page share their names; the block `text` behind one is what it prints.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.DOTALL | re.MULTILINE
)
# Scores may differ in their last digits by the processor, and seconds by the day.
UNSTEADY = re.compile(r"\d\.\d+|seconds=.*")


def printed(page: Path) -> list[tuple[str | None, str]]:
    """What each block of Python is shown to print (None: nothing is shown), and what it prints when it runs."""
    names: dict[str, Any] = {}
    outputs = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(compile(block["code"], str(page), "exec"), names)
        outputs.append((block["shown"], said.getvalue()))
    return outputs


def steady(text: str) -> list[str]:
    """The lines of an output without what may differ from run to run."""
    return [UNSTEADY.sub("", line) for line in text.splitlines()]


def rewrite(page: Path) -> None:
    """Puts what the code prints now into a page."""
    said = iter(printed(page))

    def block(match: re.Match[str]) -> str:
        _, now = next(said)
        head = f"```python\n{match['code']}```\n"
        return head if match["shown"] is None else f"{head}\n```text\n{now}```\n"

    text = BLOCK.sub(block, page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        rewrite(Path(name))
