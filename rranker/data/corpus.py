"""Plain paragraphs of textbooks and Wikipedia, grouped by the document they stand in."""

from __future__ import annotations

from pathlib import Path

from rranker.files import text_lines

from .example import data_file, data_folder
from .records import json_file


def textbooks(folder: str | Path | None = None, min_words: int = 40) -> list[list[str]]:
    """One list of paragraphs a book, in reading order; prefaces name OpenStax and are skipped."""
    data_file("corpus/openstax_SOURCE.json", folder)
    books = []
    for path in sorted((data_folder(folder) / "corpus").glob("openstax_*.txt.gz")):
        lines = [line.strip() for _, line in text_lines(path)]
        books.append([line for line in lines if line.count(" ") >= min_words and "OpenStax" not in line])
    return books


def wikipedia(folder: str | Path | None = None) -> list[tuple[str, str]]:
    """(title, text) of short encyclopaedia paragraphs."""
    path = data_file("corpus/2wikimultihopqa_corpus.json", folder)
    return [(row["title"], row["text"]) for row in json_file(path)]
