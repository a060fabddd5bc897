"""Prefill against torch's SDPA with copied prefixes; decode against SDPA per rollout: one kernel of ours for both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention

from bench.gpu_measure import Line, Sizes, seconds
from rranker.engine.attention.triton_metadata import attention_metadata
from rranker.engine.batch import Batch, BatchBuilder, Segment
from rranker.kernels.attention.kernel import attention
from rranker.kernels.attention.reference import attention_reference
from rranker.kernels.attention.work import AttentionMetadata
from rranker.kernels.launch import attention_tile

NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Problem:
    """A plan and random queries, keys and values for it, in the layouts the engine hands over."""

    plan: Batch
    query: Tensor
    own: tuple[Tensor, Tensor]
    stored: tuple[Tensor, Tensor]

    @property
    def scaling(self) -> float:
        return float(self.query.shape[-1] ** -0.5)

    def work(self) -> AttentionMetadata:
        kv_heads = len(self.own[0])
        shape = len(self.query) // kv_heads, kv_heads, attention_tile(self.query).block_m
        return attention_metadata(self.plan, *shape).to(self.query.device)

    def runner(self, *, reference: bool = False) -> Callable[[], Tensor]:
        """Attends, again and again, as every layer of a step does."""
        work, out = self.work(), self.query.new_empty(self.plan.rows, len(self.query), self.query.shape[-1])
        words, attend = work.key_words(), attention_reference if reference else attention
        tensors = self.query, *self.own, *self.stored

        def run() -> Tensor:
            attend(*tensors, work, words, out, self.scaling)
            return out

        return run

    def exact(self) -> Problem:
        """The same in float64."""
        pairs = (tuple(x.double() for x in pair) for pair in (self.own, self.stored))
        return Problem(self.plan, self.query.double(), *pairs)  # type: ignore[arg-type]  # of two tensors each


def problem(builder: BatchBuilder, slots: int, sizes: Sizes, on: torch.device) -> Problem:
    plan, (q_heads, kv_heads) = builder.build(), sizes.heads

    def normal(heads: int, count: int) -> Tensor:
        return torch.randn(heads, count, sizes.head_dim, device=on, dtype=sizes.dtype)

    def rows(heads: int) -> Tensor:
        # As a model's projections leave them: the heads of a row side by side.
        return normal(plan.rows, heads).transpose(0, 1)

    own = rows(kv_heads), rows(kv_heads)
    return Problem(plan, rows(q_heads), own, (normal(kv_heads, slots), normal(kv_heads, slots)))


def candidates_plan(sizes: Sizes) -> tuple[BatchBuilder, int]:
    """Every query's candidates over its stored prefix."""
    builder = BatchBuilder()
    for query in range(sizes.queries):
        prefix = builder.segment(Segment(query * sizes.prefix, sizes.prefix, 0))
        tokens = np.zeros(sizes.candidate, dtype=np.int64)
        for _ in range(sizes.candidates):
            builder.chunk(tokens, sizes.prefix, np.asarray([prefix]), query)
    return builder, sizes.queries * sizes.prefix


def long_plan(sizes: Sizes) -> tuple[BatchBuilder, int]:
    """One plain causal prompt."""
    builder = BatchBuilder()
    builder.chunk(np.zeros(sizes.long_chunk, dtype=np.int64), 0, NOTHING, 0)
    return builder, 1


def rollouts_plan(sizes: Sizes, shared: bool) -> tuple[BatchBuilder, int]:
    """4 rollouts a query, one new token each, over its prompt and 64 own tokens; `shared` says of one prompt."""
    builder, length, own = BatchBuilder(), sizes.prefix + sizes.candidates * sizes.candidate, 64
    prompts = 1 if shared else 4 * sizes.queries
    for rollout in range(4 * sizes.queries):
        prompt = builder.segment(Segment((0 if shared else rollout) * length, length, 0))
        mine = builder.segment(Segment(prompts * length + rollout * own, own, length))
        visible = np.asarray([prompt, mine])
        builder.chunk(np.zeros(1, dtype=np.int64), length + own, visible, 0 if shared else rollout)
    return builder, prompts * length + 4 * sizes.queries * own


def questions_plan(sizes: Sizes) -> tuple[BatchBuilder, int]:
    """Of every query, a guessed question for each round: one candidate less each time, in tiles that they share."""
    builder, length = BatchBuilder(), sizes.prefix + sizes.candidates * sizes.candidate
    for query in range(sizes.queries):
        start = query * length
        prefix = builder.segment(Segment(start, sizes.prefix, 0))
        lengths = np.full(sizes.candidates, sizes.candidate, dtype=np.int64)
        places = builder.segments(start + sizes.prefix, lengths, sizes.prefix)
        for alive in range(sizes.candidates, 1, -1):
            visible = np.concatenate([[prefix], places[:alive]])
            builder.chunk(np.zeros(sizes.suffix, dtype=np.int64), length, visible, query)
    return builder, sizes.queries * length


