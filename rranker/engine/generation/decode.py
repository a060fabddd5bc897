"""The next tokens of all texts of a step: one product with the head, and one choice a state that was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..readout import Readout
from ..readout.request import NOT_FINITE
from ..transfer import Array, Readback, Transfer
from .request import check_writes
from .sampler import Choice
from .stream import Stream


class TokenReader:
    """Reads the tokens that the states of each stream (`Stream.reads`) say.

    First what to look up is collected, once it is sent all is computed, and copied back with whatever else is.
    """

    def __init__(self, readout: Readout, streams: Sequence[Stream], transfer: Transfer) -> None:
        self._readout, self._streams = readout, streams
        self._tokens: Callable[[], Array] | None = None
        if not streams:
            return
        owners = [stream for stream in streams for _ in stream.reads]
        draws = [draw for stream in streams for draw in stream.draws()]
        self._rows = transfer.add(np.asarray([row for stream in streams for row in stream.reads]))
        self._choice = Choice([stream.writing.sampling for stream in owners], draws, transfer)

    @torch.inference_mode()
    def compute(self, hidden: Tensor, back: Readback) -> None:
        """hidden [reads of the step, D]: the tokens go into `back`; behind them a 1, or a 0 for logits gone wrong."""
        if self._streams:
            logits = check_writes(self._readout).vocabulary(hidden.index_select(0, self._rows))
            finite = torch.isfinite(logits).all()
            self._tokens = back.add(torch.cat([self._choice(logits), finite.long()[None]]))

    def check(self) -> None:
        """Once they are fetched: raises FloatingPointError when a logit is not finite."""
        if self._tokens is not None and not self._tokens()[-1]:
            raise FloatingPointError(NOT_FINITE)

    def chosen(self) -> Iterator[list[int]]:
        """The next tokens of each stream, in turn."""
        tokens = iter([] if self._tokens is None else self._tokens()[:-1].tolist())
        for stream in self._streams:
            yield [next(tokens) for _ in stream.reads]
