"""The training loop on made-up cases: resuming, stopping on NaN, and the folder it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from rranker import Ranker
from rranker.prompts.compact import SPECIAL_TOKENS, CompactDialect
from rranker.training.batch import segments_of, training_batch
from rranker.training.checkpoint import load_model
from rranker.training.config import ModelConfig, SftConfig
from rranker.training.layout import build_layout
from rranker.training.model import build_model
from rranker.training.sft import Maker, train
from tests.training.conftest import make_case, make_lesson


def maker(dialect: CompactDialect) -> Maker:
    def make(step: int) -> list[tuple[str, Any]]:
        rng = np.random.default_rng(step)
        lessons = [make_lesson(rng, 5) for _ in range(4)]
        batch = training_batch(dialect, lessons, rng, candidate_tokens=8, prefix_tokens=16, budget=4096)
        return [("made", batch), ("made too", batch)]

    return make


def settings(model: ModelConfig, **changes: Any) -> SftConfig:
    return SftConfig(**{"model": model, "steps": 8, "warmup": 2, "precision": "fp32", **changes})


@pytest.mark.parametrize(("optimizer", "precision"), [("adamw", "fp32"), ("muon", "bf16")])
def test_a_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, dialect: CompactDialect, tiny: ModelConfig, optimizer: str, precision: str
) -> None:
    config = settings(tiny, optimizer=optimizer, precision=precision)
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    one = build_model(tiny)
    train(config, whole, one, dialect.encoder.tokenizer, maker(dialect))
    train(config, halves, build_model(tiny), dialect.encoder.tokenizer, maker(dialect), stop_at=5)
    two = build_model(tiny, seed=1)
    train(config, halves, two, dialect.encoder.tokenizer, maker(dialect), resume=True)
    for (name, a), b in zip(one.named_parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_the_folder_is_a_hugging_face_one_with_a_mark_and_a_head(
    tmp_path: Path, dialect: CompactDialect, tiny: ModelConfig
) -> None:
    train(settings(tiny), tmp_path, build_model(tiny), dialect.encoder.tokenizer, maker(dialect))
    folder = tmp_path / "final"
    mark = json.loads((folder / "config.json").read_text())["rranker"]
    assert mark == {
        "format": 1,
        "attention": "block",
        "readout": "pointer",
        "dialect": "compact",
        "max_candidate_tokens": 256,
    }
    weights = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    head = load_file(folder / "pointer_head.safetensors")
    assert {name: tuple(t.shape) for name, t in head.items()} == {"w": (32,), "W": (32, 32)}
    assert all(tensor.dtype == torch.float32 for tensor in head.values())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert set(SPECIAL_TOKENS) <= set(tokenizer.get_added_vocab())
    assert AutoModelForCausalLM.from_pretrained(folder).config.tie_word_embeddings


def test_a_nan_stops_the_run_with_the_step_and_the_source(
    tmp_path: Path, dialect: CompactDialect, tiny: ModelConfig
) -> None:
    model = build_model(tiny)
    with torch.no_grad():
        model.head.w[0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"step 0, source made: the loss is nan"):
        train(settings(tiny), tmp_path, model, dialect.encoder.tokenizer, maker(dialect))


def test_the_engine_ranks_as_the_training_forward_does_round_by_round(
    tmp_path: Path, dialect: CompactDialect, tiny: ModelConfig
) -> None:
    train(settings(tiny), tmp_path, build_model(tiny), dialect.encoder.tokenizer, maker(dialect))
    model = load_model(tmp_path / "final")
    ranker = Ranker(tmp_path / "final", dtype="float32", max_tokens_in_flight=2048)
    rng = np.random.default_rng(1)
    for n in (1, 2, 7):
        case = make_case(rng, n)
        alive, gone = list(range(n)), []
        while len(alive) > 1:
            gone.append(_least(model, dialect, case, alive))
            alive.remove(gone[-1])
        assert ranker.rank(case.query, case.candidates, task=case.task).order == alive + gone[::-1]


@torch.no_grad()
def _least(model: Any, dialect: CompactDialect, case: Any, alive: list[int]) -> int:
    """One round in a forward of its own."""
    segments = segments_of(dialect, [case], 254, 1024)
    mask = torch.zeros(1, len(case.candidates), dtype=torch.bool)
    mask[0, alive] = True
    layout = build_layout(segments, [segments[0].suffix], [mask])
    scores = model.fitness(model.hidden(layout), layout)[0, 0]
    return min(alive, key=lambda i: float(scores[i]))
