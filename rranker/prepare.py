"""A checked request to the engine's own terms, and the engine's verdicts back to a ranking of the caller's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .engine.requests import EngineRequest
from .methods import Greedy, method_class
from .ordering import canonical_order, distinct
from .prompts.assemble import Dialect, Limits, assemble
from .prompts.identifiers import Identifiers
from .prompts.truncation import Truncate
from .repairs import cut_repairs, encoding_repairs
from .request import Request
from .types import Repair

Groups = tuple[tuple[int, ...], ...]
"""The input indices at each place of the prompt: candidates with the same text are one to the model, and share one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a Ranker lays out its prompts."""

    dialect: Dialect
    identifiers: Identifiers
    limits: Limits
    order: Literal["given", "best_first"]
    truncate: Truncate
    seed: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request, laid out.

    `method` is None when there are no candidates, `engine_request` when there is nothing to decide.
    """

    request: Request
    method_name: str
    groups: Groups
    method: Greedy | None
    engine_request: EngineRequest | None
    repairs: tuple[Repair, ...]


def prepare(request: Request, method_name: str, settings: Settings) -> Prepared:
    """Lays a request out. Raises ValueError for an unknown method, or texts that do not fit (`prompts.assemble`)."""
    rules = method_class(method_name)
    groups = distinct([candidate.text for candidate in request.candidates])
    texts = [request.candidates[group[0]].text for group in groups]
    block = settings.limits.attention == "block"
    if block:
        layout = canonical_order(texts, settings.seed)
        groups, texts = [groups[i] for i in layout], [texts[i] for i in layout]
    method = None
    if texts:
        best_first = not block and settings.order == "best_first"
        method = Greedy(
            rules(len(texts), top_k=request.top_k),
            relayout="best_first" if best_first else "keep",
            nested=not block,
        )
    if method is None or not method.remaining:
        return Prepared(request, method_name, tuple(groups), method, None, ())
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
    return Prepared(request, method_name, tuple(groups), method, EngineRequest(segments, method), repairs)


def named(error: Exception, place: int, request: Request) -> Exception:
    """The same error, saying which query of a batch it is about."""
    where = f"queries[{place}]" + (f" (id {request.query_id!r})" if request.query_id is not None else "")
    if isinstance(error, (ValueError, TypeError)) and len(error.args) == 1:
        said = type(error)(f"{where}: {error}")
        said.__cause__ = error
        return said
    error.add_note(f"raised while ranking {where}")
    return error
