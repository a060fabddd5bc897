"""The logits of a step: every question of every query in flight is read in one go, and copied to the host once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

import numpy as np
import torch
from torch import Tensor

from rranker.kernels.launch import MOST_IDENTIFIERS

from ...prompts.segments import POINTWISE
from ..batch import Ints
from . import IdentifierReadout, Readout
from .alone import read_alone
from .request import Logits, ReadoutRequest, check_finite


@torch.inference_mode()
def read(
    readout: Readout, hidden: Tensor, readings: Sequence[ReadoutRequest], *, kernels: bool
) -> list[list[Logits]]:
    """hidden: [reads of the step, D] → for each reading, for each of its subsets, the logits over its candidates.

    `kernels` reads identifiers through `kernels.score`, where no decision has more than 512 of them. Raises
    FloatingPointError when a logit is not finite.
    """
    lists = [reading for reading in readings if reading.kind not in POINTWISE]
    answers = iter(_read_lists(readout, hidden, lists, kernels) if lists else ())
    return [
        read_alone(readout, hidden, reading) if reading.kind in POINTWISE else next(answers)
        for reading in readings
    ]


def _read_lists(
    readout: Readout, hidden: Tensor, readings: Sequence[ReadoutRequest], kernels: bool
) -> list[list[Logits]]:
    """Those that ask about lists, all in one go."""
    sizes = [np.fromiter(map(len, reading.subsets), np.int64) for reading in readings]
    named = [np.fromiter(chain.from_iterable(reading.subsets), np.int64) for reading in readings]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    if kernels and isinstance(readout, IdentifierReadout) and np.diff(offsets).max() <= MOST_IDENTIFIERS:
        flat = _through_kernel(readout, hidden, readings, named, offsets)
    else:
        flat = _through_tables(readout, hidden, readings, named, sizes)
    check_finite(flat)
    rows: Iterator[Logits] = (flat[begin:end] for begin, end in pairwise(offsets.tolist()))
    return [[next(rows) for _ in reading.subsets] for reading in readings]


def _through_tables(
    readout: Readout,
    hidden: Tensor,
    readings: Sequence[ReadoutRequest],
    named: Sequence[Ints],
    sizes: Sequence[Ints],
) -> Logits:
    """The plain way: each query's suffixes times all its candidates, of which those asked about are picked.

    Of each reading, named: its subsets end to end; sizes: their lengths. Returns the picked ones, end to end.
    """
    tables, picks, begin = list[Tensor](), list[Ints](), 0
    for reading, mine, lengths in zip(readings, named, sizes, strict=True):
        suffixes = hidden[reading.suffixes.start : reading.suffixes.stop]
        vectors = readout.vectors(reading.identifiers) if reading.states is None else reading.states
        table = readout.logits(suffixes, vectors, reading.kind, reading.prefix)
        tables.append(table.flatten())
        picks.append(begin + np.repeat(np.arange(len(table)) * table.shape[1], lengths) + mine)
        begin += table.numel()
    flat: Logits = torch.cat(tables).cpu().numpy()
    picked: Logits = flat[np.concatenate(picks)]
    return picked


def _through_kernel(
    readout: IdentifierReadout,
    hidden: Tensor,
    readings: Sequence[ReadoutRequest],
    named: Sequence[Ints],
    offsets: Ints,
) -> Logits:
    """One launch for all subsets, over the gathered rows of the head. offsets: [subsets + 1], of them end to end."""
    from rranker.kernels.score import score

    rows = np.concatenate([np.asarray(reading.suffixes) for reading in readings])
    identifiers = np.concatenate(
        [reading.identifiers[mine] for reading, mine in zip(readings, named, strict=True)]
    )
    places, bounds, tokens = _sent((rows, offsets, identifiers), hidden.device)
    found = score(
        hidden.index_select(0, places),
        readout.weight,
        tokens,
        bounds,
        int(np.diff(offsets).max()),
        readout.scale,
        readout.cap,
    )
    logits: Logits = found.logits.cpu().numpy()
    return logits


def _sent(arrays: Sequence[Ints], on: torch.device) -> list[Tensor]:
    """The arrays as int32 on a device, in one copy; each begins at 16 bytes, as the compiled kernels assume."""
    ends = np.cumsum([-(-len(array) // 4) * 4 for array in arrays]).tolist()
    flat = np.zeros(ends[-1], np.int32)
    begins = [0, *ends[:-1]]
    for begin, array in zip(begins, arrays, strict=True):
        flat[begin : begin + len(array)] = array
    sent = torch.from_numpy(flat).to(on)
    return [sent[begin : begin + len(array)] for begin, array in zip(begins, arrays, strict=True)]
