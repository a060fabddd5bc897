"""What a policy reads: cases as segments, within the limits of its checkpoint and of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rranker.data import RankingExample
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.engine.loading.settings import ModelSettings
from rranker.item_factors import ItemFactors
from rranker.prompts import TEMPLATES
from rranker.prompts.assemble import Assembler, Limits, with_prior
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.formats import prompt_formats
from rranker.prompts.identifiers import Identifiers
from rranker.prompts.segments import Kind, Segments


class Prompts:
    """Makes prompts of cases; it needs no weights.

    `context` is the checkpoint's, `max_prompt` bounds positions and `max_candidate` each candidate in training, all in
    tokens (None: no bound but the checkpoint's). `item_factors`: the checkpoint's.
    """

    def __init__(
        self,
        tokenizer: Any,
        settings: ModelSettings,
        context: int | None,
        *,
        max_prompt: int | None = None,
        max_candidate: int | None = None,
        item_factors: ItemFactors | None = None,
    ) -> None:
        self.max_prompt, self.max_candidate = max_prompt, max_candidate
        self._item_factors = item_factors
        encoder = TextEncoder(tokenizer)
        self._formats = prompt_formats(settings.prompt_format, encoder, settings.prompts)
        self._identifiers = Identifiers(encoder)
        restart = settings.prompt_format == "encoder"
        self._limits = Limits(
            settings.attention,
            _least(context, max_prompt),
            _least(settings.max_candidate_tokens, max_candidate),
            restart,
        )
        self._full = Limits(settings.attention, context, settings.max_candidate_tokens, restart)

    @classmethod
    def load(cls, model: str | Path, **limits: int | None) -> Prompts:
        """Of a checkpoint, without its weights; `limits` as above. Raises what `read_checkpoint` raises."""
        checkpoint = read_checkpoint(model, None)
        return cls(
            checkpoint.tokenizer,
            checkpoint.settings,
            checkpoint.context,
            item_factors=checkpoint.item_factors,
            **limits,
        )

    def segments(self, case: RankingExample, kind: Kind, *, full: bool = False) -> Segments:
        """The case's prompt, candidates in the case's order; `full` leaves the training limits out.

        Raises ValueError when the query alone does not fit.
        """
        texts = case.candidates
        limits = self._full if full else self._limits
        segments, _ = Assembler(self._formats[kind], self._identifiers, limits, "end").assemble(
            TEMPLATES[case.task], case.instruction, case.query, kind, texts, list(range(len(texts)))
        )
        return with_prior(segments, self._item_factors, case.query, texts)


def _least(*bounds: int | None) -> int | None:
    return min((b for b in bounds if b is not None), default=None)
