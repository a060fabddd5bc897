"""What a caller may hand in, checked and made uniform before any work starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .prompts import TEMPLATES, Query, Template
from .types import Candidate

CandidateLike = str | Mapping[str, Any] | Candidate
QueryLike = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Request:
    """One query, ready to rank."""

    query: Query
    candidates: tuple[Candidate, ...]
    template: Template
    instruction: str | None
    top_k: int | None


def make_request(
    query: QueryLike,
    candidates: Iterable[CandidateLike],
    *,
    task: str | None = None,
    instruction: str | None = None,
    top_k: int | None = None,
) -> Request:
    """Checks everything. Raises TypeError for wrong types and ValueError for wrong values, saying what to pass."""
    checked = as_query(query)
    if task is None:
        task = "generic" if isinstance(checked, str) else "recommendation"
    if not isinstance(task, str) or task not in TEMPLATES:
        raise ValueError(f"unknown task {task!r}: use one of {', '.join(TEMPLATES)}, or None")
    if instruction is not None and not isinstance(instruction, str):
        raise TypeError(f"instruction must be a string, not {type(instruction).__name__}")
    if top_k is not None:
        if isinstance(top_k, bool) or not isinstance(top_k, int):
            raise TypeError(f"top_k must be a whole number or None, not {type(top_k).__name__}")
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {top_k}")
    return Request(checked, as_candidates(candidates), TEMPLATES[task], instruction, top_k)


def as_query(query: QueryLike) -> Query:
    """A question as it is; a history as a list of its titles."""
    if isinstance(query, str):
        return query
    if isinstance(query, (bytes, Mapping)) or not isinstance(query, Iterable):
        raise TypeError(
            f"query must be a string, or a history as a list of strings, not {type(query).__name__}"
        )
    history = list(query)
    for place, title in enumerate(history):
        if not isinstance(title, str):
            raise TypeError(f"query[{place}] must be a string (a title), not {type(title).__name__}")
    return history


def as_candidates(candidates: Iterable[CandidateLike]) -> tuple[Candidate, ...]:
    """Candidates of any accepted form as `Candidate`s, the input left as it was."""
    if isinstance(candidates, (str, bytes, Mapping)) or not isinstance(candidates, Iterable):
        raise TypeError(
            f"candidates must be a list of strings, dicts or Candidates, not {type(candidates).__name__}"
        )
    return tuple(_as_candidate(place, item) for place, item in enumerate(candidates))


def _as_candidate(place: int, item: CandidateLike) -> Candidate:
    if isinstance(item, str):
        return Candidate(item)
    if isinstance(item, Candidate):
        if not isinstance(item.metadata, Mapping):
            raise TypeError(
                f"the metadata of candidates[{place}] must be a dict, not {type(item.metadata).__name__}"
            )
        text, key, metadata = item.text, item.id, dict(item.metadata)
    elif isinstance(item, Mapping):
        if "text" not in item:
            raise ValueError(
                f"candidates[{place}] has no 'text'; it has {', '.join(map(repr, item)) or 'nothing'}"
            )
        metadata = {k: v for k, v in item.items() if k not in ("text", "id")}
        text, key = item["text"], item.get("id")
    else:
        raise TypeError(
            f"candidates[{place}] must be a string, a dict with 'text', or a Candidate, not {type(item).__name__}"
        )
    if not isinstance(text, str):
        raise TypeError(f"the text of candidates[{place}] must be a string, not {type(text).__name__}")
    if key is not None and (isinstance(key, bool) or not isinstance(key, (str, int))):
        raise TypeError(
            f"the id of candidates[{place}] must be a string or a number, not {type(key).__name__}"
        )
    return Candidate(text, key, metadata)


def batch_requests(
    queries: Iterable[Any], *, task: str | None, instruction: str | None, top_k: int | None
) -> list[Request]:
    """One request per item: a `(query, candidates)` pair, or a dict with these and any of task, instruction, top_k.

    Raises what `make_request` raises, naming the item.
    """
    if isinstance(queries, (str, bytes, Mapping)) or not isinstance(queries, Iterable):
        raise TypeError("queries must be a list of (query, candidates) pairs or dicts with these keys")
    defaults = {"task": task, "instruction": instruction, "top_k": top_k}
    requests = []
    for place, item in enumerate(queries):
        try:
            requests.append(_batch_item(item, defaults))
        except (TypeError, ValueError) as error:
            raise type(error)(f"queries[{place}]: {error}") from error
    return requests


def _batch_item(item: Any, defaults: dict[str, Any]) -> Request:
    if isinstance(item, Mapping):
        unknown = set(item) - {"query", "candidates", *defaults}
        missing = {"query", "candidates"} - set(item)
        if unknown or missing:
            wrong = [
                *(f"unknown key {k!r}" for k in sorted(map(str, unknown))),
                *(f"no {k!r}" for k in sorted(missing)),
            ]
            raise ValueError(f"{'; '.join(wrong)}: use query, candidates, task, instruction, top_k")
        rest = {**defaults, **{k: v for k, v in item.items() if k in defaults}}
        return make_request(item["query"], item["candidates"], **rest)
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return make_request(item[0], item[1], **defaults)
    raise TypeError(f"must be a (query, candidates) pair or a dict, not {type(item).__name__}")
