"""The masks of a packed batch, written down from the rules and nothing else."""

from __future__ import annotations

import torch

from rranker.training.packing.layout import Layout


def reference_mask(layout: Layout) -> torch.Tensor:
    """[1, 1, T, T]: what attention scores are raised by, written down from the rules and nothing else."""
    size = len(layout.ids)
    seen = torch.eye(size, dtype=torch.bool)
    segment = torch.arange(size) + size  # a suffix is a segment of one token
    for b in range(len(layout.prefix)):
        prefix = layout.prefix[b][layout.prefix_valid[b]]
        candidates = [c[ok] for c, ok in zip(layout.candidates[b], layout.candidates_valid[b], strict=True)]
        for i, row in enumerate(prefix):
            seen[row, prefix if layout.attends.bidirectional else prefix[: i + 1]] = True
        for number, own in enumerate([prefix, *candidates]):
            segment[own] = b * 100 + number
        for candidate in candidates:
            for i, row in enumerate(candidate):
                seen[row, prefix] = True
                seen[row, candidate if layout.attends.bidirectional else candidate[: i + 1]] = True
        for row, alive in zip(layout.suffix[b], layout.alive[b], strict=True):
            seen[row, prefix] = True
            for candidate in (c for c, lives in zip(candidates, alive, strict=True) if lives):
                seen[row, candidate] = True
    foreign = segment[:, None] != segment[None]
    raised = torch.where(foreign, layout.attends.context_bias, 0.0)
    return raised.masked_fill(~seen, torch.finfo(torch.float32).min)[None, None]


def causal_mask(layout: Layout) -> torch.Tensor:
    """The same for whole prompts: a suffix copy sees its prompt up to the end of its last candidate."""
    size = len(layout.ids)
    seen = torch.eye(size, dtype=torch.bool)
    for b in range(len(layout.prefix)):
        prompt = layout.prefix[b][layout.prefix_valid[b]]
        for i, row in enumerate(prompt):
            seen[row, prompt[: i + 1]] = True
        for row, alive in zip(layout.suffix[b], layout.alive[b], strict=True):
            last = layout.ends[b][alive].max()
            seen[row, prompt[prompt <= last]] = True
    return torch.zeros(1, 1, size, size).masked_fill_(~seen, torch.finfo(torch.float32).min)
