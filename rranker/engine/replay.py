"""Steps that only ask questions, replayed as a CUDA graph: one launch in place of a thousand.

A graph has fixed shapes and fixed addresses. So a step is padded up to a size of a few (`Shape`), written over the
graph's own buffer in one copy, and replayed; padded programs return at once, padded rows attend to nothing. A size is
recorded when it comes up for the second time.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rranker.kernels.attention.work import AttentionMetadata

from .attention.protocol import StepAttention
from .attention.replayed import ReplayedAttention, padded_work, sizes_of
from .attention.triton import Kind
from .attention.triton_metadata import attention_metadata
from .batch import Batch
from .errors import SettingError
from .kv.cache import KVCache
from .transfer import Array, aligned

LEAST_ROWS, MOST_ROWS = 64, 2048
"""Of a step that is replayed. A larger one keeps a GPU busy while its operators are launched."""
MOST_PARTS = 4096
"""Parts times KV heads of a step: with 128 rows of 128 columns, 256 MB that stay reserved."""
MOST_GRAPHS = 64
"""Sizes that are recorded; what comes up later is run operator by operator."""

SWITCH = "RRANKER_CUDA_GRAPHS"
"""The environment variable that turns it on, for models under the Triton backend on CUDA; it is off by default."""

Forward = Callable[[Tensor, Tensor, Tensor, StepAttention], Tensor]
"""Token ids, positions, rows to read, attention → hidden states of those rows."""


def asked_for() -> bool:
    """Whether the switch is on. Raises ValueError unless it is 1, 0, or nothing."""
    value = os.environ.get(SWITCH, "")
    if value not in ("", "0", "1"):
        raise SettingError(f"{SWITCH} is {value!r}, and must be 1 (on) or 0 (off)")
    return value == "1"


class Recorder(Protocol):
    """What makes a graph of a function."""

    def __call__(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Records what the function launches; the call launches it again, and gives the same tensor each time.

        Raises RuntimeError when the function does what cannot be recorded.
        """
        ...


class CudaRecorder:
    """By `torch.cuda.graph`. All graphs share one pool of memory: none runs beside another."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._pool = device, torch.cuda.graph_pool_handle()

    def __call__(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """See `Recorder`."""
        with torch.cuda.device(self._device):
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # what is made once (compiled kernels, workspaces) is made here
                for _ in range(2):
                    function()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            # Other threads may go on meanwhile: replicas on other devices, and whoever prepares requests.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                result = function()

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay


@dataclass(frozen=True, slots=True)
class Shape:
    """What a graph holds room for: powers of two. `kind`: of the model's layers, all alike."""

    rows: int
    reads: int
    items: int
    cells: int
    runs: int
    kind: Kind


class _Graph:
    """One size: its buffer on the device, and the recorded forward over it."""

    def __init__(
        self, shape: Shape, device: torch.device, store: KVCache, forward: Forward, context_bias: float
    ) -> None:
        self._shape = shape
        arrays = self._empty()
        begins = [0, *accumulate(aligned(array.nbytes) for array in arrays)]
        self._places = [slice(begin, begin + a.nbytes) for begin, a in zip(begins, arrays, strict=False)]
        self._buffer = torch.zeros(begins[-1], dtype=torch.uint8, device=device)
        ids, positions, reads, *work = (
            self._buffer[place].view(torch.from_numpy(array).dtype)
            for place, array in zip(self._places, arrays, strict=True)
        )
        sizes = shape.items, shape.cells
        self._run = lambda: forward(
            ids, positions, reads, ReplayedAttention(work, sizes, shape.kind, store, context_bias)
        )
        self.replay: Callable[[], Tensor] | None = None

    def _empty(self) -> list[Array]:
        shape = self._shape
        lengths = shape.rows, shape.rows, shape.reads
        return [
            *(np.zeros(length, dtype=np.int64) for length in lengths),
            *(
                np.zeros(n, dtype=np.int32)
                for n in sizes_of(shape.rows, shape.items, shape.cells, shape.runs)
            ),
        ]

    def fill(self, arrays: list[Array]) -> None:
        """Writes a step's arrays over the buffer, padded with zeros; nobody waits for the copy."""
        pinned = self._buffer.is_cuda
        host = torch.zeros(len(self._buffer), dtype=torch.uint8, device="cpu", pin_memory=pinned)
        flat = host.numpy()
        for place, array in zip(self._places, arrays, strict=True):
            flat[place][: array.nbytes] = np.ascontiguousarray(array).view(np.uint8)
        self._buffer.copy_(host, non_blocking=True)

    def record(self, recorder: Recorder) -> None:
        """Records the forward, with what was filled in as its example."""
        self.replay = recorder(self._run)


