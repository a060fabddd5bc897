"""What a caller may hand in, checked and made uniform before any work starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack, get_args

from .candidates import CandidateLike as CandidateLike
from .candidates import as_candidates, take_id
from .choices import one_of
from .containers import is_table, members
from .ids import Id, as_id
from .json_values import is_missing
from .prompts import TEMPLATES, Query, Template
from .real import real_number
from .reasoning import Reasoning, reasoning_of
from .settings import Aggregate, LongText, RequestSettings
from .types import Candidate, as_threshold
from .whole import whole_number

QueryLike = str | Sequence[str]

QUERY_ID_NAMES = ("id", "qid", "query_id")
"""Keys under which a batch's item may bring the id of its query."""


@dataclass(frozen=True, slots=True)
class Request:
    """One query, ready to rank. The hash leaves out the query, which may be a list.

    `relevance`: True when it must be given, False when not, None where the ranking has read what it takes. `threshold`:
    the least relevance of those to keep. `window`: the most candidates that a question may show.
    `long_text`, `aggregate`: what becomes of texts that are too long, and of the scores of their parts.
    `stop_below`: the doubt below which a verdict decides all places that are left. `self_consistency`: how many
    layouts are averaged; `layout`: which of them this is. `reasoning`: how the model thinks, None where it does not.
    """

    query: Query = field(hash=False)
    candidates: tuple[Candidate, ...]
    template: Template
    instruction: str | None
    top_k: int | None
    query_id: Id | None = None
    relevance: bool | None = None
    threshold: float | None = None
    window: int | None = None
    long_text: LongText = "truncate"
    aggregate: Aggregate = "max"
    stop_below: float | None = None
    self_consistency: int | None = None
    layout: int = 0
    reasoning: Reasoning | None = None


def make_request(  # noqa: PLR0913 (settings of a call, by keyword)
    query: QueryLike,
    candidates: Iterable[CandidateLike],
    *,
    template: str | None = None,
    task: str | None = None,
    instruction: str | None = None,
    top_k: int | None = None,
    query_id: Id | None = None,
    relevance: bool | None = None,
    threshold: float | None = None,
    window: int | None = None,
    long_text: LongText | None = None,
    aggregate: Aggregate | None = None,
    stop_below: float | None = None,
    self_consistency: int | None = None,
    reasoning: bool | None = None,
    max_think_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
) -> Request:
    """Checks everything; `task` is another name for `template`. A threshold asks for relevance.

    Raises TypeError for wrong types and ValueError for wrong values, saying what to pass.
    """
    checked = as_query(query)
    if template is not None and task is not None:
        raise ValueError(
            f"template={template!r} and task={task!r} are two names for one setting: pass one of them"
        )
    wanted = task if template is None else template
    if wanted is None:
        wanted = "generic" if isinstance(checked, str) else "recommendation"
    if not isinstance(wanted, str) or wanted not in TEMPLATES:
        raise ValueError(f"unknown template {wanted!r}: use one of {', '.join(TEMPLATES)}, or None")
    if instruction is not None and not isinstance(instruction, str):
        raise TypeError(f"instruction must be a string, not {type(instruction).__name__}")
    key = None if query_id is None else as_id(query_id, "the id of the query")
    most = None if top_k is None else whole_number(top_k, "top_k", least=1)
    relevance, threshold = _as_relevance(relevance, threshold)
    shown = None if window is None else whole_number(window, "window", least=2)
    return Request(
        checked,
        as_candidates(candidates),
        TEMPLATES[wanted],
        instruction,
        most,
        key,
        relevance,
        threshold,
        shown,
        "truncate" if long_text is None else one_of(long_text, "long_text", get_args(LongText)),
        "max" if aggregate is None else one_of(aggregate, "aggregate", get_args(Aggregate)),
        None if stop_below is None else real_number(stop_below, "stop_below", above=0, most=0.5),
        None if self_consistency is None else whole_number(self_consistency, "self_consistency", least=2),
        reasoning=reasoning_of(reasoning, max_think_tokens, temperature, top_p),
    )


def _as_relevance(relevance: bool | None, threshold: float | None) -> tuple[bool | None, float | None]:
    if relevance is not None and not isinstance(relevance, bool):
        raise TypeError(f"relevance must be True, False or None, not {relevance!r}")
    if threshold is None:
        return relevance, None
    if relevance is False:
        raise ValueError("threshold cuts by relevance, and relevance=False leaves it out: pass one of them")
    return True, as_threshold(threshold)


