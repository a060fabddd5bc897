"""The logits of a step: every question of every query in flight is read in one go, and copied to the host once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, compress, pairwise

import numpy as np
import torch
from torch import Tensor

from rranker.kernels.launch import MOST_IDENTIFIERS

from ...prompts.segments import POINTWISE
from ..autocast import without_autocast
from ..batch import Ints
from ..transfer import Readback, Transfer
from . import IdentifierReadout, Readout
from .alone import AloneReader, OwnReader
from .request import Logits, PointwiseScore, ReadoutRequest, check_finite, prior_logits


def read(
    readout: Readout, hidden: Tensor, readings: Sequence[ReadoutRequest], *, kernels: bool
) -> list[list[Logits]]:
    """hidden: [reads of the step, D] → for each reading, for each of its subsets, the logits over its candidates.

    `kernels` reads identifiers through `kernels.score`, where no decision has more than 512 of them. Raises
    FloatingPointError when a logit is not finite.
    """
    transfer, back = Transfer(hidden.device), Readback()
    reader = StepReader(readout, readings, [None] * len(readings), transfer, kernels=kernels)
    transfer.send()
    reader.compute(hidden, back)
    back.fetch()
    return reader.answers()[0]


class StepReader:
    """What is read of a step: first what to look up is collected, once it is sent all is computed, then copied back.

    `own` says of which readings a pointer's own scores of the candidates are read, too, and which.
    """

    def __init__(
        self,
        readout: Readout,
        readings: Sequence[ReadoutRequest],
        own: Sequence[PointwiseScore | None],
        transfer: Transfer,
        *,
        kernels: bool,
    ) -> None:
        self._alone_kind = [reading.kind in POINTWISE for reading in readings]
        lists = [reading for reading, alone in zip(readings, self._alone_kind, strict=True) if not alone]
        self._lists = _Lists(readout, lists, transfer, kernels)
        self._alone = AloneReader(readout, list(compress(readings, self._alone_kind)), transfer)
        self._own = OwnReader(readout, list(compress(readings, own)), [score for score in own if score])
        self._parts = bool(lists), any(self._alone_kind), any(own)
        self._numbers: list[Callable[[], Logits]] = []

    @torch.inference_mode()
    def compute(self, hidden: Tensor, back: Readback) -> None:
        """hidden [reads of the step, D]: what is asked of it goes into `back`."""
        ways = lambda: self._lists.compute(hidden), lambda: self._alone.compute(hidden), self._own.compute
        # Verdicts are differences of logits: they are taken in fp32 even where a caller has autocast on.
        with without_autocast(hidden.device.type):
            self._numbers = [back.add(way()) for way in compress(ways, self._parts)]

    def answers(self) -> tuple[list[list[Logits]], list[Logits]]:
        """Once they are fetched: each reading's logits by subset, and the own scores [n] of those that asked.

        Raises FloatingPointError when a logit is not finite.
        """
        numbers = iter(self._numbers)
        lists, alone, own = (next(numbers)() if asked else None for asked in self._parts)
        of_lists = iter([] if lists is None else self._lists.split(lists))
        of_alone = iter([] if alone is None else self._alone.split(alone))
        logits = [next(of_alone) if single else next(of_lists) for single in self._alone_kind]
        return logits, [] if own is None else self._own.split(own)


class _Lists:
    """Those that ask about lists, all in one go."""

    def __init__(
        self, readout: Readout, readings: Sequence[ReadoutRequest], transfer: Transfer, kernels: bool
    ) -> None:
        self._readings = readings
        if not readings:
            return
        sizes = [np.fromiter(map(len, reading.subsets), np.int64) for reading in readings]
        named = [np.fromiter(chain.from_iterable(reading.subsets), np.int64) for reading in readings]
        self._offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
        self._prior = prior_logits(readings)
        self._way: _Kernel | _Tables
        longest = np.diff(self._offsets).max()
        if kernels and isinstance(readout, IdentifierReadout) and longest <= MOST_IDENTIFIERS:
            self._way = _Kernel(readout, readings, named, self._offsets, transfer)
        else:
            self._way = _Tables(readout, readings, named, sizes, transfer)

    def compute(self, hidden: Tensor) -> Tensor:
        """hidden [reads of the step, D] → one row of fp32 numbers, for `split`."""
        return self._way.compute(hidden)

    def split(self, numbers: Logits) -> list[list[Logits]]:
        flat = self._way.picked(numbers)
        if self._prior is not None:
            flat = flat + self._prior
        check_finite(flat)
        rows: Iterator[Logits] = (flat[begin:end] for begin, end in pairwise(self._offsets.tolist()))
        return [[next(rows) for _ in reading.subsets] for reading in self._readings]


class _Tables:
    """The plain way: each query's suffixes times all its candidates, of which those asked about are picked.

    Of each reading, named: its subsets end to end; sizes: their lengths.
    """

    def __init__(
        self,
        readout: Readout,
        readings: Sequence[ReadoutRequest],
        named: Sequence[Ints],
        sizes: Sequence[Ints],
        transfer: Transfer,
    ) -> None:
        self._readout, self._readings, self._named, self._sizes = readout, readings, named, sizes
        self._identifiers = [
            transfer.add(reading.identifiers) if reading.states is None else None for reading in readings
        ]
        self._shapes = list[tuple[int, int]]()

    def compute(self, hidden: Tensor) -> Tensor:
        tables = list[Tensor]()
        for reading, identifiers in zip(self._readings, self._identifiers, strict=True):
            suffixes = hidden[reading.suffixes.start : reading.suffixes.stop]
            vectors = reading.states if identifiers is None else self._readout.vectors(identifiers)
            assert vectors is not None
            near = reading.prefix, reading.added
            tables.append(self._readout.logits(suffixes, vectors, reading.kind, *near))
        self._shapes = [(len(table), table.shape[1]) for table in tables]
        return torch.cat([table.flatten() for table in tables])

    def picked(self, flat: Logits) -> Logits:
        picks, begin = list[Ints](), 0
        for (rows, columns), mine, lengths in zip(self._shapes, self._named, self._sizes, strict=True):
            picks.append(begin + np.repeat(np.arange(rows) * columns, lengths) + mine)
            begin += rows * columns
        found: Logits = flat[np.concatenate(picks)]
        return found


class _Kernel:
    """One launch for all subsets, over the gathered rows of the head. offsets: [subsets + 1], of them end to end."""

    def __init__(
        self,
        readout: IdentifierReadout,
        readings: Sequence[ReadoutRequest],
        named: Sequence[Ints],
        offsets: Ints,
        transfer: Transfer,
    ) -> None:
        self._readout, self._longest = readout, int(np.diff(offsets).max())
        identifiers = [reading.identifiers[mine] for reading, mine in zip(readings, named, strict=True)]
        rows = np.concatenate([np.asarray(reading.suffixes) for reading in readings])
        arrays = rows, offsets, np.concatenate(identifiers)
        self._rows, self._bounds, self._tokens = (transfer.add(array.astype(np.int32)) for array in arrays)

    def compute(self, hidden: Tensor) -> Tensor:
        from rranker.kernels.score.kernel import score

        readout, states = self._readout, hidden.index_select(0, self._rows)
        given = states, readout.weight, self._tokens, self._bounds, self._longest, readout.scale, readout.cap
        logits: Tensor = score(*given).logits
        return logits

    def picked(self, flat: Logits) -> Logits:
        return flat
