"""fp32 master weights under a bf16 model: rounding each update to bf16 would lose most of it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from rranker.training.policy.ranking_model import BILINEAR_RATE
from rranker.training.sft.config import SftConfig


def rate(step: int, config: SftConfig) -> float:
    """Share of the peak learning rate at `step`: linear warm-up, then cosine down to `final_lr`.

    A run that is short warms up in a tenth of its steps.
    """
    warmup = min(config.warmup, config.steps // 10)
    if step < warmup:
        return (step + 1) / warmup
    done = min((step - warmup) / max(config.steps - warmup, 1), 1.0)
    return config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * done))


def learnt(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The parameters that training changes, with their names."""
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


class MasterOptimizer:
    """AdamW (or Muon for the layers' matrices) on fp32 copies of the parameters that training changes."""

    def __init__(self, model: nn.Module, config: SftConfig) -> None:
        self.config = config
        named = learnt(model)
        self.live = [p for _, p in named]
        self.masters = [p.detach().float().clone().requires_grad_() for p in self.live]
        self.gradients = [torch.zeros_like(master) for master in self.masters]
        for master, gradient in zip(self.masters, self.gradients, strict=True):
            master.grad = gradient
        pairs = list(zip((n for n, _ in named), self.masters, strict=True))
        is_muon = {n: config.optimizer == "muon" and p.ndim == 2 and ".layers." in n for n, p in pairs}
        adam = [(n, p) for n, p in pairs if not is_muon[n]]
        bilinear = [p for n, p in adam if n.endswith("head.W")]
        rest = [(n, p) for n, p in adam if not n.endswith("head.W")]
        groups = [
            {"params": [p for _, p in rest if p.ndim == 2], "weight_decay": config.weight_decay},
            {"params": [p for _, p in rest if p.ndim != 2], "weight_decay": 0.0},
            {"params": bilinear, "weight_decay": 0.0, "scale": BILINEAR_RATE},
        ]
        self.clipped = [[p for n, p in pairs if ("head" in n.split(".")) == part] for part in (False, True)]
        self.parts: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)
        ]
        if any(is_muon.values()):
            muon = [p for n, p in pairs if is_muon[n]]
            self.parts.append(
                torch.optim.Muon(
                    muon, lr=config.lr, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
                )
            )

    def step(self, step: int) -> float:
        """Clips `gradients`, updates the masters by them, and copies those down. Returns the gradient norm."""
        norms = [nn.utils.clip_grad_norm_(part, self.config.clip) for part in self.clipped if part]
        norm = float(torch.stack(norms).max())  # Python's max passes over a NaN that is not the first
        if not math.isfinite(norm):
            raise FloatingPointError(f"step {step}: the gradient norm is {norm}; lower the learning rate")
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self.config.lr * rate(step, self.config) * group.get("scale", 1.0)
            part.step()
        with torch.no_grad():
            for live, master in zip(self.live, self.masters, strict=True):
                live.copy_(master)
        return norm

    def state_dict(self) -> dict[str, Any]:
        """The fp32 masters and both optimisers' states."""
        return {"masters": self.masters, "parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave; the live weights become the masters' values."""
        with torch.no_grad():
            for live, master, saved in zip(self.live, self.masters, state["masters"], strict=True):
                master.copy_(saved)
                live.copy_(saved)
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)
