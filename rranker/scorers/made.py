"""Which of the engine's scorers answers: by logits, behind a thought, or in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine.engine import Engine
from ..engine.generation import Sampling
from ..whole import whole_number
from .engine_logits import EngineScorer
from .generation import MOST_THOUGHT, Reasoning, ReasoningScorer
from .written import MOST_WRITTEN, WrittenScorer


def reasoning_of(
    reasoning: bool, max_think_tokens: int | None, temperature: float, top_p: float, *, drafts: bool
) -> Callable[[int], Reasoning] | None:
    """How a model thinks, by what its prompt format allows a thought where the caller does not say; None: not at all.

    Raises ValueError, or TypeError for what is no whole number, for wrong settings, and for settings of thoughts where
    there are none.
    """
    sampling = Sampling(temperature, top_p)
    if not reasoning:
        if max_think_tokens is not None or sampling != Sampling():
            raise ValueError(
                "max_think_tokens, temperature and top_p are settings of thoughts: pass reasoning=True"
            )
        return None
    tokens = None if max_think_tokens is None else whole_number(max_think_tokens, "max_think_tokens", least=0)
    return lambda usual: Reasoning(usual if tokens is None else tokens, sampling, drafts)


def engine_scorer(
    engine: Engine, reasoning: Callable[[int], Reasoning] | None, prompt_format: str | None, **settings: Any
) -> EngineScorer:
    """The scorer for a loaded engine; `settings` are `EngineScorer`'s, `reasoning` is what `reasoning_of` gives.

    `prompt_format` None is the checkpoint's own.

    Raises ValueError for a format that does not go with the model.
    """
    assert engine.model is not None
    trained = engine.model.settings.prompt_format
    wanted = trained if prompt_format is None else prompt_format
    if wanted != trained and not {wanted, trained} <= {"text", "r1_ranker"}:
        raise ValueError(
            f"{engine.model.name} was trained on prompts of the format {trained!r}: leave format out"
        )
    if wanted == "r1_ranker":
        # A model of this format always opens a thought; without reasoning it is closed at once.
        thinks = Reasoning(0) if reasoning is None else reasoning(MOST_WRITTEN)
        return WrittenScorer(engine, thinks, **settings)
    if reasoning is None:
        return EngineScorer(engine, **settings)
    return ReasoningScorer(engine, reasoning(MOST_THOUGHT), **settings)
