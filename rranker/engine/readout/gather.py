"""The logits of a step: every question of every query in flight is read in one go, and copied to the host once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rranker.kernels.launch import MOST_IDENTIFIERS

from ...prompts.segments import Kind
from ..batch import Ints
from . import IdentifierReadout, Readout

Subset = tuple[int, ...]
"""Candidates a question is about, in prompt order: places in the session's segments."""

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReadoutRequest:
    """What one session wants to know of a step's hidden states.

    subsets[k] is asked about by the question whose hidden state is at suffixes[k]. Candidate i is named by the token
    `identifiers[i]`, or stands for itself in states[i] ([n, D], fp32) when the readout needs states. `prefix` [D] is
    the prefix's state, where those are means.
    """

    kind: Kind
    subsets: Sequence[Subset]
    suffixes: range
    identifiers: Ints
    states: Tensor | None
    prefix: Tensor | None = None


@torch.inference_mode()
def read(
    readout: Readout, hidden: Tensor, readings: Sequence[ReadoutRequest], *, kernels: bool
) -> list[list[Logits]]:
    """hidden: [reads of the step, D] → for each reading, for each of its subsets, the logits over its candidates.

    `kernels` reads identifiers through `kernels.score`, where no decision has more than 512 of them. Raises
    FloatingPointError when a logit is not finite.
    """
    sizes = [np.fromiter(map(len, reading.subsets), np.int64) for reading in readings]
    named = [np.fromiter(chain.from_iterable(reading.subsets), np.int64) for reading in readings]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    if kernels and isinstance(readout, IdentifierReadout) and np.diff(offsets).max() <= MOST_IDENTIFIERS:
        flat = _through_kernel(readout, hidden, readings, named, offsets)
    else:
        flat = _through_tables(readout, hidden, readings, named, sizes)
    if not np.isfinite(flat).all():
        raise FloatingPointError(
            "the model's logits are not finite: its weights may be damaged, or need dtype='float32'"
        )
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
