"""Which cases a text policy can learn from: their prompts are short enough, and leave room for what is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rranker.data import RankingExample
from rranker.engine.loading.checkpoint import Checkpoint
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.r1_ranker import R1RankerFormat
from rranker.training.grpo.arguments import RolloutArguments
from rranker.training.grpo.config import GrpoConfig
from rranker.training.grpo.data import how_many_fit
from rranker.training.grpo.text import prompt_ids


@dataclass(frozen=True)
class TextLimits:
    """`max_prompt` tokens of a prompt, and `context` positions of it and what is `behind` it; None bounds nothing."""

    prompts: R1RankerFormat
    method: str
    context: int | None
    max_prompt: int | None
    behind: Callable[[RankingExample], int]
    written: str
    """What is behind a prompt, in words."""

    def check(self, case: RankingExample) -> None:
        """Raises ValueError for a case that does not fit."""
        if self.max_prompt is None and self.context is None:
            return
        tokens = len(prompt_ids(self.prompts, case, self.method))
        if self.max_prompt is not None and tokens > self.max_prompt:
            raise ValueError(
                f"the prompt of {case.id!r} has {tokens} tokens, max_prompt_tokens {self.max_prompt}"
            )
        if self.context is not None and tokens + (behind := self.behind(case)) > self.context:
            raise ValueError(
                f"the prompt of {case.id!r} has {tokens} tokens, and with {behind} behind it ({self.written}) they are "
                f"more than the {self.context} positions of the checkpoint"
            )


def rollout_limits(checkpoint: Checkpoint, rollout: RolloutArguments, config: GrpoConfig) -> TextLimits:
    """Those of rollouts: a text of any length within `max_completion_length` fits behind the prompt."""
    return TextLimits(
        R1RankerFormat(TextEncoder(checkpoint.tokenizer)),
        rollout.method,
        checkpoint.context,
        rollout.max_prompt_tokens,
        lambda case: config.max_completion_length or 1,
        "max_completion_length",
    )


def fitting_texts(limits: TextLimits, cases: Mapping[str, RankingExample]) -> dict[str, RankingExample]:
    """The cases that fit; prints how many do. Raises ValueError when none does."""
    kept: dict[str, RankingExample] = {}
    refusal: ValueError | None = None
    for key, case in cases.items():
        try:
            limits.check(case)
        except ValueError as error:
            refusal = refusal or error
        else:
            kept[key] = case
    if not kept:
        raise ValueError(f"none of {len(cases)} training cases fits. The first one: {refusal}") from refusal
    print(how_many_fit(len(kept), len(cases), refusal), flush=True)
    return kept
