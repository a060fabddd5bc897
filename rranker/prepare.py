"""A checked request to the engine's own terms, and the engine's verdicts back to a ranking of the caller's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .engine.requests import EngineRequest
from .methods import DRanker, IRanker
from .ordering import canonical_order, distinct
from .prompts.assemble import Dialect, Limits, assemble
from .prompts.identifiers import Identifiers
from .prompts.truncation import Truncate
from .request import Request
from .result import cut_repairs, encoding_repairs
from .types import Repair

MethodName = Literal["iranker", "dranker"]
METHODS: tuple[MethodName, ...] = ("iranker", "dranker")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a Ranker lays out its prompts."""

    dialect: Dialect
    identifiers: Identifiers
    limits: Limits
    relayout: Literal["given", "best_first"]
    truncate: Truncate
    seed: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request, laid out.

    `groups[place]`: the input indices of the candidates at that place of the layout. Candidates with the same text are
    one to the model, and share a place. `engine_request` is None when there is nothing to decide.
    """

    request: Request
    groups: tuple[tuple[int, ...], ...]
    method: IRanker | DRanker | None
    engine_request: EngineRequest | None
    repairs: tuple[Repair, ...]


def prepare(request: Request, method_name: MethodName, settings: Settings) -> Prepared:
    """Lays a request out. Raises ValueError when its texts do not fit; see `prompts.assemble`."""
    groups = distinct([candidate.text for candidate in request.candidates])
    texts = [request.candidates[group[0]].text for group in groups]
    block = settings.limits.attention == "block"
    if block:
        layout = canonical_order(texts, settings.seed)
        groups, texts = [groups[i] for i in layout], [texts[i] for i in layout]
    method = _method(method_name, len(texts), request.top_k, block, settings.relayout) if texts else None
    if method is None or not method.remaining:
        return Prepared(request, tuple(groups), method, None, ())
    segments, cuts = assemble(
        settings.dialect,
        settings.identifiers,
        request.template,
        request.instruction,
        request.query,
        texts,
        [group[0] for group in groups],
        method.kind,
        settings.limits,
        settings.truncate,
    )
    repairs = (*encoding_repairs(request), *cut_repairs(cuts, groups))
    return Prepared(request, tuple(groups), method, EngineRequest(segments, method), repairs)


def _method(
    name: MethodName, n: int, top_k: int | None, block: bool, relayout: Literal["given", "best_first"]
) -> IRanker | DRanker:
    if name == "dranker":
        return DRanker(n)
    best_first = not block and relayout == "best_first"
    return IRanker(n, top_k=top_k, order="best_first" if best_first else "fixed", nested=not block)


def check_method(name: str) -> MethodName:
    """Returns `name` when it is a known method. Raises ValueError otherwise."""
    if name not in METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}, not {name!r}")
    return name


def named(error: Exception, place: int, request: Request) -> Exception:
    """The same error, saying which query of a batch it is about."""
    where = f"queries[{place}]" + (f" (id {request.query_id!r})" if request.query_id is not None else "")
    if isinstance(error, (ValueError, TypeError)) and len(error.args) == 1:
        said = type(error)(f"{where}: {error}")
        said.__cause__ = error
        return said
    error.add_note(f"raised while ranking {where}")
    return error
