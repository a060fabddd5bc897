"""Models and prompts that the engine's benchmarks share."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.pretrained_models import smollm2_folder
from bench.random_inputs import random_qwen2, random_segments
from rranker.engine.attention import attention_backend
from rranker.engine.engine import Engine
from rranker.engine.hardware import best_dtype
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.engine.loading.model import DEFAULT_MODEL
from rranker.engine.loading.pointer_head import load_pointer
from rranker.engine.loading.settings import AttentionMode
from rranker.engine.onednn import pack_linears, packable
from rranker.engine.readout import IdentifierReadout, Readout
from rranker.engine.requests import EngineRequest, Handle, Reuse
from rranker.methods import Elimination as Rules
from rranker.methods import Episode, Greedy
from rranker.prompts import Segments

MODELS = Path("runs/models")
"""Where public models are kept, once converted."""


@dataclass(frozen=True)
class Subject:
    """A model to time, and how its verdicts are read."""

    name: str
    lm: Any
    readout: Readout
    suffix: int
    context_bias: float = 0.0

    @property
    def vocabulary(self) -> int:
        return int(self.lm.config.vocab_size)


def default_subject() -> Subject:
    """The bundled model; its question is one token."""
    cpu = torch.device("cpu")
    checkpoint = read_checkpoint(DEFAULT_MODEL, best_dtype(cpu))
    lm = checkpoint.lm.eval().requires_grad_(False)
    head = load_pointer(DEFAULT_MODEL, lm.config.hidden_size, cpu, checkpoint.settings.pooling)
    return Subject("default", lm, head, 1, checkpoint.settings.context_bias)


def qwen2_05b() -> Subject:
    """Random weights in the shape of Qwen2-0.5B; a question of 30 tokens, as a chat template makes it."""
    lm = random_qwen2(151936, 896, 4864, 24, (14, 2), dtype=best_dtype(torch.device("cpu")))
    return Subject("qwen2-0.5b", lm, IdentifierReadout(lm), 30)


def smollm2() -> Subject:
    """SmolLM2-135M-Instruct from its package (`bench.pretrained_models`); a question of 30 tokens."""
    from transformers import AutoModelForCausalLM

    folder, dtype = smollm2_folder(MODELS), best_dtype(torch.device("cpu"))
    lm = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval().requires_grad_(False)
    return Subject("smollm2", lm, IdentifierReadout(lm), 30)


SUBJECTS = {"default": default_subject, "qwen2-0.5b": qwen2_05b, "smollm2": smollm2}


def prompt(subject: Subject, n: int, length: int = 100, prefix: int = 200, seed: int = 0) -> Segments:
    """`n` candidates of `length` random tokens each behind a prefix of `prefix`."""
    rng = np.random.default_rng(seed)
    return random_segments(rng, subject.vocabulary, n, length, prefix, subject.suffix)


class Elimination:
    """The engine as `Ranker` sets it up, fed with token ids instead of text."""

    def __init__(
        self,
        subject: Subject,
        attention: AttentionMode = "block",
        slots: int = 32768,
        speculate: bool = True,
        reuse: Reuse = "exact",
        method: type[Episode] = Rules,
    ) -> None:
        self._reuse: Reuse = reuse
        self._method = method
        lm = copy.deepcopy(subject.lm)  # the plain model stays as a user would have it, for comparison
        if packable(lm):
            pack_linears(lm)
        self.engine = Engine(
            lm,
            subject.readout,
            attention_mode=attention,
            attention_backend=attention_backend("cpu"),
            kv_cache_tokens=slots,
            speculate=speculate,
            context_bias=subject.context_bias,
        )

    def run(self, segments: Segments) -> Handle:
        """All rounds of one query, from nothing encoded to the ranking."""
        causal = self.engine.attention_mode == "causal" and self._reuse == "exact"
        if self._method.kind == "likelihood":  # of a query of ten tokens
            segments = replace(segments, identifiers=(), targets=segments.prefix[:10])
        rules = self._method(len(segments.candidates))
        method = Greedy(rules, relayout="best_first" if causal else "keep", nested=causal)
        (done,) = self.engine.run([EngineRequest(segments, method, reuse=self._reuse)])
        if done.error is not None:
            raise done.error
        return done


def losers(handle: Handle) -> list[int]:
    """The candidates in the order in which they went."""
    method = handle.question.method
    assert isinstance(method, Greedy)
    return [place for decision in method.outcome().decisions for place in decision.named]
