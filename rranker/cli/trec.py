"""Lines of a TREC run, one query at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def trec_lines(query: str, documents: Sequence[str], scores: Sequence[float], tag: str) -> Iterator[str]:
    """`query Q0 document rank score tag` of each, best first.

    Scores fall strictly, as 32-bit floats too: equal ones, which trec_eval would sort by id, follow each other closely.
    Raises ValueError for ids that cannot stand in such a file.
    """
    for what, text in [("query id", query), ("tag", tag), *(("document id", name) for name in documents)]:
        if not text or text.split() != [text]:
            raise ValueError(f"the {what} {text!r} cannot stand in a TREC run: empty, or with blanks")
    last = np.float32(np.inf)
    for rank, (name, score) in enumerate(zip(documents, scores, strict=True), start=1):
        last = min(np.float32(score), np.nextafter(last, np.float32(-np.inf)))
        yield f"{query} Q0 {name} {rank} {float(last):.9g} {tag}\n"
