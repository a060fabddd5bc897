"""At load, a small ranking problem is run through the engine and through the model's own eager attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..prompts.segments import Segments
from .attention.limits import SHORT, limited
from .attention.transformers_hook import use_engine_attention
from .batch import BatchBuilder
from .encoders import is_encoder, position_offset
from .errors import SettingError, UnsupportedModelError, out_of_memory
from .fused import unfused
from .loading.settings import AttentionMode
from .readout import IdentifierReadout, ReadsIdentifiers
from .readout.request import Subset
from .runner import ModelRunner
from .sessions import BlockQueryState, CausalQueryState

# Root-mean-square error of logits over their spread. A candidate that lost sight of the prefix is off by over 1.
_TOLERANCE = 1e-3
# In half precision rounding decides, by how much depends on the model: two ways of its own attention (eager, and SDPA,
# which rounds elsewhere) say how much. Of eleven architectures the engine was off by at most 1.9 times that.
_NOISE = 3.0
_HALVES = (torch.float16, torch.bfloat16)
_SECOND = "rranker-second"
_SLOTS = 64  # more than the prompt's 18 tokens, of which a whole model's worth is stored for a moment
_LENGTHS = (3, 1, 4, 2)
_SUBSETS: tuple[Subset, Subset] = ((0, 1, 2, 3), (0, 2, 3))
_ROWS = (0, 9)  # of a text alone: one of them sees a window's other end

Problem = Literal["causal", "block", "windows", "alone"]
"""Questions under dense masks, in one of both modes; causal ones, or one text alone, under the model's own masks."""


def self_check(lm: Any, runner: ModelRunner, attention: AttentionMode) -> float:
    """Ranks four candidates, drops one, and compares both rounds' logits with whole forwards of the model alone.

    Once under dense masks, as `attention` and the runner's `context_bias` define them. Where layers have sliding
    windows, they are wider than the prompt for that; then once more under the masks that the model makes itself, with
    windows that the prompt outgrows. An encoder makes masks and positions for one text alone, so that is what it is
    given then, always. Returns the root-mean-square error over the logits' standard deviation, the larger of the two.
    Raises UnsupportedModelError when one is too large, or when the model cannot be driven at all; leaves the model
    ready to run.
    """
    try:
        inside = f"in {attention} attention"
        if all(window is None for window in runner.windows):
            deviation = _check(lm, runner, attention, inside)
            if runner.bidirectional:
                deviation = max(deviation, _check(lm, runner, "alone", "on one text alone"))
            return deviation
        slots = min(runner.kv_cache.slots, _SLOTS)
        with limited(lm, _SLOTS):
            wide = ModelRunner(lm, runner.backend, slots, runner.context_bias)
            deviation = _check(lm, wide, attention, inside)
        with limited(lm, SHORT):
            narrow = ModelRunner(lm, runner.backend, slots)  # the model's own masks know no bias
            own: Problem = "alone" if runner.bidirectional else "windows"
            return max(deviation, _check(lm, narrow, own, "beyond its sliding windows"))
    except (UnsupportedModelError, SettingError):
        raise
    except Exception as error:  # model code raises what it likes when it is driven in a way it does not know
        if out_of_memory(error):
            raise
        raise UnsupportedModelError(
            f"{type(lm).__name__} cannot be driven by the engine: {type(error).__name__}: {error}"
        ) from error
    finally:
        use_engine_attention(lm)


def _check(lm: Any, runner: ModelRunner, problem: Problem, where: str) -> float:
    deviation, tolerance = _compared(lm, runner, problem, 0)
    # In half precision a router of experts that is nearly undecided may choose otherwise, and all logits move. That
    # is a matter of the prompt; a model that computes something else does so on most: two others decide.
    if not deviation <= tolerance and lm.dtype in _HALVES:
        others = [_compared(lm, runner, problem, number) for number in (1, 2)]
        if all(other <= allowed for other, allowed in others):
            return max(other for other, _ in others)
    if not deviation <= tolerance:
        raise UnsupportedModelError(
            f"{type(lm).__name__} does not compute in the engine what it computes alone (error {deviation:.2g}, "
            f"allowed {tolerance:.2g} {where}): it does something the engine does not reproduce"
        )
    return deviation


