"""Text by the engine, on the very weights that are being trained: a prompt is encoded once for all of its rollouts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from typing import Any

from rranker.engine.engine import Engine
from rranker.engine.errors import UnsupportedModelError
from rranker.engine.generation import Continuation, Sampling, Stretch, TextRequest, Writing
from rranker.engine.readout import IdentifierReadout
from rranker.engine.self_check import self_check

_STEP_ROWS = 8192


def engine_writes(lm: Any) -> bool:
    """Whether the engine computes what `lm` does, tried out on it."""
    try:
        with _engine(lm, 4096) as engine:
            self_check(lm, engine.runner, "causal")
    except UnsupportedModelError:
        return False
    return True


def write_texts(
    lm: Any,
    prompts: Sequence[Sequence[int]],
    *,
    most: int,
    ends: Sequence[int],
    sampling: Sampling,
    seeds: Sequence[int],
    slots: int,
) -> list[list[int]]:
    """A text of at most `most` tokens behind each prompt; one of `ends` is its last token. `seeds`: of what is drawn.

    Equal neighbours among the prompts are one, encoded once. `slots`: KV tokens at most, over all that is in flight;
    no more are reserved than are needed, and none once all is written. Raises CapacityError when they do not suffice
    for one prompt and its texts.
    """
    last = frozenset(ends)
    writing = Writing((Stretch(most, lambda text: text[-1] in last),), sampling=sampling, drafts=False)
    authors, requests = list[Continuation](), list[TextRequest]()
    drawn = iter(seeds)
    for prompt, copies in groupby(map(tuple, prompts)):
        authors.append(Continuation(prompt))
        requests.append(TextRequest(authors[-1], writing, tuple(next(drawn) for _ in copies)))
    needed = sum(request.stored_tokens("causal") for request in requests)
    with _engine(lm, min(slots, needed)) as engine:
        for handle in engine.run(requests):
            if handle.error is not None:
                raise handle.error
    return [list(text.tokens) for author in authors for text in author.texts]


@contextmanager
def _engine(lm: Any, slots: int) -> Iterator[Engine]:
    """An engine around `lm`, which attends and trains as before afterwards."""
    attention, training = lm.config._attn_implementation, lm.training  # noqa: SLF001 (transformers has no other way)
    lm.eval()
    try:
        engine = Engine(
            lm,
            IdentifierReadout(lm),
            attention_mode="causal",
            kv_cache_tokens=slots,
            max_batch_tokens=_STEP_ROWS,
        )
        with closing(engine):
            yield engine
    finally:
        lm.set_attn_implementation(attention)
        lm.train(training)
