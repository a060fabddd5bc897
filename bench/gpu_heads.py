"""Score and logprob against their reference torch formulations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from bench.gpu_measure import Line, Sizes, peak_bytes, seconds
from rranker.kernels.logprob import backward_reference, forward_reference, selected_logprobs
from rranker.kernels.logprob import kernel as logprob_kernel
from rranker.kernels.score.kernel import score
from rranker.kernels.score.reference import score_reference


def _decisions(sizes: Sizes, on: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    hidden = torch.randn(sizes.decisions, sizes.hidden, device=on, dtype=sizes.dtype)
    weight = torch.randn(sizes.vocabulary, sizes.hidden, device=on, dtype=sizes.dtype) / sizes.hidden**0.5
    identifiers = torch.randint(sizes.vocabulary, (sizes.decisions * sizes.candidates,), device=on).int()
    offsets = torch.arange(sizes.decisions + 1, device=on).int() * sizes.candidates
    return hidden, weight, identifiers, offsets


def _rows(sizes: Sizes, on: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    hidden = torch.randn(sizes.rows, sizes.hidden, device=on, dtype=sizes.dtype)
    weight = torch.randn(sizes.vocabulary, sizes.hidden, device=on, dtype=sizes.dtype) / sizes.hidden**0.5
    return hidden, weight, torch.randint(sizes.vocabulary, (sizes.rows,), device=on)


def check(sizes: Sizes, on: torch.device) -> Iterator[tuple[str, float]]:
    """Relative errors against float64 references, on a few rows and a small vocabulary."""
    from dataclasses import replace

    small = replace(sizes, decisions=7, candidates=5, rows=67, vocabulary=777, hidden=192)

    def error(found: Tensor, expected: Tensor) -> float:
        return float((found.double() - expected).square().mean().sqrt() / expected.square().mean().sqrt())

    hidden, weight, identifiers, offsets = _decisions(small, on)
    found = score(hidden, weight, identifiers, offsets, small.candidates)
    yield (
        "score",
        error(
            found.logprobs,
            score_reference(
                hidden.double(), weight.double(), identifiers, offsets, small.candidates
            ).logprobs,
        ),
    )
    hidden, weight, targets = _rows(small, on)
    exact = hidden.double(), weight.double(), targets, 0.7
    expected = forward_reference(*exact)
    forward = logprob_kernel.forward(hidden, weight, targets, 0.7)
    yield "logprob, forward", max(error(a, b) for a, b in zip(forward, expected, strict=True))
    upstream = torch.randn(2, small.rows, device=on)
    grads = logprob_kernel.backward(
        hidden, weight, targets, 0.7, forward[2], forward[1], upstream[0], upstream[1], (True, True)
    )
    reference = backward_reference(
        *exact, expected[2], expected[1], upstream[0].double(), upstream[1].double(), (True, True)
    )
    pairs = zip(grads, reference, strict=True)
    yield "logprob, backward", max(error(a, b) for a, b in pairs if a is not None and b is not None)


def score_lines(sizes: Sizes, on: torch.device) -> Iterator[Line]:
    hidden, weight, identifiers, offsets = _decisions(sizes, on)

    def reference() -> Tensor:
        gathered = weight[identifiers.long()].view(sizes.decisions, sizes.candidates, -1)
        logits = torch.einsum("rnh,rh->rn", gathered.float(), hidden.float())
        logs = logits.log_softmax(-1)
        return torch.stack([-(logs.exp() * logs).sum(-1), logits.argmax(-1).float()])

    def ours() -> object:
        return score(hidden, weight, identifiers, offsets, sizes.candidates)

    yield from _both(f"score, {sizes.decisions} × {sizes.candidates}", ours, reference, on, None, None)


def logprob_lines(sizes: Sizes, on: torch.device) -> Iterator[Line]:
    hidden, weight, targets = _rows(sizes, on)
    hidden.requires_grad_(True)
    weight.requires_grad_(True)

    def reference() -> Tensor:
        logs = (hidden @ weight.T).float().log_softmax(-1)
        return logs.gather(1, targets[:, None]).mean() - (logs.exp() * logs).sum(-1).mean()

    def ours() -> Tensor:
        logs, entropy = selected_logprobs(hidden, weight, targets)
        return logs.mean() + entropy.mean()

    def trained(value: Callable[[], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(value(), (hidden, weight))

    name = f"logprob, {sizes.rows} × {sizes.vocabulary}"
    with torch.no_grad():
        yield from _both(f"{name}, forward", ours, reference, on, 2.0, 0.1)
    yield from _both(f"{name}, forward and backward", trained(ours), trained(reference), on, 2.0, 0.1)


def _both(
    name: str,
    ours: Callable[[], object],
    reference: Callable[[], object],
    on: torch.device,
    faster: float | None,
    smaller: float | None,
) -> Iterator[Line]:
    """A line of times and a line of peak memory; a reference formulation that does not fit says so."""
    mine, held = seconds(ours, on), peak_bytes(ours, on)
    try:
        other, other_held = seconds(reference, on), peak_bytes(reference, on)
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        yield Line(f"{name} (ms; MB)", f"{mine * 1e3:.2f}; {held / 1e6:.0f}", "reference: out of memory")
        return
    yield Line(
        f"{name}: time (ms), reference's over ours",
        f"{mine * 1e3:.2f}",
        f"{other * 1e3:.2f}",
        other / mine,
        faster,
    )
    ratio = held / other_held if other_held else None
    yield Line(
        f"{name}: peak memory (MB), ours over reference's",
        f"{held / 1e6:.0f}",
        f"{other_held / 1e6:.0f}",
        ratio,
        smaller,
        at_least=False,
    )
