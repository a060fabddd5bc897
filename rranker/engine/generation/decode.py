"""The next tokens of all texts of a step: one product with the head, and one choice a state that was read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..readout import Readout
from ..readout.request import NOT_FINITE
from .request import check_writes
from .sampler import choose
from .stream import Stream


@torch.inference_mode()
def write(readout: Readout, hidden: Tensor, streams: Sequence[Stream]) -> None:
    """hidden [reads of the step, D]: gives each stream the tokens that its states (`Stream.reads`) say.

    Raises FloatingPointError when a logit is not finite.
    """
    if not streams:
        return
    rows = [row for stream in streams for row in stream.reads]
    owners = [stream for stream in streams for _ in stream.reads]
    logits = check_writes(readout).vocabulary(hidden[rows])
    if not bool(torch.isfinite(logits).all()):
        raise FloatingPointError(NOT_FINITE)
    tokens = iter(
        choose(logits, [stream.writing.sampling for stream in owners], [stream.draw() for stream in owners])
    )
    for stream in streams:
        stream.accept([next(tokens) for _ in stream.reads])
