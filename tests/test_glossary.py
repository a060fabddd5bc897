"""The glossary's links lead to files that exist."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_every_link_of_the_glossary_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (DOCS / "glossary.md").read_text(encoding="utf-8"))
    assert len(links) > 20
    assert [link for link in links if not (DOCS / link).exists()] == []
