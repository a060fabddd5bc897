"""What a dialect calls a document, as text; shortened where the client asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..prompts.encoding import encodable
from .errors import Refusal
from .schemas import Document, Documents, Parts, Rerank

if TYPE_CHECKING:
    from ..ranker import Ranker


def texts_of(body: Rerank) -> list[str]:
    """The text of each document. Raises Refusal, naming the document that has none."""
    return side_of(body.documents, "documents", body.rank_fields)


def side_of(given: Documents, name: str, fields: Sequence[str] | None = None) -> list[str]:
    """The texts of documents, or of one, by the `name` of their field. Raises Refusal, naming that without text."""
    documents = given if isinstance(given, list) else [given]
    return [text_of(document, f"{name}[{place}]", fields) for place, document in enumerate(documents)]


def joined(content: str | Parts, name: str) -> str:
    """A text that may come in parts. Raises Refusal, by `name`, where a part is none of text."""
    return content if isinstance(content, str) else " ".join(_part(part, name) for part in content)


def text_of(document: Document, name: str, fields: Sequence[str] | None = None) -> str:
    """The text of a query or a document; of `fields`, those it has. Raises Refusal, by `name`, where there is none."""
    if isinstance(document, str):
        return document
    if fields:
        found = [f"{name}: {document[name]}" for name in fields if name in document]
        if found:
            return "\n".join(found)
    content = document.get("text", document.get("content"))
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # vLLM's parts
        return joined(content, f"{name}.content")
    raise Refusal(400, f"{name} must be a string, or an object with a string under text or content")


def _part(part: Any, name: str) -> str:
    text = part.get("text") if isinstance(part, dict) else None
    if not isinstance(text, str):
        raise Refusal(400, f"{name} must hold parts of text: this server ranks no images")
    return text


def shortened(body: Rerank, query: str, texts: list[str], ranker: Ranker) -> tuple[list[str], list[str]]:
    """The texts, cut to as many tokens as the client wants of each, and a warning for each that was cut.

    `max_tokens_per_doc` counts a document's tokens, `truncate_prompt_tokens` those of the query as well; special tokens
    are left out of account. Raises Refusal where there is no tokenizer to count with.
    """
    most = [body.max_tokens_per_doc] if body.max_tokens_per_doc else []
    both = body.truncate_prompt_tokens
    if not most and (both is None or both < 0):
        return texts, []
    try:
        tokenizer = ranker.model.tokenizer
    except AttributeError as error:  # a scorer of the caller's own
        raise Refusal(
            400,
            "max_tokens_per_doc and truncate_prompt_tokens need a model with a tokenizer, and this server ranks by a "
            "scorer that has none: leave them out",
        ) from error
    if both is not None and both >= 0:
        most.append(max(0, both - len(tokenizer(encodable(query), add_special_tokens=False)["input_ids"])))
    allowed = min(most)
    cut, warnings = list[str](), list[str]()
    # Characters are put for characters, so that spans are those of the texts as well.
    found = tokenizer([*map(encodable, texts)], add_special_tokens=False, return_offsets_mapping=True)
    offsets = found["offset_mapping"]
    for place, (text, spans) in enumerate(zip(texts, offsets, strict=True)):
        if len(spans) <= allowed:
            cut.append(text)
            continue
        cut.append(text[: spans[allowed - 1][1]] if allowed else "")
        warnings.append(f"document {place} was cut from {len(spans)} tokens to {allowed}, as asked for")
    return cut, warnings
