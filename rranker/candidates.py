"""Candidates in any accepted form, checked and made uniform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .containers import is_table, members
from .ids import as_ids
from .json_values import is_missing
from .types import Candidate

CandidateLike = str | Mapping[str, Any] | Candidate

ID_NAMES = ("id", "_id", "docno", "doc_id", "docid", "document_id", "corpus_id", "pid")
"""Names under which a candidate's id is found; where there are several, the first of these that has a value."""

_EXPECTED = "a list of strings, dicts or Candidates, or a table with a 'text' column"


def as_candidates(candidates: Iterable[CandidateLike]) -> tuple[Candidate, ...]:
    """Candidates of any accepted form as `Candidate`s, the input left as it was.

    Accepted is whatever has an order: lists, tuples, generators, arrays and columns of strings, dicts and
    `Candidate`s; and tables (pandas, polars, Arrow). Of a dict or a row, `text` is the text, the first of
    `ID_NAMES` that has a value the id, and the rest metadata. Ids follow `rranker.ids`; a table may lack some.

    Raises TypeError for wrong types and unordered containers, ValueError for wrong values, naming the candidate.
    """
    rows = is_table(candidates)
    fields = [
        _fields(place, item, rows)
        for place, item in enumerate(members(candidates, "candidates", _EXPECTED, columns=["text"]))
    ]
    ids = as_ids((key for _, key, _ in fields), "the id of candidates", none=True)
    return tuple(Candidate(text, key, rest) for (text, _, rest), key in zip(fields, ids, strict=True))


def take_id(record: dict[Any, Any], names: Iterable[str], is_row: bool) -> Any:
    """Takes the id out of a record: the value of the first of `names` that has one, or None.

    `is_row`: the record is a table's, where NaN and the like mean that there is none.
    """
    for name in names:
        value = record.pop(name, None)
        if value is not None and not (is_row and is_missing(value)):
            return value
    return None


def _fields(place: int, item: Any, is_row: bool) -> tuple[str, Any, dict[Any, Any]]:
    """Text, unchecked id and metadata of one candidate."""
    if isinstance(item, str):
        return str.__str__(item), None, {}
    if isinstance(item, Candidate):
        if not isinstance(item.metadata, Mapping):
            raise TypeError(
                f"the metadata of candidates[{place}] must be a dict, not {type(item.metadata).__name__}"
            )
        text, key, metadata = item.text, item.id, dict(item.metadata)
    elif isinstance(item, Mapping):
        metadata = dict(item)
        if "text" not in metadata:
            raise ValueError(
                f"candidates[{place}] has no 'text'; it has {', '.join(map(repr, metadata)) or 'nothing'}"
            )
        text = metadata.pop("text")
        key = take_id(metadata, ID_NAMES, is_row)
    else:
        missing = " (a missing value)" if is_missing(item) else ""
        raise TypeError(
            f"candidates[{place}] must be a string, a dict with 'text', or a Candidate, not "
            f"{type(item).__name__}{missing}"
        )
    if not isinstance(text, str):
        missing = " (a missing value)" if is_missing(text) else ""
        raise TypeError(
            f"the text of candidates[{place}] must be a string, not {type(text).__name__}{missing}"
        )
    return str.__str__(text), key, metadata
