"""Corpora and query files of BEIR and MS MARCO: {id: text}."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable
from typing import Any

from rranker import candidates
from rranker.data.records import json_value_of
from rranker.files import PathLike, fault, text_lines, without_nul
from rranker.ids import as_id, id_text

ID_NAMES = tuple(dict.fromkeys(("_id", *candidates.ID_NAMES, "qid", "query_id")))  # BEIR's own goes first
TEXT_NAMES = ("text", "contents", "content", "passage", "query", "question")


def read_texts(
    path: PathLike,
    *,
    only: Container[str] | None = None,
    on_fault: Callable[[ValueError], None] | None = None,
) -> dict[str, str]:
    """{id: text} of a corpus or a file of queries, plain or gzip.

    Either JSON lines (BEIR's corpus.jsonl and queries.jsonl: a title goes before the text), or two columns with a tab
    between them (MS MARCO's collection.tsv and queries.tsv).

    `only` keeps those ids, so that a large corpus need not fit into memory. `on_fault` is told of each line that cannot
    be read, which is then left out, in place of the error.

    Ids are text, as in what `rranker.metrics` reads. Raises ValueError naming file and line for what cannot be read and
    for an id that appears twice.
    """
    texts: dict[str, str] = {}
    for number, line in text_lines(path):
        if not line.strip():
            continue
        try:
            without_nul(line)
            name, text = _json_row(line) if line.lstrip().startswith("{") else _columns(line)
            if name in texts:
                raise ValueError(f"the id {name!r} appears twice")
        except (ValueError, TypeError) as error:
            if on_fault is None:
                raise fault(path, number, error) from error
            on_fault(fault(path, number, error))
            continue
        if only is None or name in only:
            texts[name] = text
    if not texts and only is None:
        raise ValueError(f"{os.fsdecode(path)} holds no texts")
    return texts


def _json_row(line: str) -> tuple[str, str]:
    row: dict[str, Any] = json_value_of(line)
    name = id_text(as_id(_field(row, ID_NAMES), "the id"))
    text, title = _field(row, TEXT_NAMES), row.get("title") or ""
    if not isinstance(text, str) or not isinstance(title, str):
        raise TypeError("text and title must be strings")
    return name, f"{title} {text}".strip() if title else text


def _field(row: dict[str, Any], names: Iterable[str]) -> Any:
    for name in names:
        if name in row:
            return row[name]
    raise ValueError(f"no {' or '.join(names)}; it has {', '.join(row) or 'nothing'}")


def _columns(line: str) -> tuple[str, str]:
    fields = line.split("\t")
    if len(fields) != 2:
        raise ValueError(f"a row has 2 columns (id and text, a tab between them), this one has {len(fields)}")
    return fields[0].strip(), fields[1]
