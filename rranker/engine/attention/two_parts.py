"""Attention in two calls, over what is stored and over the rows' own keys, merged by log-sum-exp.

All rows of one query that see the same segments form one sequence of the first call, so a prefix is read once for
all the candidates that share it. Whose calls these are, a backend says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..batch import Batch, Ints
from ..errors import SettingError
from ..transfer import Transfer
from .writes import Index, as_index


@dataclass(frozen=True, slots=True)
class Ragged:
    """Cumulative lengths of the sequences of one call, int32 [sequences + 1], and the longest ones.

    host: both once more, for what is planned on the host.
    """

    queries: Tensor
    keys: Tensor
    longest_query: int
    longest_key: int
    host: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, queries: Ints, keys: Ints, transfer: Transfer) -> Ragged:
        """From the lengths of each sequence."""
        ends = [np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32) for lengths in (queries, keys)]
        longest, host = (
            (int(queries.max()), int(keys.max())),
            (torch.from_numpy(ends[0]), torch.from_numpy(ends[1])),
        )
        return cls(transfer.add(ends[0]), transfer.add(ends[1]), *longest, host)


@dataclass(frozen=True, slots=True)
class Shared:
    """`rows` of the step and the `slots` they see, both sequence after sequence."""

    rows: Index
    slots: Index
    ragged: Ragged


def shared_part(batch: Batch, transfer: Transfer) -> Shared | None:
    """One sequence per query and set of segments seen; None when nothing stored is seen."""
    groups: dict[tuple[int, bytes], list[int]] = {}
    for chunk in range(batch.chunks):
        seen = batch.visible[batch.visible_offsets[chunk] : batch.visible_offsets[chunk + 1]]
        if batch.segment_lengths[seen].sum():
            groups.setdefault((int(batch.query_indices[chunk]), seen.tobytes()), []).append(chunk)
    if not groups:
        return None
    rows, slots = list[Ints](), list[Ints]()
    for (_, seen_bytes), chunks in groups.items():
        bounds = ((batch.row_offsets[chunk], batch.row_offsets[chunk + 1]) for chunk in chunks)
        rows.append(np.concatenate([np.arange(first, last) for first, last in bounds]))
        seen = np.frombuffer(seen_bytes, dtype=np.int64)
        extents = zip(batch.segment_starts[seen], batch.segment_lengths[seen], strict=True)
        slots.append(np.concatenate([np.arange(start, start + length) for start, length in extents]))
    lengths = [np.asarray([len(part) for part in parts]) for parts in (rows, slots)]
    return Shared(
        as_index(np.concatenate(rows), transfer),
        as_index(np.concatenate(slots), transfer),
        Ragged.of(lengths[0], lengths[1], transfer),
    )


class Calls(Protocol):
    """Both calls of a step. Each returns mixed values [rows, heads, D] and their natural log-sum-exp [rows, heads]."""

    name: str
    """As an error names it."""

    def own(self, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
        """Each chunk over itself. query: [T, heads, D]; key, value: [T, kv_heads, D]."""
        ...

    def stored(self, layer: int, query: Tensor, shared: Shared, scaling: float) -> tuple[Tensor, Tensor]:
        """The rows `shared.rows`, whose queries [rows, heads, D] are given, over the slots that they see."""
        ...


class TwoParts:
    """See `step.Attend`."""

    def __init__(self, batch: Batch, transfer: Transfer, calls: Calls) -> None:
        self._calls, self._context_bias = calls, batch.context_bias
        self._shared = shared_part(batch, transfer)

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        """As `step.Attend`. Raises SettingError for other types than float16 and bfloat16."""
        if query.dtype not in (torch.float16, torch.bfloat16):
            raise SettingError(
                f"{self._calls.name} computes in float16 and bfloat16, not {query.dtype}: "
                "use attention_backend='triton'"
            )
        rows, own_keys, own_values = (x[0].transpose(0, 1) for x in (query, key, value))  # [T, heads, D]
        out, lse = self._calls.own(rows, own_keys, own_values, scaling)
        if self._shared is not None:
            some = self._shared.rows
            mixed, norm = self._calls.stored(layer, rows[some], self._shared, scaling)
            # on every score of the part: its mean of values stays, its weight changes
            norm = norm + self._context_bias
            # softmax over both parts: weights exp(lse) of each, normalised
            share = torch.sigmoid(norm - lse[some])[..., None]
            out[some] = torch.lerp(out[some].float(), mixed.float(), share).to(out.dtype)
        return out[None]