def check(sizes: Sizes, on: torch.device) -> Iterator[tuple[str, float]]:
    """Relative errors against float64 references, in the layouts and over the kinds of plan that are timed.

    Cut short, but over several splits: most items of decode take no rows' own keys.
    """
    few = replace(sizes, prefix=37, candidate=13, candidates=3, queries=2, long_chunk=70)
    many = replace(few, prefix=530, candidate=150, suffix=5)
    plans = {
        "prefill": candidates_plan(few),
        "prefill, causal": long_plan(few),
        "decode, shared": rollouts_plan(many, True),
        "decode": rollouts_plan(many, False),
        "questions": questions_plan(many),
    }
    for name, (builder, slots) in plans.items():
        case = problem(builder, slots, few, on)
        found, expected = case.runner()().double(), case.exact().runner(reference=True)()
        yield name, float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def prefill_lines(sizes: Sizes, on: torch.device, matmul: float) -> Iterator[Line]:
    pairs = sizes.candidate * sizes.prefix + sizes.candidate * (sizes.candidate + 1) // 2
    pairs *= sizes.candidates * sizes.queries
    copies, width = sizes.queries * sizes.candidates, sizes.prefix + sizes.candidate
    yield _prefill_line(
        "prefill, candidates",
        candidates_plan(sizes),
        pairs,
        (copies, sizes.candidate, width),
        sizes,
        on,
        matmul,
    )
    n = sizes.long_chunk
    yield _prefill_line("prefill, causal", long_plan(sizes), n * (n + 1) // 2, (1, n, n), sizes, on, matmul)


def _prefill_line(
    name: str,
    plan: tuple[BatchBuilder, int],
    pairs: int,
    shape: tuple[int, int, int],
    sizes: Sizes,
    on: torch.device,
    matmul: float,
) -> Line:
    """shape: sequences, rows and keys of SDPA's copy of the same work."""
    case = problem(*plan, sizes, on)
    flops = 4 * pairs * sizes.heads[0] * sizes.head_dim
    ours = seconds(case.runner(), on)
    batch, rows, keys = shape
    q, k, v = (
        torch.randn(batch, heads, length, sizes.head_dim, device=on, dtype=sizes.dtype)
        for heads, length in ((sizes.heads[0], rows), (sizes.heads[1], keys), (sizes.heads[1], keys))
    )
    lower = causal_lower_right(rows, keys)
    dense = torch.ones(rows, keys, dtype=torch.bool, device=on).tril(keys - rows)

    def attend(mask: object) -> Callable[[], Tensor]:
        return lambda: scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)  # type: ignore[arg-type]

    ways = {"flash": (SDPBackend.FLASH_ATTENTION, lower), "cudnn": (SDPBackend.CUDNN_ATTENTION, dense)}
    if on.type != "cuda":
        ways = {"math": (SDPBackend.MATH, dense)}
    others = {way: _tried(sdpa_kernel(kind), attend(mask), on) for way, (kind, mask) in ways.items()}
    best = min((took for took in others.values() if took is not None), default=None)
    listed = ", ".join(
        f"{way} " + ("not available" if took is None else f"{flops / took / 1e12:.0f}")
        for way, took in others.items()
    )
    return Line(
        f"{name} (TFLOP/s, share of a matmul's)",
        f"{flops / ours / 1e12:.0f}, {flops / ours / matmul:.0%}",
        f"SDPA {listed}",
        None if best is None else best / ours,
        1.0,
    )


def _tried(
    backend: AbstractContextManager[None], attend: Callable[[], Tensor], on: torch.device
) -> float | None:
    """Seconds; None when this backend does not take these inputs."""
    with backend:
        try:
            return seconds(attend, on)
        except (torch.OutOfMemoryError, torch.AcceleratorError):  # RuntimeErrors, but not of the inputs
            raise
        except RuntimeError:
            return None


def decode_lines(sizes: Sizes, on: torch.device, copy: float) -> Iterator[Line]:
    rollouts, length = 4 * sizes.queries, sizes.prefix + sizes.candidates * sizes.candidate
    token = 2 * sizes.heads[1] * sizes.head_dim * torch.finfo(sizes.dtype).bits // 8
    q = torch.randn(rollouts, sizes.heads[0], 1, sizes.head_dim, device=on, dtype=sizes.dtype)
    k, v = (
        torch.randn(rollouts, sizes.heads[1], length + 65, sizes.head_dim, device=on, dtype=sizes.dtype)
        for _ in range(2)
    )
    other = seconds(lambda: scaled_dot_product_attention(q, k, v, enable_gqa=True), on)
    for name, shared in (("decode, a prompt each", False), ("decode, one prompt shared", True)):
        case = problem(*rollouts_plan(sizes, shared), sizes, on)
        took = seconds(case.runner(), on)
        read = token * (length * (1 if shared else rollouts) + 64 * rollouts)
        yield Line(
            f"{name}: bandwidth (GB/s), share of a copy's",
            f"{read / took / 1e9:.0f}",
            f"copy {copy / 1e9:.0f}",
            read / took / copy,
            None if shared else 0.7,  # shared keys are few bytes: time is what counts, in the next line
        )
        yield Line(
            f"{name}: time (µs), SDPA's over ours",
            f"{took * 1e6:.0f}",
            f"SDPA {other * 1e6:.0f}",
            other / took,
        )
