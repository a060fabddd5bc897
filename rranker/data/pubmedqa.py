"""Medical questions and the sections of abstracts: never trained on, the test of a new kind of text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .example import data_file
from .lexical import BM25
from .questions import Question
from .records import json_file


def pubmedqa(folder: str | Path | None = None, near: int = 20) -> list[Question]:
    """A question's good texts are its own abstract's sections; near misses are other abstracts', by BM25."""
    entries = json_file(data_file("pubmedqa/ori_pqal.json", folder))
    sections = [(name, text) for name, entry in entries.items() for text in entry["CONTEXTS"]]
    index = BM25([text for _, text in sections])
    questions = []
    for name, entry in entries.items():
        good = tuple(entry["CONTEXTS"])
        order = np.argsort(-index.scores(entry["QUESTION"]), kind="stable")
        bad = [sections[i][1] for i in order[: near + len(good)] if sections[i][0] != name]
        questions.append(Question(f"pubmedqa-{name}", entry["QUESTION"], good, tuple(bad[:near])))
    return questions
