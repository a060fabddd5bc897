"""FairytaleQA: educators' questions on stories; the sections a question is about, among the story's others."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..example import data_file
from ..questions import Question
from ..records import csv_records
from .archives import tar_files
from .mining import Asked, mined
from .texts import one_line


def fairytaleqa(folder: str | Path | None = None) -> list[Question]:
    """The train and val parts."""
    path = data_file("questions/fairytaleqa/fairytaleqa_train_val.tar.gz", folder)
    stories: dict[str, dict[str, str]] = {}
    for name, data in tar_files(path, "-story.csv").items():
        sections = csv_records(
            f"{path}:{name}", _lines(data), lambda row: (row["section"].strip(), one_line(row["text"]))
        )
        stories[Path(name).name.removesuffix("-story.csv")] = dict(sections)
    questions: list[Asked] = []
    for name, data in tar_files(path, "-questions.csv").items():
        story = Path(name).name.removesuffix("-questions.csv")
        questions.extend(_questions(f"{path}:{name}", data, story, stories))
    return mined("fairytaleqa", questions, {name: sections.values() for name, sections in stories.items()})


def _questions(
    path: str, data: bytes, story: str, stories: Mapping[str, Mapping[str, str]]
) -> Iterator[Asked]:
    def asked(row: Mapping[str, str]) -> Asked:
        good = tuple(stories[story][number.strip()] for number in row["cor_section"].split(","))
        answers = (row.get(f"answer{number}") for number in range(1, 7))
        return Asked(one_line(row["question"]), good, story, tuple(one_line(a) for a in answers if a))

    return csv_records(path, _lines(data), asked)


def _lines(data: bytes) -> io.StringIO:
    return io.StringIO(data.decode("utf-8-sig"), newline="")