class Replays:
    """The recorded sizes of one model on one store.

    Args:
        forward: the model's forward pass over flat rows.
        store: its KV cache, whose slabs stay where they are.
        recorder: makes the graphs.
        offset: what the model's own position ids begin with.
    """

    def __init__(self, forward: Forward, store: KVCache, recorder: Recorder, offset: int = 0) -> None:
        self._forward, self._store, self._recorder, self._offset = forward, store, recorder, offset
        self._graphs: dict[Shape, _Graph] = {}
        self._seen: Counter[Shape] = Counter()
        self.counts: Counter[str] = Counter()
        """How many steps were `replayed`, `recorded`, or why they were run operator by operator."""
        self.failure: Exception | None = None
        """Why nothing is recorded any more."""

    def hidden(self, batch: Batch, kinds: set[Kind], cut: bool, device: torch.device) -> Tensor | None:
        """Hidden states of the batch's read rows; None when it must be run operator by operator.

        `kinds`: of the model's layers, as earlier steps have shown; `cut`: whether a window cuts the batch.
        """
        reason = self._unfit(batch, kinds, cut)
        if reason is None:
            (kind,) = kinds
            work = attention_metadata(batch, *kind, most_parts=max(1, MOST_PARTS // kind[1]))
            if len(work.waves) == 1:
                return self._replayed(batch, work, kind, device)
            reason = "too many parts"
        self.counts[reason] += 1
        return None

    def _unfit(self, batch: Batch, kinds: set[Kind], cut: bool) -> str | None:
        if self.failure is not None:
            return "recording failed"
        if batch.rows > MOST_ROWS:
            return "too many rows"
        if not len(batch.read_rows):
            return "nothing to read"
        if (batch.write_slots >= 0).any():
            return "keys to store"
        if cut:
            return "cut by a window"
        if len(kinds) != 1:
            return "no layers, or layers of several kinds"
        return None

    def _replayed(
        self, batch: Batch, work: AttentionMetadata, kind: Kind, device: torch.device
    ) -> Tensor | None:
        shape = Shape(
            rows=_power(batch.rows, LEAST_ROWS),
            reads=_power(len(batch.read_rows), LEAST_ROWS),
            items=_power(len(work.tiles), LEAST_ROWS),
            cells=_power(len(work.cell_slots), LEAST_ROWS),
            runs=_power(len(work.run_words) + 1, LEAST_ROWS),
            kind=kind,
        )
        self._seen[shape] += 1
        if shape not in self._graphs:
            if self._seen[shape] < 2 or len(self._graphs) >= MOST_GRAPHS:
                self.counts["a new size"] += 1
                return None
            self._graphs[shape] = _Graph(shape, device, self._store, self._forward, batch.context_bias)
        graph = self._graphs[shape]
        work_arrays = padded_work(work, shape.cells)
        graph.fill([batch.token_ids, batch.positions + self._offset, batch.read_rows, *work_arrays])
        if graph.replay is None:
            try:
                graph.record(self._recorder)
            except RuntimeError as error:
                self._give_up(error)
                return None
            self.counts["recorded"] += 1
        assert graph.replay is not None
        self.counts["replayed"] += 1
        # The next replay writes over its result.
        return graph.replay()[: len(batch.read_rows)].clone()

    def _give_up(self, error: Exception) -> None:
        self.failure = error
        self._graphs.clear()
        self.counts["recording failed"] += 1
        logging.getLogger("rranker").warning(
            "this model's steps cannot be recorded as CUDA graphs, and run operator by operator: %s", error
        )


def _power(needed: int, least: int) -> int:
    """The smallest power of two that is at least both."""
    return max(least, 1 << max(needed - 1, 0).bit_length())
