"""The prompt formats, by the names that checkpoints call them and the kinds of questions."""

from __future__ import annotations

from .assemble import PromptFormat
from .compact import CompactFormat
from .encoder import EncoderFormat
from .encoding import TextEncoder
from .pointwise import LikelihoodFormat, YesNoFormat
from .segments import Kind
from .text import TextFormat


def prompt_formats(
    name: str, encoder: TextEncoder, prompts: tuple[str, str] = ("", "")
) -> dict[Kind, PromptFormat]:
    """How models of one prompt format are asked each kind of question they can answer by numbers.

    `prompts`: what an encoder finds before a query and before a text. Those that were trained to answer in words
    (`r1_ranker`) are asked as any language model. Raises ValueError when the tokenizer lacks what the format needs.
    """
    if name in ("text", "r1_ranker"):
        lists = TextFormat(encoder)
        judged, likely = YesNoFormat(encoder), LikelihoodFormat(encoder)
        return {"exclude": lists, "select": lists, "judge": judged, "likelihood": likely}
    pointed: PromptFormat = CompactFormat(encoder) if name == "compact" else EncoderFormat(encoder, *prompts)
    return {"exclude": pointed, "select": pointed, "judge": pointed}
