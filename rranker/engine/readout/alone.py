"""Of one candidate alone: yes against no, the mean log-probability of the targets, or a pointer's own term."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np
import torch
from torch import Tensor

from . import IdentifierReadout, PointerReadout, Readout
from .request import Logits, ReadoutRequest, check_finite


@torch.inference_mode()
def read_alone(readout: Readout, hidden: Tensor, request: ReadoutRequest) -> list[Logits]:
    """hidden [reads of the step, D] → for each subset of one request of a pointwise kind, a number for each candidate.

    `judge`: the logit of yes minus that of no, or what a pointer gives the candidate. `likelihood`: the mean
    log-probability of the targets, in nats a token. Raises what `check_finite` raises.
    """
    rows = hidden[request.suffixes.start : request.suffixes.stop]
    places = list(chain.from_iterable(request.subsets))
    if request.states is not None:
        scores = readout.logits(rows, request.states[places], "select", request.prefix).diagonal()
    elif request.kind == "judge":
        yes, no = readout.logits(rows, readout.vectors(request.targets), request.kind).unbind(1)
        scores = yes - no
    else:
        assert isinstance(readout, IdentifierReadout)
        targets = torch.from_numpy(np.tile(request.targets, len(places))).to(hidden.device)
        scores = readout.logprobs(rows, targets).view(len(places), -1).mean(1)
    numbers: Logits = scores.float().cpu().numpy()
    check_finite(numbers)
    return _split(numbers, list(map(len, request.subsets)))


@torch.inference_mode()
def read_pointwise(readout: Readout, requests: Sequence[ReadoutRequest]) -> list[Logits]:
    """For each request, what a pointer says of each of its candidates alone [n]; copied to the host once.

    The states must be those of candidates that saw the prefix and themselves only. Raises what `check_finite` raises.
    """
    if not requests:
        return []
    assert isinstance(readout, PointerReadout)
    found = list[Tensor]()
    for request in requests:
        assert request.states is not None
        found.append(readout.pointwise(request.states, request.prefix))
    numbers: Logits = torch.cat(found).cpu().numpy()
    check_finite(numbers)
    return _split(numbers, list(map(len, found)))


def _split(numbers: Logits, lengths: Sequence[int]) -> list[Logits]:
    return [numbers[begin:end] for begin, end in pairwise(np.cumsum([0, *lengths]).tolist())]
