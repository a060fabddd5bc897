"""Whole runs on a toy task: learning, losses, adapters, and what is left behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from rranker.training.grpo import explain, parse, train
from rranker.training.policy.network import load_policy, save_policy
from tests.support.checkpoints import small_tokenizer
from tests.support.toy_runs import StopAt, run
from tests.support.toys import (
    learnable_cases,
    options,
    save_causal_policy,
    save_encoder_policy,
    toy_cases,
)


class Poison(TrainerCallback):
    """Puts a NaN into the weights before a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        if state.global_step == self.step:
            with torch.no_grad():
                model.lm_head.weight[7] = float("nan")


class Falling(TrainerCallback):
    """Has every evaluation find the first one better."""

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:
        metrics["eval_mrr"] = 1 / state.global_step


def test_it_learns_what_is_rewarded_and_leaves_a_model_and_a_report(pointer: Path, tmp_path: Path) -> None:
    from rranker import Ranker

    words = options(
        pointer, tmp_path / "out", max_steps=30, per_device_train_batch_size=64, num_generations=8,
        learning_rate=0.01, eval_steps=30, save_steps=30,
    )  # fmt: skip
    arguments, config = parse(words)
    held = list(learnable_cases(40, seed=1).values())
    trainer = train(arguments, config, learnable_cases(200), {"red": held})
    curve = [row["eval_mrr/red"] for row in trainer.state.log_history if "eval_mrr/red" in row]
    assert curve[-1] > 0.9 > 0.7 > curve[0]
    out = tmp_path / "out"
    assert (out / "report.png").stat().st_size > 10_000
    assert "eval_mrr/red" in (out / "report.html").read_text()
    assert json.loads((out / "log.json").read_text())[0]["step"] == 0
    ranker = Ranker(out / "final", dtype="float32", kv_cache_tokens=2048)
    first = sum(
        ranker.rank(c.query, c.candidates, task="passage").order[0] == c.relevance.index(1) for c in held
    )
    assert first > 30


