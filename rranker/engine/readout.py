"""From hidden states to logits over candidates, without ever touching the full vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..prompts.segments import Kind
from .batch import Ints
from .errors import UnsupportedModelError
from .files import check_tensors

HEAD_FILE = "pointer_head.safetensors"


class Readout(Protocol):
    """Logits of a candidate being named by the suffix: excluded by `exclude`, chosen by `select`.

    Differentiable; `gather.read` is how a step is read.
    """

    needs_states: bool
    """Whether a candidate is read at its own last token (else its label is enough)."""

    def vectors(self, labels: Sequence[int] | Ints) -> Tensor:
        """[n, D], fp32: what stands for the candidates of these labels. For readouts without states."""
        ...

    def logits(self, suffixes: Tensor, candidates: Tensor, kind: Kind) -> Tensor:
        """suffixes [m, D] hidden states, candidates [n, D] vectors or states → [m, n], fp32."""
        ...


class IdentifierReadout:
    """The language model's own head, at the rows of the candidates' identifier tokens.

    weight: [V, D]; logits are multiplied by `scale`, then soft-capped to `cap` (None: they are not).
    """

    needs_states = False

    def __init__(self, lm: Any) -> None:
        head = lm.get_output_embeddings()
        if head is None:
            raise UnsupportedModelError(
                f"{type(lm).__name__} has no language-model head to read identifiers from"
            )
        _check_plain(head, lm)
        self.weight: Tensor = head.weight
        self.scale = logit_scale(lm.config)
        # The Gemmas cap: the same word as in their config.json.
        self.cap: float | None = getattr(lm.config, "final_logit_softcapping", None)

    def vectors(self, labels: Sequence[int] | Ints) -> Tensor:
        """[labels, D] rows of the language-model head, fp32."""
        index = torch.as_tensor(labels, dtype=torch.long, device=self.weight.device)
        return self.weight.index_select(0, index).float()

    def logits(self, suffixes: Tensor, candidates: Tensor, kind: Kind) -> Tensor:
        """suffixes [S, D] by candidates [N, D] → logits [S, N], scaled and capped as the model's own are."""
        found = suffixes.float() @ candidates.T * self.scale
        return found if self.cap is None else torch.tanh(found / self.cap) * self.cap


def _check_plain(head: Any, lm: Any) -> None:
    """Raises UnsupportedModelError unless `head` computes a product with its weight [vocabulary, D], no more.

    By its type, exactly: a subclass (adapters, quantised or parametrised weights) may do anything with the weight.
    """
    name = type(lm).__name__
    hooked = bool(head._forward_hooks or head._forward_pre_hooks)  # noqa: SLF001 (torch has no public way to ask)
    if type(head) is not nn.Linear or hooked:
        kind = f"a {type(head).__name__}" + (" with hooks" if type(head) is nn.Linear else "")
        raise UnsupportedModelError(
            f"{name}'s language-model head is {kind}, and identifiers are read through a plain nn.Linear: merge "
            "adapters, load unquantised weights, or train a pointer head"
        )
    if head.bias is not None:
        raise UnsupportedModelError(f"{name}'s language-model head has a bias; only plain heads are read")
    weight, vocabulary = head.weight, int(lm.config.vocab_size)
    if weight.ndim != 2 or len(weight) < vocabulary or not weight.is_floating_point():
        raise UnsupportedModelError(
            f"{name}'s language-model head has weights of shape {tuple(weight.shape)} and type {weight.dtype}, not a "
            f"row of numbers for each of {vocabulary} tokens"
        )


def logit_scale(config: Any) -> float:
    """What a model multiplies its logits by. Granite divides, Cohere multiplies: the words of their config.json."""
    by, over = getattr(config, "logit_scale", None), getattr(config, "logits_scaling", None)
    return float(by or 1.0) / float(over or 1.0)


def pointer_fitness(w: Tensor, bilinear: Tensor, suffixes: Tensor, candidates: Tensor) -> Tensor:
    """Fitness f_i = (w·h_i + (W h_s)·h_i) / √D, with gradients: suffixes […, S, D], candidates […, N, D] → […, S, N].

    h_i is candidate i's last token, h_s the suffix's, after the final norm. The first term looks at a candidate alone,
    the second (W is `bilinear` [D, D]) knows who is still alive. All in fp32.
    """
    states = candidates.float()
    fitness: Tensor = (w + suffixes.float() @ bilinear.T) @ states.mT / states.shape[-1] ** 0.5
    return fitness


class PointerReadout:
    """A small trained head, as `pointer_fitness` says. Naming for exclusion is unfitness: its logit is -f."""

    needs_states = True

    def __init__(self, w: Tensor, bilinear: Tensor) -> None:
        self._w, self._bilinear = w.float(), bilinear.float()

    @classmethod
    def load(cls, folder: Path, hidden: int, device: torch.device) -> PointerReadout:
        """From the folder's head file. Raises what `load_head` raises."""
        head = load_head(folder, hidden)
        return cls(head["w"].to(device), head["W"].to(device))

    def vectors(self, labels: Sequence[int] | Ints) -> Tensor:
        """Raises TypeError: there is nothing to look up by label."""
        raise TypeError("a pointer reads candidates' hidden states, not labels")

    def logits(self, suffixes: Tensor, candidates: Tensor, kind: Kind) -> Tensor:
        """suffixes [S, D] by candidates [N, D] → [S, N]: fitness, negated for a question that asks for the worst."""
        fitness = pointer_fitness(self._w, self._bilinear, suffixes, candidates)
        return fitness if kind == "select" else -fitness


def load_head(folder: Path, hidden: int) -> dict[str, Tensor]:
    """`w` [D] and `W` [D, D] of the pointer head beside a checkpoint's weights, D being `hidden`.

    Raises FileNotFoundError when the file is missing, ValueError, naming it, when it is damaged or holds anything
    else.
    """
    from safetensors.torch import load_file

    path = folder / HEAD_FILE
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: this checkpoint says it ranks through a pointer head")
    check_tensors(path)
    head: dict[str, Tensor] = load_file(path)
    found = {name: list(tensor.shape) for name, tensor in head.items()}
    if found != {"w": [hidden], "W": [hidden, hidden]}:
        raise ValueError(
            f"{path} does not fit the model, whose hidden states have {hidden} numbers: it must hold w [{hidden}] and "
            f"W [{hidden}, {hidden}], not {', '.join(f'{name} {shape}' for name, shape in sorted(found.items()))}"
        )
    for name, tensor in head.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} holds numbers that are not finite")
    return head
