"""Bodies of requests, by dialect. Fields that a dialect has beyond these are taken and left alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Document = str | dict[str, Any]
"""A text, or an object that holds it under `text`, or as vLLM has it, under `content`: a string or parts."""
Documents = Document | list[Document]
Count = Annotated[int, Field(ge=0)]
Parts = list[dict[str, Any]]
"""A text in parts, as chat messages have it: `{"type": "text", "text": …}`."""


class Body(BaseModel):
    """What all have in common: numbers are numbers, and text is text."""

    model_config = ConfigDict(strict=True, extra="ignore", protected_namespaces=())


class Rerank(Body):
    """Cohere's v2 and v1, Jina's and vLLM's rerank, in one."""

    query: Document
    documents: Annotated[
        Document | Annotated[list[Document], Field(min_length=1)], Field(description="or one document")
    ]
    model: str | None = None
    top_n: Annotated[Count | None, Field(description="0 or absent: all")] = None
    return_documents: Annotated[
        bool | None,
        Field(description="left out: as Cohere's v2 does, not; elsewhere, as vLLM and Jina do, yes"),
    ] = None
    rank_fields: Annotated[
        list[str] | None, Field(description="of documents that are objects (Cohere v1)")
    ] = None
    max_tokens_per_doc: Annotated[Count | None, Field(description="0 or absent: all (vLLM)")] = None
    truncate_prompt_tokens: Annotated[
        int | None, Field(ge=-1, description="query and document together; -1: what the model takes (vLLM)")
    ] = None
    instruction: str | None = None


class TeiRerank(Body):
    """text-embeddings-inference's rerank: its `texts` give it away."""

    query: str
    texts: list[str]
    raw_scores: bool = False
    return_text: bool = False
    truncate: Annotated[bool | None, Field(description="false: texts that do not fit are refused")] = None
    truncation_direction: Annotated[
        Literal["left", "right", "Left", "Right"] | None,
        Field(description="left: texts that do not fit are refused, for they are not cut there"),
    ] = None


class SglangRerank(Body):
    """SGLang's rerank."""

    query: str | Parts
    documents: Annotated[list[str | Parts], Field(min_length=1)]
    model: str | None = None
    instruct: str | None = None
    top_n: Count | None = None
    return_documents: bool = True


class InfinityRerank(Body):
    """Infinity's rerank."""

    query: str
    documents: Annotated[list[str], Field(min_length=1)]
    model: str | None = None
    return_documents: bool = False
    raw_scores: bool = False
    top_n: Count | None = None


class Score(Body):
    """vLLM's score: one text against each of several, or pairs; under any of its pairs of names."""

    model: str | None = None
    text_1: Documents | None = None
    text_2: Documents | None = None
    queries: Documents | None = None
    documents: Documents | None = None
    items: Documents | None = None
    data_1: Documents | None = None
    data_2: Documents | None = None


class Rank(Body):
    """A query (a list is a history), candidates, and the settings of `rranker.settings.RankSettings`, no others."""

    model_config = ConfigDict(extra="forbid")

    query: str | list[str]
    candidates: Annotated[list[Document], Field(min_length=1)]
    template: str | None = None
    instruction: str | None = None
    method: str | None = None
    top_k: Annotated[int | None, Field(ge=1)] = None
    relevance: bool | None = None
    threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    window: Annotated[int | None, Field(ge=2)] = None
    long_text: Literal["truncate", "chunk"] | None = None
    aggregate: Literal["max", "mean"] | None = None
    stop_below: Annotated[float | None, Field(gt=0, le=0.5)] = None
    self_consistency: Annotated[
        int | None, Field(ge=2, description="each layout counts against the candidates of a request")
    ] = None
    reasoning: bool | None = None
    max_think_tokens: Annotated[int | None, Field(ge=0)] = None
    temperature: Annotated[float | None, Field(ge=0)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    stream: Annotated[bool, Field(description="rounds as server-sent events, as they are decided")] = False


def _dialect_of(body: Any) -> str:
    texts = "texts" in body if isinstance(body, dict) else isinstance(body, TeiRerank)
    return "tei" if texts else "cohere"


AnyRerank = Annotated[
    Annotated[TeiRerank, Tag("tei")] | Annotated[Rerank, Tag("cohere")], Discriminator(_dialect_of)
]
"""The body of `/rerank`, which two dialects share."""
