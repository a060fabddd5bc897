"""Small data folders with collections of questions, in their owners' formats."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rranker.data import Question, collection_questions

Contents = list[tuple[str, set[str], set[str]]]


class QuestionFiles:
    """Files below `questions/` of a data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        """A file of this text, packed where it is called .gz."""
        data = text.encode()
        self._put(name, gzip.compress(data) if name.endswith(".gz") else data)

    def archive(self, name: str, files: Mapping[str, str]) -> None:
        """A packed tar archive of these files."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for member, text in files.items():
                info = tarfile.TarInfo(member)
                info.size = len(text.encode())
                archive.addfile(info, io.BytesIO(text.encode()))
        self._put(name, packed.getvalue())

    def read(self, name: str) -> Contents:
        """(question, good texts, bad texts) of what the collection's reader makes of the files."""
        return contents(collection_questions(name, self.folder))

    def _put(self, name: str, data: bytes) -> None:
        path = self.folder / "questions" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def contents(questions: Sequence[Question]) -> Contents:
    return [(question.text, set(question.good), set(question.bad)) for question in questions]


def table(records: Sequence[Mapping[str, Any]], delimiter: str = ",") -> str:
    """Rows under their header, as csv writes them."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(records[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


def json_lines(records: Sequence[Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)
