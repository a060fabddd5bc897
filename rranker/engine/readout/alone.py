"""Questions about one candidate alone: yes against no, or the mean log-probability of the targets."""

from __future__ import annotations

from itertools import chain, pairwise

import numpy as np
import torch
from torch import Tensor

from . import IdentifierReadout, Readout
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
    bounds = np.cumsum([0, *map(len, request.subsets)]).tolist()
    return [numbers[begin:end] for begin, end in pairwise(bounds)]
