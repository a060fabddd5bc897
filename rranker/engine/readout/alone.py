"""Of one candidate alone: yes against no, the mean log-probability of the targets, or a pointer's own term."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np
import torch
from torch import Tensor

from ..transfer import Transfer
from . import IdentifierReadout, PointerReadout, Readout
from .request import Logits, PointwiseScore, ReadoutRequest, check_finite, prior_logits


class AloneReader:
    """For each subset of requests of the pointwise kinds, a number for each candidate.

    `judge`: the logit of yes minus that of no, or what a pointer gives the candidate. `likelihood`: the mean
    log-probability of the targets, in nats a token.
    """

    def __init__(self, readout: Readout, requests: Sequence[ReadoutRequest], transfer: Transfer) -> None:
        self._readout, self._requests = readout, requests
        self._index = [transfer.add(_index(request)) for request in requests]

    def compute(self, hidden: Tensor) -> Tensor:
        """hidden [reads of the step, D] → [candidates of all subsets], fp32, once the transfer was sent."""
        pairs = zip(self._requests, self._index, strict=True)
        return torch.cat([self._scores(hidden, request, index) for request, index in pairs])

    def split(self, numbers: Logits) -> list[list[Logits]]:
        """The same, computed, by request and subset. Raises what `check_finite` raises."""
        prior = prior_logits(self._requests)
        if prior is not None:
            numbers = numbers + prior
        check_finite(numbers)
        rows = iter(_split(numbers, [len(s) for request in self._requests for s in request.subsets]))
        return [[next(rows) for _ in request.subsets] for request in self._requests]

    def _scores(self, hidden: Tensor, request: ReadoutRequest, index: Tensor) -> Tensor:
        readout, rows = self._readout, hidden[request.suffixes.start : request.suffixes.stop]
        if request.states is not None:
            states = request.states.index_select(0, index)
            matched = None if request.added is None else request.added.index_select(0, index)
            return readout.logits(rows, states, "select", request.prefix, matched).diagonal().float()
        if request.kind == "judge":
            yes, no = readout.logits(rows, readout.vectors(index), request.kind).unbind(1)
            return (yes - no).float()
        assert isinstance(readout, IdentifierReadout)
        found = readout.logprobs(rows, index).view(_candidates(request), -1)
        return found.mean(1).float()


class OwnReader:
    """What a pointer says of each candidate alone, without a question: of candidates that see nobody else.

    `scores`: which of it, for each request.
    """

    def __init__(
        self, readout: Readout, requests: Sequence[ReadoutRequest], scores: Sequence[PointwiseScore]
    ) -> None:
        self._readout, self._requests, self._scores = readout, requests, scores

    def compute(self) -> Tensor:
        """[candidates of all requests], fp32."""
        assert isinstance(self._readout, PointerReadout)
        found = list[Tensor]()
        for request, score in zip(self._requests, self._scores, strict=True):
            assert request.states is not None
            own = self._readout.pointwise(request.states, request.prefix)
            if score == "tokens":
                assert request.matched is not None
                own = own + request.matched.alone
            found.append(own)
        return torch.cat(found)

    def split(self, numbers: Logits) -> list[Logits]:
        """The same, computed, by request. Raises what `check_finite` raises."""
        check_finite(numbers)
        counts = list[int]()
        for request in self._requests:
            assert request.states is not None
            counts.append(len(request.states))
        own = _split(numbers, counts)
        pairs = zip(own, self._requests, strict=True)
        return [x + np.asarray(r.prior, dtype=np.float32) if r.prior else x for x, r in pairs]


def _index(request: ReadoutRequest) -> np.ndarray:
    """What is looked up on the device: rows of the states, or tokens."""
    if request.states is not None:
        return np.fromiter(chain.from_iterable(request.subsets), np.int64)
    repeat = 1 if request.kind == "judge" else _candidates(request)
    return np.tile(np.asarray(request.targets, dtype=np.int64), repeat)


def _candidates(request: ReadoutRequest) -> int:
    return sum(map(len, request.subsets))


def _split(numbers: Logits, lengths: Sequence[int]) -> list[Logits]:
    return [numbers[begin:end] for begin, end in pairwise(np.cumsum([0, *lengths]).tolist())]
