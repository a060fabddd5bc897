"""The training loop on made-up cases: resuming, stopping on NaN, and the folder it leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from rranker import Ranker
from rranker.engine.loading.settings import AttentionMode
from rranker.prompts.compact import SPECIAL_TOKENS, CompactFormat
from rranker.training.packing.batch import training_batch
from rranker.training.policy.model_config import ModelConfig
from rranker.training.policy.ranking_model import build_model
from rranker.training.sft import Maker, train
from rranker.training.sft.checkpoint import dtype_of, load_model
from rranker.training.sft.config import SftConfig
from rranker.training.sft.optimizer import MasterOptimizer, learnt
from rranker.training.sft.options import parse, saved_settings, shares
from tests.support.rounds import order_by_rounds
from tests.support.toy_examples import make_case, make_example


def maker(prompt_format: CompactFormat, attention: AttentionMode = "block") -> Maker:
    def make(step: int) -> list[tuple[str, Any]]:
        rng = np.random.default_rng(step)
        examples = [make_example(rng, 5) for _ in range(4)]
        batch = training_batch(
            prompt_format,
            examples,
            rng,
            candidate_tokens=8,
            prefix_tokens=16,
            budget=4096,
            attention=attention,
        )
        return [("made", batch), ("made too", batch)]

    return make


def settings(model: ModelConfig, **changes: Any) -> SftConfig:
    return SftConfig(**{"model": model, "steps": 8, "warmup": 2, "precision": "fp32", **changes})


@pytest.mark.parametrize(("optimizer", "precision"), [("adamw", "fp32"), ("muon", "bf16")])
def test_a_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, prompt_format: CompactFormat, tiny: ModelConfig, optimizer: str, precision: str
) -> None:
    config = settings(tiny, optimizer=optimizer, precision=precision)
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    one = build_model(tiny)
    train(config, whole, one, prompt_format.encoder.tokenizer, maker(prompt_format))
    train(config, halves, build_model(tiny), prompt_format.encoder.tokenizer, maker(prompt_format), stop_at=5)
    two = build_model(tiny, seed=1)
    train(config, halves, two, prompt_format.encoder.tokenizer, maker(prompt_format), resume=True)
    for (name, a), b in zip(one.named_parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_the_folder_is_a_hugging_face_one_with_a_mark_and_a_head(
    tmp_path: Path, prompt_format: CompactFormat, tiny: ModelConfig
) -> None:
    train(settings(tiny), tmp_path, build_model(tiny), prompt_format.encoder.tokenizer, maker(prompt_format))
    folder = tmp_path / "final"
    mark = json.loads((folder / "config.json").read_text())["rranker"]
    assert mark == {
        "format": 1,
        "attention": "block",
        "readout": "pointer",
        "prompt_format": "compact",
        "max_candidate_tokens": 256,
        "pooling": "last",
        "query_prompt": "",
        "document_prompt": "",
        "method": "iranker",
        "context_bias": 0.0,
        "calibration": None,
    }
    weights = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    head = load_file(folder / "pointer_head.safetensors")
    assert {name: tuple(t.shape) for name, t in head.items()} == {"w": (32,), "W": (32, 32)}
    assert all(tensor.dtype == torch.float32 for tensor in head.values())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert set(SPECIAL_TOKENS) <= set(tokenizer.get_added_vocab())
    assert AutoModelForCausalLM.from_pretrained(folder).config.tie_word_embeddings


@pytest.mark.parametrize(
    ("precision", "asked", "saved"),
    [
        ("fp32", None, torch.float32),
        ("bf16", None, torch.bfloat16),
        ("fp32", "bfloat16", torch.bfloat16),
        ("fp32", "float16", torch.float16),
    ],
)
def test_a_model_is_saved_as_it_was_trained_or_as_is_asked_for(
    tmp_path: Path,
    prompt_format: CompactFormat,
    tiny: ModelConfig,
    precision: str,
    asked: str | None,
    saved: torch.dtype,
) -> None:
    config, model = settings(tiny, precision=precision, save_dtype=asked), build_model(tiny)
    train(config, tmp_path, model, prompt_format.encoder.tokenizer, maker(prompt_format))
    weights = load_file(tmp_path / "final" / "model.safetensors")
    assert all(
        torch.equal(weight, model.lm.get_parameter(name).to(saved)) for name, weight in weights.items()
    )
    assert dtype_of(tmp_path / "final") == saved


def test_no_other_type_of_numbers_is_saved(tiny: ModelConfig) -> None:
    with pytest.raises(ValueError, match="save_dtype is one of float32, bfloat16, float16, not 'int8'"):
        settings(tiny, save_dtype="int8")


def test_a_nan_stops_the_run_with_the_step_and_the_source(
    tmp_path: Path, prompt_format: CompactFormat, tiny: ModelConfig
) -> None:
    model = build_model(tiny)
    with torch.no_grad():
        model.head.w[0] = float("nan")
    with pytest.raises(FloatingPointError, match=r"step 0, source made: the loss is nan"):
        train(settings(tiny), tmp_path, model, prompt_format.encoder.tokenizer, maker(prompt_format))


@pytest.mark.parametrize("attention", ["block", "causal"])
def test_the_engine_ranks_as_the_training_forward_does_round_by_round(
    tmp_path: Path, prompt_format: CompactFormat, tiny: ModelConfig, attention: AttentionMode
) -> None:
    config = settings(tiny, attention=attention)
    train(
        config, tmp_path, build_model(tiny), prompt_format.encoder.tokenizer, maker(prompt_format, attention)
    )
    model = load_model(tmp_path / "final")
    ranker = Ranker(tmp_path / "final", dtype="float32", kv_cache_tokens=2048, relayout="keep")
    rng = np.random.default_rng(1)
    for n in (1, 2, 7):
        case = make_case(rng, n)
        expected = order_by_rounds(model, prompt_format, case, attention)
        assert ranker.rank(case.query, case.candidates, task=case.task).order == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention": "sideways"}, "attention is 'block' or 'causal'"),
        ({"weights": {"films": 1.0}}, "weights are shares of movies, music"),
        ({"weights": {"movies": -1.0}}, "none negative"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SftConfig(**change)


def test_a_model_of_another_width_keeps_the_proportions() -> None:
    narrow = ModelConfig.of_width(128, 2, 8192)
    assert (narrow.num_attention_heads, narrow.num_key_value_heads, narrow.intermediate_size) == (2, 1, 352)
    assert ModelConfig.of_width(256, 4, 8192) == ModelConfig()
    with pytest.raises(ValueError, match="multiple of 64, not 100"):
        ModelConfig.of_width(100, 2, 8192)


def test_shares_are_read_from_the_command_line() -> None:
    assert shares(["movies=0.2", "games=1"]) == {"movies": 0.2, "games": 1.0}
    for entry in ("movies", "movies=much", "movies=nan", "movies=inf"):
        with pytest.raises(ValueError, match=rf"source=share \(squad=0.5\), not '{entry}'"):
            shares([entry])
    with pytest.raises(ValueError, match="movies is given twice, as 1 and as 2"):
        shares(["movies=1", "movies=2"])


def test_there_must_be_something_to_resume(
    tmp_path: Path, prompt_format: CompactFormat, tiny: ModelConfig
) -> None:
    given = build_model(tiny), prompt_format.encoder.tokenizer, maker(prompt_format)
    with pytest.raises(ValueError, match="nothing to resume"):
        parse(["--out", str(tmp_path), "--resume"])
    with pytest.raises(ValueError, match="nothing to resume"):
        train(settings(tiny), tmp_path, *given, resume=True)


def test_a_run_does_not_begin_in_the_folder_of_another(
    tmp_path: Path, prompt_format: CompactFormat, tiny: ModelConfig
) -> None:
    given = build_model(tiny), prompt_format.encoder.tokenizer, maker(prompt_format)
    train(settings(tiny), tmp_path, *given, stop_at=1)
    state, said = (
        (tmp_path / "state.pt").read_bytes(),
        "has the state of a run already: go on with it by --resume",
    )
    with pytest.raises(FileExistsError, match=said):
        parse(["--out", str(tmp_path), "--seed", "7"])
    with pytest.raises(FileExistsError, match=said):
        train(settings(tiny), tmp_path, *given)
    assert (tmp_path / "state.pt").read_bytes() == state


def test_a_gradient_that_is_nan_in_the_head_alone_moves_nothing(tiny: ModelConfig) -> None:
    model = build_model(tiny)
    optimizer = MasterOptimizer(model, settings(tiny))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    names = [name for name, _ in learnt(model)]
    optimizer.gradients[names.index("head.w")].fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="the gradient norm is nan"):
        optimizer.step(0)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(("size", "name"), [(64, "config.json"), (4096, "state.pt")])
def test_a_full_disk_is_named_and_leaves_what_a_run_resumes_from(
    tmp_path: Path, prompt_format: CompactFormat, tiny: ModelConfig, size: int, name: str
) -> None:
    given = prompt_format.encoder.tokenizer, maker(prompt_format)
    train(settings(tiny), tmp_path, build_model(tiny), *given, stop_at=1)
    state = (tmp_path / "state.pt").read_bytes()
    longer = settings(tiny, steps=9)
    with pytest.raises(OSError, match=f"{name} could not be written: .* Is the disk full"), room_for(size):
        train(longer, tmp_path, build_model(tiny), *given, resume=True, stop_at=2)
    assert saved_settings(tmp_path)["steps"] == (8 if name == "config.json" else 9)
    assert (tmp_path / "state.pt").read_bytes() == state
    assert not list(tmp_path.glob("*.part"))
    train(longer, tmp_path, build_model(tiny), *given, resume=True)


def test_a_final_model_that_found_no_room_is_none(
    tmp_path: Path, prompt_format: CompactFormat, tiny: ModelConfig
) -> None:
    """What waits for `final` takes no part of one for the end of the run."""
    given = prompt_format.encoder.tokenizer, maker(prompt_format)
    train(settings(tiny), tmp_path, build_model(tiny), *given)
    shutil.rmtree(tmp_path / "final")
    with pytest.raises(OSError, match="final could not be written"), room_for(4096):
        train(settings(tiny), tmp_path, build_model(tiny), *given, resume=True)
    assert not list(tmp_path.glob("final*"))
    train(settings(tiny), tmp_path, build_model(tiny), *given, resume=True)
    assert load_model(tmp_path / "final")
