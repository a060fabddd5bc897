"""Vectors of texts from an encoder: what is close in them is alike in meaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from .hardware import best_dtype
from .loading.checkpoint import read_checkpoint
from .loading.sentence_encoder import SentenceEncoding, read_sentence_encoding


class Embedding:
    """Vectors of an encoder's checkpoint, pooled and prompted as it was trained, each text's once: they are kept.

    `tokens` is what is read of a text.
    """

    def __init__(self, folder: str | Path, tokens: int = 128, batch: int = 32) -> None:
        """Raises what `read_checkpoint` and `read_sentence_encoding` raise."""
        checkpoint = read_checkpoint(folder, best_dtype(torch.device("cpu")))
        settings = checkpoint.settings
        if settings.pooling != "last":  # a ranking model of an encoder
            self._encoding = SentenceEncoding(settings.pooling, *settings.prompts)
        else:
            self._encoding = read_sentence_encoding(folder)
        self._lm, self._tokenizer = checkpoint.lm.eval(), checkpoint.tokenizer
        self._tokens, self._batch = tokens, batch
        self._vectors: dict[str, np.ndarray] = {}

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, D] float32, of length 1: of texts that are looked for."""
        return self._of(texts, self._encoding.document_prompt)

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, D] float32, of length 1: of what looks for them."""
        return self._of(texts, self._encoding.query_prompt)

    def query(self, text: str) -> np.ndarray:
        """[D] float32, of length 1, of one text that looks for others and may never come again: it is not kept."""
        (vector,) = self._encoded([self._encoding.query_prompt + text])
        return vector

    def read(
        self, texts: Iterable[str], queries: Iterable[str], device: torch.device, batch: int = 512
    ) -> None:
        """Encodes them on `device`, `batch` at a time, so that the others need not: they encode on the CPU."""
        self._lm.to(device)
        try:
            self._keep([self._encoding.document_prompt + text for text in texts], batch)
            self._keep([self._encoding.query_prompt + text for text in queries], batch)
        finally:
            self._lm.to("cpu")

    def _of(self, texts: Sequence[str], prompt: str) -> np.ndarray:
        prompted = [prompt + text for text in texts]
        self._keep(prompted, self._batch)
        return np.stack([self._vectors[text] for text in prompted])

    def _keep(self, texts: Iterable[str], batch: int) -> None:
        new = sorted({text for text in texts if text not in self._vectors}, key=len)
        for at in range(0, len(new), batch):
            some = new[at : at + batch]
            for text, vector in zip(some, self._encoded(some), strict=True):
                self._vectors[text] = vector

    def _encoded(self, texts: list[str]) -> Iterable[np.ndarray]:
        """What is kept of each text."""
        states, seen = self._states(texts)
        pooled = states[:, 0] if self._encoding.pooling == "cls" else (states * seen).sum(1) / seen.sum(1)
        found: np.ndarray = normalize(pooled, dim=-1).cpu().numpy()
        return found

    @torch.inference_mode()
    def _states(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """[texts, longest, D] fp32, and [texts, longest, 1]: 1 where there is a token."""
        given = self._tokenizer(
            texts,
            padding=True,
            padding_side="right",
            truncation=True,
            max_length=self._tokens,
            return_tensors="pt",
        ).to(self._lm.device)
        states = self._lm(**given).last_hidden_state.float()
        return states, given["attention_mask"][..., None].float()
