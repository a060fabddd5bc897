"""Reranking in the dialects of Cohere, Jina, vLLM, text-embeddings-inference, SGLang and Infinity."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request

from ..types import RankedCandidate, Ranking
from .documents import joined, shortened, text_of, texts_of
from .errors import Refusal
from .schemas import AnyRerank, InfinityRerank, Rerank, SglangRerank, TeiRerank
from .service import Service

TEMPLATE = "passage"


def rerank_routes(service: Service) -> APIRouter:
    """`/v2/rerank`, `/v1/rerank`, `/rerank`, `/sglang/v1/rerank`, `/infinity/rerank`."""
    router = APIRouter()

    @router.post("/v2/rerank")
    async def rerank_v2(request: Request, body: Rerank) -> dict[str, Any]:
        """Cohere's v2; also Jina's and vLLM's."""
        return await _superset(service, request, body, "2", texts=False)

    @router.post("/v1/rerank")
    async def rerank_v1(request: Request, body: Rerank) -> dict[str, Any]:
        """Cohere's v1; also Jina's and vLLM's."""
        return await _superset(service, request, body, "1", texts=True)

    @router.post("/rerank")
    async def rerank(request: Request, body: AnyRerank) -> Any:
        """vLLM's; or, with `texts`, text-embeddings-inference's."""
        if isinstance(body, TeiRerank):
            request.state.tei = True
            return await _tei(service, request, body)
        return await _superset(service, request, body, "2", texts=True)

    @router.post("/sglang/v1/rerank")
    async def sglang(request: Request, body: SglangRerank) -> list[dict[str, Any]]:
        """SGLang's."""
        query = joined(body.query, "query")
        texts = [joined(document, f"documents[{place}]") for place, document in enumerate(body.documents)]
        ranking = await _ranked(service, request, query, texts, body.top_n, body.instruct)
        return [
            {
                "score": relevance(item),
                "document": texts[item.index] if body.return_documents else None,
                "index": item.index,
                "meta_info": {"id": request.state.request_id, "prompt_tokens": ranking.stats.tokens_encoded},
            }
            for item in _best(ranking, body.top_n)
        ]

    @router.post("/infinity/rerank")
    async def infinity(request: Request, body: InfinityRerank) -> dict[str, Any]:
        """Infinity's."""
        ranking = await _ranked(service, request, body.query, body.documents, body.top_n, None)
        return {
            "object": "rerank",
            "id": request.state.request_id,
            "model": service.name,
            "created": int(time.time()),
            "usage": usage([ranking]),
            "results": [
                {
                    "index": item.index,
                    "relevance_score": _log_odds(relevance(item)) if body.raw_scores else relevance(item),
                    "document": body.documents[item.index] if body.return_documents else None,
                }
                for item in _best(ranking, body.top_n)
            ],
        }

    return router


async def _superset(
    service: Service, request: Request, body: Rerank, version: str, *, texts: bool
) -> dict[str, Any]:
    """`texts`: whether results hold their documents where the request does not say."""
    wanted = texts if body.return_documents is None else body.return_documents
    query, given = text_of(body.query, "query"), texts_of(body)
    warnings = list[str]()

    def cut() -> list[str]:
        texts, said = shortened(body, query, given, service.ranker)
        warnings.extend(said)
        return texts

    ranking = await _ranked(service, request, query, given, body.top_n, body.instruction, cut)
    warnings += [repair.message for repair in ranking.repairs]
    results = list[dict[str, Any]]()
    for item in _best(ranking, body.top_n):
        document = {"document": {"text": given[item.index]}} if wanted else {}
        results.append({"index": item.index, "relevance_score": relevance(item), **document})
    stats = ranking.stats
    return {
        "id": request.state.request_id,
        "model": service.name,
        "results": results,
        "usage": usage([ranking]),
        "meta": {
            "api_version": {"version": version},
            "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": stats.tokens_encoded, "output_tokens": 0},
            "cached_tokens": stats.tokens_reused,
            "warnings": warnings,
        },
    }


async def _tei(service: Service, request: Request, body: TeiRerank) -> list[dict[str, Any]]:
    if not body.texts:
        raise Refusal(400, "`texts` cannot be empty")
    try:
        ranking = await _ranked(service, request, body.query, body.texts, None, None)
    except Refusal as refusal:
        if refusal.status != 400:  # that of an empty list, in this dialect
            raise
        raise Refusal(422, str(refusal)) from refusal
    cut = [repair.message for repair in ranking.repairs if repair.kind == "truncated"]
    if cut and body.truncate is False:
        raise Refusal(422, f"{cut[0]}; without `truncate` it would be ranked as cut")
    if cut and body.truncation_direction in ("left", "Left"):
        raise Refusal(
            422,
            f"{cut[0]}; and truncation_direction: this server does not cut at the left: shorten the text, or leave "
            "truncation_direction out",
        )
    return [
        {
            "index": item.index,
            "score": _log_odds(relevance(item)) if body.raw_scores else relevance(item),
            **({"text": item.text} if body.return_text else {}),
        }
        for item in ranking
    ]


async def _ranked(
    service: Service,
    request: Request,
    query: str,
    texts: Sequence[str],
    top_n: int | None,
    instruction: str | None,
    prepare: Callable[[], Sequence[str]] | None = None,
) -> Ranking:
    ranking = await service.rank(
        request, query, texts, prepare, template=TEMPLATE, top_k=top_n or None, instruction=instruction
    )
    request.state.facts = facts(ranking)
    return ranking


def relevance(item: RankedCandidate) -> float:
    """What dialects call relevance: the calibrated one, which holds across queries; where there is none, the score.

    Neither rises with rank.
    """
    return item.score if item.relevance is None else item.relevance


def usage(rankings: Sequence[Ranking]) -> dict[str, int]:
    """Tokens that were encoded, in OpenAI's words."""
    encoded = sum(ranking.stats.tokens_encoded for ranking in rankings)
    return {"prompt_tokens": encoded, "completion_tokens": 0, "total_tokens": encoded}


def facts(ranking: Ranking) -> dict[str, Any]:
    """What the log says of a ranking."""
    stats = ranking.stats
    return {
        "method": ranking.method,
        "candidates": len(ranking),
        "passes": stats.forward_passes,
        "tokens": stats.tokens_encoded,
        "repairs": len(ranking.repairs),
    }


def _best(ranking: Ranking, top_n: int | None) -> list[RankedCandidate]:
    return list(ranking) if not top_n else ranking.top(top_n)


def _log_odds(probability: float) -> float:
    """What a sigmoid makes `probability` of; kept finite."""
    kept = min(max(probability, 1e-7), 1 - 1e-7)
    return math.log(kept / (1 - kept))
