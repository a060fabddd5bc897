"""Lines of a TREC run, one query at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rranker.falling import strictly_falling


def trec_lines(query: str, documents: Sequence[str], scores: Sequence[float], tag: str) -> Iterator[str]:
    """`query Q0 document rank score tag` of each, best first.

    Scores fall strictly, as 32-bit floats too: equal ones, which trec_eval would sort by id, follow each other closely.
    Raises what `check_names` raises.
    """
    check_names(query, documents, tag)
    for rank, (name, score) in enumerate(zip(documents, strictly_falling(scores), strict=True), start=1):
        yield f"{query} Q0 {name} {rank} {score:.9g} {tag}\n"


def check_names(query: str, documents: Iterable[str], tag: str) -> None:
    """Raises ValueError for ids, or a tag, that cannot stand in a TREC run."""
    for what, text in [("query id", query), ("tag", tag), *(("document id", name) for name in documents)]:
        if text.split() != [text] or not _is_unicode(text):
            raise ValueError(
                f"the {what} {text!r} cannot stand in a TREC run: it is empty, has blanks or is not valid Unicode"
            )


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