@pytest.mark.parametrize("loss", ["grpo", "bnpo", "dr_grpo", "dapo", "luspo", "cispo", "sapo", "vespo"])
def test_every_loss_of_trl_takes_step_wise_advantages(pointer: Path, tmp_path: Path, loss: str) -> None:
    words = options(
        pointer,
        tmp_path / "out",
        loss_type=loss,
        max_steps=1,
        eval_strategy="no",
        beta=0.01,
        save_strategy="no",
    )
    trainer = run(words)
    (row,) = [row for row in trainer.state.log_history if "kl" in row]
    assert row["grad_norm"] > 0
    assert row["kl"] == pytest.approx(0, abs=1e-6)  # the first step's policy is the reference


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "dranker", "reward": "stepwise"},
        {"method": "selection", "reward": "graded"},
        {"method": "selection", "reward": "outcome"},
        {"episodes": "single", "reward": "stepwise"},
        {"reward": "outcome", "beta": 0.1},
        {"gamma": 0, "scale_rewards": "batch"},
        {"num_iterations": 2, "gradient_accumulation_steps": 2, "eval_strategy": "no"},
    ],
)
def test_options_run(pointer: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    trainer = run(options(pointer, tmp_path / "out", **{"max_steps": 2, "eval_steps": 2, **changes}))
    assert trainer.state.global_step == 2
    if "beta" in changes:
        assert [row["kl"] for row in trainer.state.log_history if "kl" in row][-1] > 0


@pytest.mark.parametrize("asked", [False, True])
def test_activations_are_computed_once_unless_memory_is_to_be_saved(
    pointer: Path, tmp_path: Path, asked: bool
) -> None:
    words = options(pointer, tmp_path / "out", max_steps=1, eval_strategy="no")
    trainer = run([*words, *(["--gradient_checkpointing", "true"] if asked else [])])
    layers = [m for m in trainer.model.modules() if hasattr(m, "gradient_checkpointing")]
    assert {layer.gradient_checkpointing for layer in layers} == {asked}


@pytest.mark.parametrize(("episodes", "bf16"), [("full", False), ("single", False), ("full", True)])
def test_a_causal_checkpoint_trains_by_its_identifiers(
    tmp_path: Path, tokenizer: Any, episodes: str, bf16: bool
) -> None:
    start = save_causal_policy(tokenizer, tmp_path / "start")
    words = options(
        start, tmp_path / "out", max_steps=1, episodes=episodes, eval_steps=1, slots=16384, bf16=bf16
    )
    trainer = run(words)
    assert next(row for row in trainer.state.log_history if "grad_norm" in row)["grad_norm"] > 0


@pytest.mark.parametrize("method", ["pointwise", "query_likelihood"])
def test_a_language_model_learns_by_reward_to_judge_each_candidate_alone(tmp_path: Path, method: str) -> None:
    from rranker import Ranker

    words = options(
        save_causal_policy(small_tokenizer(), tmp_path / "start"), tmp_path / "out", method=method, max_steps=25,
        per_device_train_batch_size=64, num_generations=8, learning_rate=0.004, temperature=0.5, eval_steps=25,
        save_steps=25,
    )  # fmt: skip
    arguments, config = parse(words)
    held = list(learnable_cases(40, seed=1).values())
    trainer = train(arguments, config, learnable_cases(200), {"red": held})
    before, after = [row["eval_mrr/red"] for row in trainer.state.log_history if "eval_mrr/red" in row]
    assert after > 0.9 > 0.7 > before
    with Ranker(tmp_path / "out" / "final", dtype="float32", kv_cache_tokens=2048) as ranker:
        rankings = ranker.rank_batch([case.as_query() for case in held], progress=False)
    assert {ranking.method for ranking in rankings} == {method}
    assert sum(r.order[0] == c.relevance.index(1) for r, c in zip(rankings, held, strict=True)) > 30


def test_a_pointer_head_is_not_asked_a_language_models_questions(pointer: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pointer head .* train it by iranker"):
        run(options(pointer, tmp_path / "out", method="pointwise"))


def test_adapters_train_and_are_merged(pointer: Path, tmp_path: Path) -> None:
    trainer = run(options(pointer, tmp_path / "out", max_steps=2, lora_rank=2, beta=0.1, eval_steps=2))
    assert sum(p.numel() for p in trainer.model.parameters() if p.requires_grad) < 6000
    start, end = load_policy(pointer).lm.state_dict(), load_policy(tmp_path / "out" / "final").lm.state_dict()
    assert start.keys() == end.keys()
    assert not torch.equal(
        start["model.layers.0.mlp.up_proj.weight"], end["model.layers.0.mlp.up_proj.weight"]
    )
    assert torch.equal(start["model.embed_tokens.weight"], end["model.embed_tokens.weight"])


def test_adapters_of_an_encoder_train_resume_and_are_merged(tmp_path: Path) -> None:
    from rranker import Ranker

    start, out = save_encoder_policy(tmp_path / "start"), tmp_path / "out"
    words = {"lora_rank": 2, "beta": 0.1, "eval_steps": 2, "save_steps": 1}
    run(options(start, out, max_steps=2, **words), [StopAt(1)])
    trainer = run(options(start, out, max_steps=2, resume=True, **words))
    assert trainer.state.global_step == 2
    first, last = load_policy(start).lm.state_dict(), load_policy(out / "final").lm.state_dict()
    assert first.keys() == last.keys()
    changed = {name for name in first if not torch.equal(first[name].bfloat16(), last[name].bfloat16())}
    assert any("attention" in name for name in changed)
    assert any("pointer_head" in name for name in changed)
    assert not any("embeddings" in name for name in changed)
    (case, *_) = toy_cases(1, seed=2).values()
    with Ranker(out / "final", kv_cache_tokens=2048) as ranker:
        assert sorted(ranker.rank(case.query, case.candidates).order) == list(range(len(case.candidates)))


@pytest.mark.parametrize("rank", [0, 2])
def test_what_is_saved_is_what_was_trained_however_small_its_steps(tmp_path: Path, rank: int) -> None:
    """Rounded to bfloat16, in which the start is saved, most steps of a millionth would be lost."""
    start, out = save_encoder_policy(tmp_path / "start"), tmp_path / "out"
    begun = load_policy(start)
    save_policy(begun, start, torch.bfloat16)
    words = {"max_steps": 2, "learning_rate": 1e-6, "eval_strategy": "no", "lora_rank": rank}
    trained = run(options(start, out, **words)).policy.lm.state_dict()
    saved, start_weights = (load_policy(folder).lm.state_dict() for folder in (out / "final", start))
    assert all(torch.equal(saved[name], trained[name]) for name in saved)
    moved = [name for name in saved if not torch.equal(saved[name], start_weights[name])]
    assert any("attention" in name for name in moved)
    run(options(start, tmp_path / "small", save_dtype="bfloat16", **words))
    small = load_policy(tmp_path / "small" / "final").lm
    for name, weight in small.named_parameters():
        if "pointer_head" not in name:
            assert torch.equal(weight, weight.bfloat16().float())


def test_patience_stops_and_keeps_the_best(pointer: Path, tmp_path: Path) -> None:
    words = options(pointer, tmp_path / "out", max_steps=12, patience=1, eval_steps=1, learning_rate=0)
    trainer = run(words)
    assert (
        trainer.state.global_step == 1
    )  # nothing moves, so the first evaluation is no better than the start


def test_a_run_that_patience_stopped_goes_no_further_when_it_is_resumed(
    pointer: Path, tmp_path: Path
) -> None:
    """As after a kill while `final` was written."""
    out = tmp_path / "out"
    words = options(pointer, out, max_steps=8, patience=1, eval_steps=2, eval_on_start=False, learning_rate=0)
    stopped = run(words)
    shutil.rmtree(out / "final")
    again = run([*words, "--resume", "true"])
    assert (stopped.state.global_step, again.state.global_step) == (4, 4)
    rows = [[row for row in each.state.log_history if "eval_mrr" in row] for each in (stopped, again)]
    assert rows[0] == rows[1]
    assert (out / "final" / "model.safetensors").exists()


def test_the_best_model_is_taken_back_head_and_all(pointer: Path, tmp_path: Path) -> None:
    words = options(
        pointer,
        tmp_path / "out",
        max_steps=4,
        save_steps=1,
        eval_steps=1,
        save_total_limit=5,
        load_best_model_at_end=True,
        eval_on_start=False,
        learning_rate=0.05,
    )
    trainer = run(words, [Falling()])
    best, final = tmp_path / "out" / "checkpoint-1", tmp_path / "out" / "final"
    assert trainer.state.best_model_checkpoint == str(best)
    for name in ("model.safetensors", "pointer_head.safetensors"):
        wanted, found = load_file(best / name), load_file(final / name)
        assert all(torch.equal(found[weight], value) for weight, value in wanted.items()), name


def test_a_checkpoint_is_a_model_as_whole_as_the_last(pointer: Path, tmp_path: Path) -> None:
    """Of what was calibrated on the weights before, neither keeps anything."""
    from rranker import Ranker

    curve = {"slope": 1.0, "intercept": 0.0, "source": "pointer", "content_free": False}
    config = json.loads((pointer / "config.json").read_text())
    config["rranker"]["calibration"] = {"passage": curve}
    (pointer / "config.json").write_text(json.dumps(config))
    out = tmp_path / "out"
    run(options(pointer, out, max_steps=2, save_steps=1, save_total_limit=2, eval_strategy="no"))
    half, final = out / "checkpoint-1", out / "final"
    assert {path.name for path in final.iterdir()} <= {path.name for path in half.iterdir()}
    said = [json.loads((folder / "config.json").read_text()) for folder in (half, final)]
    assert said[0]["rranker"] == said[1]["rranker"]
    assert said[0]["rranker"]["calibration"] is None
    assert said[0]["use_cache"] is said[1]["use_cache"] is True
    (case, *_) = toy_cases(1, seed=2).values()
    with Ranker(half, kv_cache_tokens=2048) as ranker:
        ranking = ranker.rank(case.query, case.candidates, task=case.task)
    assert [item.relevance for item in ranking] == [None] * len(case.candidates)


def test_a_nan_stops_with_the_last_good_checkpoint_intact(pointer: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(FloatingPointError) as stopped:
        run(options(pointer, out), [Poison(3)])
    message = explain(stopped.value, out)
    assert message is not None
    assert "not finite" in message or "the loss is nan" in message
    assert str(out / "checkpoint-2") in message
    good = load_policy(out / "checkpoint-2").lm.state_dict()
    assert all(bool(t.isfinite().all()) for t in good.values())
    resumed = run(options(pointer, out, resume=True))
    assert resumed.state.global_step == 6