def as_query(query: QueryLike) -> Query:
    """A question as it is; a history (anything with an order that holds strings) as a list of its titles."""
    if isinstance(query, str):
        return str.__str__(query)
    history = list(members(query, "query", "a string, or a history as a list of strings"))
    for place, title in enumerate(history):
        if not isinstance(title, str):
            raise TypeError(f"query[{place}] must be a string (a title), not {type(title).__name__}")
    return [str.__str__(title) for title in history]


def batch_requests(queries: Iterable[Any], **settings: Unpack[RequestSettings]) -> list[Request | Exception]:
    """One request per item: a `(query, candidates)` pair, or a dict (or row of a table) with these.

    A dict may also have `template` (or `task`), `instruction` and `top_k`, which go before the arguments where they are
    not None (in a row of a table: not missing), and the query's id under one of `QUERY_ID_NAMES`. An item that is wrong
    has the error that `make_request` raises in its place, which names it by its place and its id. Raises TypeError when
    `queries` holds no items at all.
    """
    rows = is_table(queries)
    items = members(queries, "queries", _EXPECTED, columns=["query", "candidates"])
    defaults = {name: settings.get(name) for name in _BY_ITEM}
    of_all: dict[str, Any] = {name: value for name, value in settings.items() if name not in _BY_ITEM}
    requests = list[Request | Exception]()
    for place, item in enumerate(items):
        name = f"queries[{place}]"
        try:
            key, arguments = _batch_item(item, defaults, rows)
            name += "" if key is None else f" (id {key!r})"
            requests.append(make_request(**arguments, query_id=key, **of_all))
        except Exception as error:  # of a generator of candidates, anything may come
            # Not `type(error)`: subclasses, such as UnicodeDecodeError, are not made from a message alone.
            ours = isinstance(error, TypeError | ValueError)
            said = str(error) if ours else f"{type(error).__name__}: {error}"
            wrong = (TypeError if isinstance(error, TypeError) else ValueError)(f"{name}: {said}")
            wrong.__cause__ = error
            requests.append(wrong)
    return requests


def first_wrong(requests: Sequence[Request | Exception]) -> Exception | None:
    """The first error among them, naming the others' places too; None when all are right."""
    wrong = [request for request in requests if isinstance(request, Exception)]
    if not wrong:
        return None
    error, *others = wrong
    if others:
        names = [str(other).partition(f": {other.__cause__}")[0] for other in others]
        error.args = (f"{error}; also wrong: {_some(names)}",)
    return error


_BY_ITEM = ("template", "task", "instruction", "top_k")
_EXPECTED = "a list of (query, candidates) pairs or dicts with these keys"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _said(given: dict[str, Any], is_row: bool) -> dict[str, Any]:
    """Without the settings that the item leaves open. pandas makes floats of whole numbers beside a missing one."""
    said = {
        name: value
        for name, value in given.items()
        if not (name in _BY_ITEM and (value is None or (is_row and is_missing(value))))
    }
    top_k = said.get("top_k")
    if is_row and isinstance(top_k, float) and top_k.is_integer():
        said["top_k"] = int(top_k)
    return said


def _batch_item(item: Any, defaults: dict[str, Any], is_row: bool) -> tuple[Id | None, dict[str, Any]]:
    """The query's id, and the arguments of `make_request`, of one item of a batch."""
    if isinstance(item, Mapping):
        given = dict(item)
        names = [name for name in QUERY_ID_NAMES if name in given]
        if len(names) > 1:
            raise ValueError(
                f"the query's id is given twice, as {' and '.join(map(repr, names))}: leave one out"
            )
        key = take_id(given, names, is_row)
        key = None if key is None else as_id(key, "the id of the query")
        given = _said(given, is_row)
        unknown = set(given) - {"query", "candidates", *defaults}
        missing = {"query", "candidates"} - set(given)
        if unknown or missing:
            wrong = [
                *(f"unknown key {k!r}" for k in sorted(map(str, unknown))),
                *(f"no {k!r}" for k in sorted(missing)),
            ]
            raise ValueError(f"{'; '.join(wrong)}: use query, candidates, template, instruction, top_k, id")
        if "template" in given or "task" in given:
            defaults = {**defaults, "template": None, "task": None}
        return key, {**defaults, **given}
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return None, {"query": item[0], "candidates": item[1], **defaults}
    raise TypeError(f"must be a (query, candidates) pair or a dict, not {type(item).__name__}")
