"""Which of the engine's scorers answers: by logits, of words behind a thought where one is asked for, or in words."""

from __future__ import annotations

from typing import Any

from ..engine.engine import Engine
from ..reasoning import Reasoning
from .engine_logits import EngineScorer
from .generation import ReasoningScorer
from .written import WrittenScorer

_OF_WORDS = {"text", "r1_ranker"}


def engine_scorer(
    engine: Engine, reasoning: Reasoning | None, prompt_format: str | None, *, drafts: bool, **settings: Any
) -> EngineScorer:
    """The scorer for a loaded engine; `settings` are `EngineScorer`'s. `prompt_format` None is the checkpoint's own.

    Raises ValueError for a format or a way to think (`reasoning`, of requests to come) that does not go with the model.
    """
    assert engine.model is not None
    trained = engine.model.settings.prompt_format
    wanted = trained if prompt_format is None else prompt_format
    if wanted != trained and not {wanted, trained} <= _OF_WORDS:
        raise ValueError(
            f"{engine.model.name} was trained on prompts of the format {trained!r}: leave format out"
        )
    scorer = (
        WrittenScorer(engine, drafts=drafts, **settings)
        if wanted == "r1_ranker"
        else ReasoningScorer(engine, drafts=drafts, **settings)
        if wanted in _OF_WORDS
        else EngineScorer(engine, **settings)
    )
    scorer.check_reasoning(reasoning)
    return scorer
