"""Plain paragraphs of textbooks and Wikipedia, grouped by the document they stand in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from .case import data_file, data_folder


def textbooks(folder: str | Path | None = None, min_words: int = 40) -> list[list[str]]:
    """One list of paragraphs a book, in reading order; prefaces name OpenStax and are skipped."""
    data_file("corpus/openstax_SOURCE.json", folder)
    books = []
    for path in sorted((data_folder(folder) / "corpus").glob("openstax_*.txt.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines = [line.strip() for line in file]
        books.append([line for line in lines if line.count(" ") >= min_words and "OpenStax" not in line])
    return books


def wikipedia(folder: str | Path | None = None) -> list[tuple[str, str]]:
    """(title, text) of short encyclopaedia paragraphs."""
    path = data_file("corpus/2wikimultihopqa_corpus.json", folder)
    return [(row["title"], row["text"]) for row in json.loads(path.read_text(encoding="utf-8"))]
