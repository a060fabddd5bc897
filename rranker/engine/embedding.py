"""Vectors of texts from an encoder: what is close in them is alike in meaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from .hardware import best_dtype
from .loading.checkpoint import read_checkpoint


class Embedding:
    """Mean-pooled vectors of an encoder's checkpoint, each text's once: they are kept.

    `tokens` is what is read of a text.
    """

    def __init__(self, folder: str | Path, tokens: int = 128, batch: int = 32) -> None:
        """Raises what `read_checkpoint` raises."""
        checkpoint = read_checkpoint(folder, best_dtype(torch.device("cpu")))
        self._lm, self._tokenizer = checkpoint.lm.eval(), checkpoint.tokenizer
        self._tokens, self._batch = tokens, batch
        self._vectors: dict[str, np.ndarray] = {}

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, D] float32, of length 1."""
        self._keep(texts, self._batch)
        return np.stack([self._vectors[text] for text in texts])

    def read(self, texts: Iterable[str], device: torch.device, batch: int = 512) -> None:
        """Encodes `texts` on `device`, `batch` at a time, so that `vectors` need not: it encodes on the CPU."""
        self._lm.to(device)
        try:
            self._keep(texts, batch)
        finally:
            self._lm.to("cpu")

    def _keep(self, texts: Iterable[str], batch: int) -> None:
        new = sorted({text for text in texts if text not in self._vectors}, key=len)
        for at in range(0, len(new), batch):
            some = new[at : at + batch]
            for text, vector in zip(some, self._encoded(some), strict=True):
                self._vectors[text] = vector

    def _encoded(self, texts: list[str]) -> Iterable[np.ndarray]:
        """What is kept of each text."""
        states, seen = self._states(texts)
        means = normalize((states * seen).sum(1) / seen.sum(1), dim=-1)
        found: np.ndarray = means.cpu().numpy()
        return found

    @torch.inference_mode()
    def _states(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """[texts, longest, D] fp32, and [texts, longest, 1]: 1 where there is a token."""
        given = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._tokens, return_tensors="pt"
        ).to(self._lm.device)
        states = self._lm(**given).last_hidden_state.float()
        return states, given["attention_mask"][..., None].float()