def _compared(lm: Any, runner: ModelRunner, problem: Problem, number: int) -> tuple[float, float]:
    """The deviation on one problem, and how much of it is allowed."""
    segments = _segments(int(lm.config.vocab_size), number)
    use_engine_attention(lm)
    computed = _through_engine(lm, runner, segments, problem)
    expected = _through_model(lm, segments, problem, "eager", runner.context_bias)
    _check_logits(lm, computed, expected)
    tolerance = _TOLERANCE
    if lm.dtype in _HALVES:
        second = _through_model(lm, segments, problem, _second(), runner.context_bias)
        tolerance = max(torch.finfo(lm.dtype).eps, _NOISE * _deviation(second, expected))
    return _deviation(computed, expected), tolerance


def _deviation(computed: Tensor, expected: Tensor) -> float:
    return float((computed - expected).square().mean().sqrt() / expected.std())


def _second() -> str:
    """The name of SDPA for any model: by its own name, models that declare no support for it refuse it."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(_SECOND, AttentionInterface()["sdpa"])
    AttentionMaskInterface.register(_SECOND, AttentionMaskInterface()["sdpa"])
    return _SECOND


def _check_logits(lm: Any, computed: Tensor, expected: Tensor) -> None:
    """Logits that no comparison can judge, named for what they are."""
    model, dtype = type(lm).__name__, str(lm.dtype).removeprefix("torch.")
    half = lm.dtype != torch.float32
    if not expected.isfinite().all() or (half and not computed.isfinite().all()):
        cure = {
            torch.float16: "use dtype='bfloat16' or 'float32'",
            torch.bfloat16: "use dtype='float32'",
        }.get(lm.dtype, "its weights are too large to be a trained model's")
        raise SettingError(f"{model} overflows in {dtype}, its logits are not finite: {cure}")
    if not expected.std() > 0:
        raise UnsupportedModelError(f"{model} gives all tokens the same logit: its weights are zeros")


def _segments(vocabulary: int, number: int) -> Segments:
    ids = iter(((np.arange(64) * 7919 + 31 + 1009 * number) % vocabulary).tolist())
    prefix, *candidates = ([next(ids) for _ in range(n)] for n in (6, *_LENGTHS))
    suffix = (next(ids), next(ids))
    return Segments(tuple(prefix), tuple(map(tuple, candidates)), suffix, tuple(_identifiers(vocabulary)[:4]))


def _identifiers(vocabulary: int) -> list[int]:
    return [int(i) for i in np.unique(np.linspace(0, vocabulary - 1, 64).astype(int))]


@torch.inference_mode()
def _through_engine(lm: Any, runner: ModelRunner, segments: Segments, problem: Problem) -> Tensor:
    """Logits of 64 spread tokens (of an encoder: states) of two questions, one step after the other: [2, 64 or D]."""
    if problem == "alone":
        builder, ids = BatchBuilder(bidirectional=True), dense_prompt(segments, _SUBSETS[0], "causal")[0]
        builder.chunk(ids.numpy(), 0, np.zeros(0, dtype=np.int64), 0)
        for row in _ROWS:
            builder.read(row)
        return runner.hidden(builder.build()).float().cpu()
    readout = None if runner.bidirectional else IdentifierReadout(lm)
    session_type = BlockQueryState if problem == "block" else CausalQueryState
    session = session_type(segments, "exclude", runner.kv_cache, ReadsIdentifiers())
    if not session.open():
        raise SettingError(
            f"kv_cache_tokens is too small to check the model: it takes {session.slots} tokens at least"
        )
    rows = []
    try:
        for subset in _SUBSETS:
            builder = runner.builder()
            session.plan(builder, 0, [subset])
            hidden = runner.hidden(builder.build())[-1:]
            if readout is not None:
                hidden = readout.logits(
                    hidden, readout.vectors(_identifiers(int(lm.config.vocab_size))), "exclude"
                )
            rows.append(hidden[0].float())
    finally:
        session.close()
    return torch.stack(rows).cpu()


def _through_model(
    lm: Any, segments: Segments, problem: Problem, implementation: str, context_bias: float
) -> Tensor:
    """The same from whole forwards of each prompt, under a dense mask or the masks the model makes itself."""
    with torch.inference_mode(), unfused(lm):
        return _whole_forwards(lm, segments, problem, implementation, context_bias)


def _whole_forwards(
    lm: Any, segments: Segments, problem: Problem, implementation: str, context_bias: float
) -> Tensor:
    lm.set_attn_implementation(implementation)
    if problem == "alone":
        ids = dense_prompt(segments, _SUBSETS[0], "causal")[0].to(lm.device)
        alone: Tensor = lm(input_ids=ids[None], use_cache=False).last_hidden_state[0, list(_ROWS)]
        return alone.float().cpu()
    bidirectional, offset, rows = is_encoder(lm.config), position_offset(lm), []
    for subset in _SUBSETS:
        attention: AttentionMode = "block" if problem == "block" else "causal"
        ids, positions, mask = dense_prompt(segments, subset, attention, bidirectional=bidirectional)
        bias = dense_bias(segments, subset, mask, context_bias, lm.dtype)
        output = lm(
            input_ids=ids[None].to(lm.device),
            position_ids=positions[None].to(lm.device) + offset,
            attention_mask=None if problem == "windows" else bias[None, None].to(lm.device),
            use_cache=False,
        )
        if bidirectional:
            rows.append(output.last_hidden_state[0, -1].float())
        else:
            rows.append(output.logits[0, -1, _identifiers(int(lm.config.vocab_size))].float())
    return torch.stack(rows).cpu()


def dense_prompt(
    segments: Segments, subset: Subset, attention: AttentionMode, *, bidirectional: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """One round's whole prompt: token ids [T], positions [T], and who sees whom, bool [T, T].

    The definition that everything faster is tested against. `bidirectional`: an encoder's.
    """
    pieces = _pieces(segments, subset)
    lengths = [len(piece) for piece in pieces]
    ids = torch.tensor([token for piece in pieces for token in piece])
    mask = torch.ones(len(ids), len(ids)).tril().bool()
    if attention == "causal":
        return ids, torch.arange(len(ids)), mask
    p, longest = lengths[0], max(len(ids) for ids in segments.candidates)
    firsts = [0] * len(pieces) if bidirectional else [0, *([p] * len(subset)), p + longest]
    positions = torch.cat([torch.arange(first, first + n) for first, n in zip(firsts, lengths, strict=True)])
    piece = _piece_numbers(pieces)
    last = len(pieces) - 1
    sees = (piece[:, None] == piece[None]) | (piece[None] == 0) | (piece[:, None] == last)
    return ids, positions, sees if bidirectional else mask & sees


def dense_bias(
    segments: Segments, subset: Subset, mask: Tensor, context_bias: float, dtype: torch.dtype
) -> Tensor:
    """What is added to the scaled attention scores of a prompt of `dense_prompt`, whose mask is given: [T, T].

    `context_bias` for a key of another segment than the row's, 0 for one of its own, and the least number of `dtype`
    for a key that the row does not see.
    """
    piece = _piece_numbers(_pieces(segments, subset))
    others = (piece[:, None] != piece[None]).to(dtype) * context_bias
    return others.masked_fill(~mask, torch.finfo(dtype).min)


def _pieces(segments: Segments, subset: Subset) -> list[tuple[int, ...]]:
    return [segments.prefix, *(segments.candidates[place] for place in subset), segments.suffix]


def _piece_numbers(pieces: Sequence[Sequence[int]]) -> Tensor:
    """[T]: which piece a token is of."""
    return torch.repeat_interleave(torch.arange(len(pieces)), torch.tensor([len(piece) for piece in pieces]))
