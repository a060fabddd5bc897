"""Where the rows of a flattened batch belong: the block structure as index tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Self, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from rranker.engine.readout import LateInteraction, Pooling, feedback_share, segment_states
from rranker.prompts import Segments

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Attends:
    """How tokens of a model attend: `bidirectional` within their segment (an encoder's), or causally.

    `context_bias` is added to their scores of keys outside it. `context`: positions there are for a segment, where
    every segment starts anew; None: enough.
    """

    bidirectional: bool = False
    context_bias: float = 0.0
    context: int | None = None


CAUSALLY = Attends()
Moved = TypeVar("Moved", bound="DataclassInstance")


@dataclass(frozen=True)
class Layout:
    """B queries of at most P prefix tokens, N candidates of at most C tokens, S one-token suffix copies.

    T real tokens lie in one row, unpadded: prefixes, then candidates, then suffixes. They attend to themselves as
    `attends` says. The index tensors pad them for attention only, so linear layers see real tokens only. Padding is
    masked, and points at rows all over (`spread`).
    """

    ids: Tensor  # [T]
    positions: Tensor  # [T]
    prefix: Tensor  # [B, P] rows
    prefix_valid: Tensor  # [B, P] bool
    candidates: Tensor  # [B, N, C] rows
    candidates_valid: Tensor  # [B, N, C] bool
    suffix: Tensor  # [B, S] rows
    alive: Tensor  # [B, S, N] bool
    ends: Tensor  # [B, N] rows of each candidate's last token (row 0 where there is no candidate)
    back: Tensor  # [T] places in the concatenated padded outputs
    attends: Attends = field(default=CAUSALLY, kw_only=True)
    prior: Tensor | None = field(default=None, kw_only=True)  # [B, N], see `Segments`; None: all 0
    search: Tensor = field(kw_only=True)  # [B] bool, see `Segments`

    def states(self, hidden: Tensor, pooling: Pooling) -> tuple[Tensor, Tensor | None]:
        """hidden [T, D] → states of the candidates [B, N, D] and, but for `last`, of the prefixes [B, D]."""
        if pooling == "last":
            return hidden[self.ends], None
        present = self.present
        lengths = [*self.prefix_valid.sum(-1).tolist(), *self.candidates_valid.sum(-1)[present].tolist()]
        states = segment_states(hidden[: sum(lengths)].float(), lengths, pooling)
        candidates = states.new_zeros(*present.shape, states.shape[-1])
        candidates[present] = states[len(self.prefix) :]
        return candidates, states[: len(self.prefix)]

    def text_states(self, hidden: Tensor, pooling: Pooling) -> Tensor:
        """hidden [T, D] of texts that stand alone → their states [B, D]."""
        return segment_states(hidden.float(), self.prefix_valid.sum(-1).tolist(), pooling)

    def max_similarities(self, hidden: Tensor) -> Tensor:
        """hidden [T, D] → [B, N], as the engine's `max_similarities`; of no meaning where there is no candidate."""
        rows = picked(hidden, self.candidates), self.candidates_valid
        return padded_max_similarities(picked(hidden, self.prefix), self.prefix_words, *rows)

    def feedback_similarities(self, hidden: Tensor, chosen: Tensor) -> Tensor:
        """hidden [T, D], chosen [B] → [B, N], as the engine's `feedback_similarities`."""
        texts, valid = picked(hidden, self.candidates), self.candidates_valid
        one = torch.arange(len(chosen), device=chosen.device), chosen
        said = padded_max_similarities(texts[one], asked_words_of(valid[one]), texts, valid)
        shares = [feedback_share(n) for n in self.present.sum(1).tolist()]
        return said.new_tensor(shares)[:, None] * said

    def matches(self, hidden: Tensor, late: LateInteraction, alone: Tensor, prefixes: Tensor) -> Tensor:
        """[B, N], as the engine's `matches`: `alone` [B, N] is how candidates fit without, prefixes [B, D] states."""
        strength = late.strength(prefixes, self.search)[:, None]
        matched = strength * self.max_similarities(hidden)
        if late.feedback is None:
            return matched
        fitness = (alone + matched).detach()
        best = fitness.masked_fill(~self.present, -torch.inf).argmax(1)
        return matched + strength * late.feedback * self.feedback_similarities(hidden, best)

    @property
    def prefix_words(self) -> Tensor:
        """[B, P] bool: see `asked_words_of`."""
        return asked_words_of(self.prefix_valid)

    def to(self, device: torch.device) -> Self:
        """The same layout with its index tensors on `device`."""
        return moved(self, device)

    @property
    def span(self) -> int:
        """How many positions its longest prompt takes."""
        return int(self.positions.max()) + 1

    @property
    def present(self) -> Tensor:
        """[B, N] bool: which candidates exist."""
        return self.candidates_valid[:, :, 0]


def words_of(valid: Tensor) -> Tensor:
    """valid […, P] bool, tokens that are there first → […, P]: those that neither open nor close a text."""
    places = torch.arange(valid.shape[-1], device=valid.device)
    return (places > 0) & (places < valid.sum(-1, keepdim=True) - 1)


def asked_words_of(valid: Tensor) -> Tensor:
    """As `words_of`, of a query; one without words asks with all of its tokens."""
    words = words_of(valid)
    return torch.where(words.any(-1, keepdim=True), words, valid)


def padded_max_similarities(queries: Tensor, words: Tensor, texts: Tensor, texts_valid: Tensor) -> Tensor:
    """queries [B, P, D] against texts [B or 1, N, C, D] → [B, N]: see `max_similarities`.

    `words` [B, P] bool: which of the queries' tokens count. `texts_valid` [B or 1, N, C] bool: those that are there.
    """
    n, c = texts.shape[1:3]
    tokens = normalize(texts.float(), dim=-1).flatten(1, 2)
    alike = (normalize(queries.float(), dim=-1) @ tokens.mT).view(*queries.shape[:2], n, c)
    best = alike.masked_fill(~words_of(texts_valid)[:, None], 0.0).amax(-1)  # [B, P, N]
    counted: Tensor = (best * words[..., None]).sum(1) / words.sum(1, keepdim=True)
    return counted


def picked(x: Tensor, rows: Tensor) -> Tensor:
    """x [T, …], rows […] → […, …]. Not `x[rows]`, whose gradient is added up row by row, after a sort."""
    return x.index_select(0, rows.flatten()).view(*rows.shape, *x.shape[1:])


def spread(rows: Tensor, valid: Tensor, total: int) -> Tensor:
    """`rows` with what is not `valid` pointing at `total` rows in turn.

    Padding brings gradients of zero. If all of it pointed at one row, a GPU would add them up one after the other.
    """
    padding = (~valid).flatten().cumsum(0).view_as(rows) - 1
    return torch.where(valid, rows, padding % total)


def moved(batch: Moved, device: torch.device) -> Moved:
    """A dataclass with its tensors, and those of dataclasses of it that know how, on `device`."""
    held = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return replace(batch, **{name: x.to(device) for name, x in held.items() if hasattr(x, "to")})


def build_layout(
    segments: Sequence[Segments],
    suffixes: Sequence[Sequence[int]],
    alive: Sequence[Tensor],
    attends: Attends = CAUSALLY,
) -> Layout:
    """`suffixes[b]` are the tokens of query b's S copies; `alive[b]` is [S, n_b] bool.

    An encoder's segments all start at position 0.
    """
    batch, copies = len(segments), len(suffixes[0])
    width = max(len(s.prefix) for s in segments)
    many = max(len(s.candidates) for s in segments)
    long = max(len(c) for s in segments for c in s.candidates)
    prefix = torch.zeros(batch, width, dtype=torch.long)
    prefix_valid = torch.zeros(batch, width, dtype=torch.bool)
    rows = torch.zeros(batch, many, long, dtype=torch.long)
    valid = torch.zeros(batch, many, long, dtype=torch.bool)
    ends = torch.zeros(batch, many, dtype=torch.long)
    mask = torch.zeros(batch, copies, many, dtype=torch.bool)
    prior = torch.zeros(batch, many) if any(s.prior for s in segments) else None
    ids: list[int] = []
    positions: list[int] = []
    back: list[Tensor] = []
    for b, s in enumerate(segments):
        p = len(s.prefix)
        prefix[b, :p] = torch.arange(len(ids), len(ids) + p)
        prefix_valid[b, :p] = True
        back.append(b * width + torch.arange(p))
        ids += s.prefix
        positions += range(p)
    for b, s in enumerate(segments):
        p = 0 if attends.bidirectional else len(s.prefix)
        for i, candidate in enumerate(s.candidates):
            c = len(candidate)
            rows[b, i, :c] = torch.arange(len(ids), len(ids) + c)
            valid[b, i, :c] = True
            ends[b, i] = len(ids) + c - 1
            back.append(batch * width + (b * many + i) * long + torch.arange(c))
            ids += candidate
            positions += range(p, p + c)
        mask[b, :, : len(s.candidates)] = alive[b]
        if prior is not None and s.prior:
            prior[b, : len(s.prior)] = torch.tensor(s.prior)
    suffix = len(ids) + torch.arange(batch * copies).view(batch, copies)
    back.append(batch * width + batch * many * long + torch.arange(batch * copies))
    for s, tokens in zip(segments, suffixes, strict=True):
        ids += tokens
        positions += [0 if attends.bidirectional else len(s.prefix) + max(map(len, s.candidates))] * copies
    return Layout(
        torch.tensor(ids),
        torch.tensor(positions),
        spread(prefix, prefix_valid, len(ids)),
        prefix_valid,
        spread(rows, valid, len(ids)),
        valid,
        suffix,
        mask,
        ends,
        torch.cat(back),
        attends=attends,
        prior=prior,
        search=torch.tensor([s.search for s in segments]),
    )


def build_text_layout(texts: Sequence[Sequence[int]], attends: Attends, *, search: bool = False) -> Layout:
    """Texts that stand alone: B prefixes without candidates or questions. `search`: of queries, see `Segments`."""
    batch, width = len(texts), max(map(len, texts))
    lengths = torch.tensor([len(text) for text in texts])
    places = torch.arange(width)[None]
    valid = places < lengths[:, None]
    first = lengths.cumsum(0) - lengths
    nothing = torch.zeros(batch, 0, dtype=torch.long)
    return Layout(
        torch.tensor([token for text in texts for token in text]),
        places.expand(batch, -1)[valid],
        spread(first[:, None] + places, valid, int(lengths.sum())),
        valid,
        nothing[:, None, :].expand(batch, 0, 0),
        nothing[:, None, :].expand(batch, 0, 0).bool(),
        nothing,
        nothing[:, None, :].expand(batch, 0, 0).bool(),
        nothing,
        valid.flatten().nonzero()[:, 0],
        attends=attends,
        search=torch.full((batch,), search),
    )
