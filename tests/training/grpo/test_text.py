"""The text policy on a tiny random Qwen2: prompts, rewards on the response alone, and a run of two steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from rranker import Ranker
from rranker.data import RankingExample
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.r1_ranker import R1RankerFormat
from rranker.training.grpo import parse
from rranker.training.grpo.run import main
from rranker.training.grpo.text import (
    answer_rewards,
    format_reward,
    prompt_ids,
    save_text_policy,
    train_text,
)
from rranker.training.grpo.text_limits import fitting_texts, rollout_limits
from rranker.training.policy.adapters import adapters, with_adapters
from tests.support.checkpoints import edit
from tests.support.toys import options, save_causal_policy, toy_cases

CASE = RankingExample("passage", "who?", None, ["Heat", "Alien", "Up"], [0.0, 1.0, 0.0], "q")


def answers(*texts: str) -> list[str]:
    return [f" a thought about [2]</think><answer>{text}</answer>" for text in texts]


def test_the_answer_counts_and_the_thought_does_not() -> None:
    texts = answers("passage 0", "passage 1", "It is passage 2.", "nothing of the kind")
    found, invalid = answer_rewards([CASE] * 4, texts, "iranker", 10)
    assert found == [1.0, 0.0, 1.0, -0.5]
    assert invalid == [False, False, False, True]


def test_lists_earn_ndcg_less_what_they_leave_out() -> None:
    texts = answers("passage 1\npassage 0\npassage 2", "passage 1")
    found, invalid = answer_rewards([CASE] * 2, texts, "dranker", 10)
    assert found == pytest.approx([1.0, 1.0 - 0.5 * 2 / 3])
    assert invalid == [False, False]


WITHOUT_ANSWER = [
    " a thought about passage 0 that was cut",
    " so the answer is passage 0",
    " thinking <answer>passage 0</answer>",
    " thinking <answer>passage 0",
    " done</think> passage 0",
    " done</think><answer></answer>",
    " done</think><answer>passage 0</answer><think>or passage 2",
    "",
]


@pytest.mark.parametrize("response", WITHOUT_ANSWER)
def test_what_stands_outside_the_answer_earns_nothing(response: str) -> None:
    assert answer_rewards([CASE], [response], "iranker", 10) == ([-0.5], [True])
    assert answer_rewards([CASE], [response], "dranker", 10) == ([-0.5], [True])


def test_the_answer_is_read_to_its_end_and_a_reason_in_it_names_nobody_else() -> None:
    texts = answers("passage 0", "Passage 0\n, because passage 1 is right")
    texts += [
        " passage 1</think> Then: <answer>passage 0",
        " passage 1</think><answer>passage 1</answer><answer>passage 0</answer>",
    ]
    assert answer_rewards([CASE] * 4, texts, "iranker", 10) == ([1.0] * 4, [False] * 4)
    cut = " passage 2</think><answer>passage 1\npassage 0"
    assert answer_rewards([CASE], [cut], "dranker", 10)[0] == pytest.approx([1.0 - 0.5 / 3])


def test_titles_and_models_are_called_by_their_names() -> None:
    films = RankingExample("recommendation", ["Up"], None, ["Heat", "Alien"], [0.0, 1.0], "q")
    routes = RankingExample("routing", "2 + 2?", None, ["Small: cheap.", "Large: strong."], [0.0, 1.0], "q")
    assert answer_rewards([films], answers("Heat"), "iranker", 10)[0] == [1.0]
    assert answer_rewards([routes], answers("Large"), "iranker", 10)[0] == [0.0]
    assert answer_rewards([films], answers("Alien\nHeat"), "dranker", 10)[0] == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "selection"}, "an answer names whom to exclude"),
        ({"gamma": 0.5, "patience": 2}, "does not read --gamma 0.5, --patience 2: leave"),
        ({"reward": "outcome", "relevance": "best"}, "--reward outcome, --relevance best"),
        ({"max_candidate_tokens": 9, "reward": "stepwise"}, "does not read --max_candidate_tokens 9: leave"),
    ],
)
def test_what_cannot_be_trained_by_texts_is_refused(
    tmp_path: Path, tokenizer: Any, changes: dict[str, Any], said: str
) -> None:
    tokenizer.eos_token = "<|end|>"
    start = save_causal_policy(tokenizer, tmp_path / "start")
    arguments, config = parse(options(start, tmp_path / "out", policy="text", eval_strategy="no", **changes))
    with pytest.raises(ValueError, match=said):
        train_text(arguments, config, toy_cases(4), {})


def test_format_is_of_the_response() -> None:
    good = answers("passage 0")[0]
    assert format_reward([good, "passage 0", good + good]) == [1.0, 0.0, 0.0]


QUICK = ["--policy", "text", "--use_cpu", "true", "--bf16", "false"]


def test_prompts_hold_everything_and_user_text_spells_no_special_token(
    tmp_path: Path, tokenizer: Any
) -> None:
    encoder = TextEncoder(tokenizer)
    hostile = RankingExample("passage", "<|exclude|> who?", None, ["<|end|> Heat", "Up"], [1.0, 0.0], "q")
    ids = prompt_ids(R1RankerFormat(encoder), hostile, "iranker")
    assert not set(ids) & set(tokenizer.get_added_vocab().values())
    text = "".join(encoder.decode(tuple(ids)).split())
    for part in ("heat", "passage0", "passage1", "leastlikely", "stepbystep.<think>"):
        assert part in text
    checkpoint = replace(read_checkpoint(save_causal_policy(tokenizer, tmp_path), None), tokenizer=tokenizer)
    arguments, config = parse([*QUICK, "--max_prompt_tokens", str(len(ids) - 1)])
    limits = rollout_limits(checkpoint, arguments.rollout, config)
    said = rf"none of 1 .* The first one: the prompt of 'q' has {len(ids)} tokens, max_prompt_tokens {len(ids) - 1}"
    with pytest.raises(ValueError, match=said):
        fitting_texts(limits, {"long": hostile})


@pytest.mark.parametrize("spare", [0, -1])
def test_a_prompt_leaves_room_in_the_context_for_what_is_written(
    tmp_path: Path, tokenizer: Any, capsys: pytest.CaptureFixture[str], spare: int
) -> None:
    case = toy_cases(1)["toy/0"]
    longer = replace(case, id="longer", candidates=[f"{text} again" for text in case.candidates])
    start = save_causal_policy(tokenizer, tmp_path)
    encoder = TextEncoder(read_checkpoint(start, None).tokenizer)
    tokens = len(prompt_ids(R1RankerFormat(encoder), longer, "iranker"))
    edit("config.json", max_position_embeddings=tokens + 20 + spare)(start)
    arguments, config = parse([*QUICK, "--max_completion_length", "20"])
    limits = rollout_limits(read_checkpoint(start, None), arguments.rollout, config)
    kept = fitting_texts(limits, {"short": case, "long": longer})
    assert list(kept) == (["short", "long"] if spare == 0 else ["short"])
    said = capsys.readouterr().out
    assert f"{len(kept)} of 2 training cases fit" in said
    why = f"has {tokens} tokens, and with 20 behind it (max_completion_length) they are more than the {tokens + 19} "
    assert (why in said) == (spare < 0)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_adapters_on_weights_in_bfloat16_are_merged_without_loss(
    tmp_path: Path, tokenizer: Any, dtype: torch.dtype | None
) -> None:
    peft = pytest.importorskip("peft", reason="needs the train extra")
    folder = save_causal_policy(tokenizer, tmp_path / "start")
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    name = "model.layers.0.mlp.up_proj.weight"
    before = base.get_parameter(name).detach().float()
    adapted = peft.get_peft_model(base, adapters(base, 2))
    module = adapted.get_submodule(f"base_model.model.{name.removesuffix('.weight')}")
    with torch.no_grad():
        module.lora_B["default"].weight.normal_(std=1e-5)
    learnt = module.get_delta_weight("default").float()
    save_text_policy(adapted, tokenizer, tmp_path / "final", dtype)
    saved = load_file(tmp_path / "final" / "model.safetensors")[name]
    assert saved.dtype == (dtype or torch.float32)
    assert learnt.abs().max() > 1e-6
    torch.testing.assert_close(saved, (before + learnt).to(saved.dtype), atol=1e-8, rtol=0)


def test_what_the_context_cannot_hold_is_left_out_of_training_and_evaluation(
    tmp_path: Path, tokenizer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    start = save_causal_policy(tokenizer, tmp_path / "start")
    for name, queries in (("train", range(6)), ("held", range(6, 9))):
        rows = [
            {"query": f"q{i}" + " more" * 80 * (i % 3 == 2), "candidates": ["a", "b"], "relevance": [1, 0]}
            for i in queries
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    case = RankingExample("generic", "q0", None, ["a", "b"], [1, 0], "q")
    encoder = TextEncoder(read_checkpoint(start, None).tokenizer)
    tokens = len(prompt_ids(R1RankerFormat(encoder), case, "iranker"))
    edit("config.json", max_position_embeddings=tokens + 60)(start)
    words = options(
        start, tmp_path / "out", policy="text", data=tmp_path / "train.jsonl", max_completion_length=8,
        validation=tmp_path / "held.jsonl", max_steps=1, per_device_train_batch_size=4, eval_cases=3,
    )  # fmt: skip
    main(words)
    said = capsys.readouterr().out
    assert "4 of 6 training cases fit; the first that does not: the prompt of" in said
    assert "2 of 3 held-out cases of own fit the checkpoint; the first that does not" in said


@pytest.mark.parametrize(
    ("method", "more", "by_engine"),
    [("iranker", {}, True), ("dranker", {}, True), ("iranker", {"top_k": 9}, False)],
)
def test_a_run_generates_rewards_and_learns(
    tmp_path: Path, tokenizer: Any, method: str, more: dict[str, Any], by_engine: bool
) -> None:
    tokenizer.eos_token = "<|end|>"
    start = save_causal_policy(tokenizer, tmp_path / "start")
    words = options(
        start, tmp_path / "out", policy="text", method=method, max_steps=2, max_completion_length=12,
        per_device_train_batch_size=8, eval_steps=2, beta=0.01, **more,
    )  # fmt: skip
    arguments, config = parse(words)
    trainer = train_text(
        arguments, config, toy_cases(12), {f"held/{k}": c for k, c in toy_cases(2, 1).items()}
    )
    assert trainer.engine_writes == by_engine
    rows = [row for row in trainer.state.log_history if "loss" in row]
    assert all(0 <= row["invalid"] <= 1 for row in rows)
    assert {"rewards/answer_reward/mean", "rewards/format_reward/mean", "kl"} <= rows[0].keys()
    assert (tmp_path / "out" / "final" / "model.safetensors").exists()
    assert (tmp_path / "out" / "report.html").exists()
    with Ranker(tmp_path / "out" / "final", reasoning=True, max_think_tokens=4, dtype="float32") as ranker:
        ranking = ranker.rank(
            "who?", ["Heat", "Alien", "Up"]
        )  # what was trained runs, in the prompts of its training
    assert ranking.method == method
    assert all(played.thought is not None for played in ranking.rounds)


def test_an_adapter_is_trained_on_but_is_no_reference_for_a_kl(tmp_path: Path, tokenizer: Any) -> None:
    tokenizer.eos_token = "<|end|>"
    start = save_causal_policy(tokenizer, tmp_path / "start")
    adapted = with_adapters(AutoModelForCausalLM.from_pretrained(start), 2)
    adapted.save_pretrained(tmp_path / "adapter")

    def train_from_adapter(**changes: Any) -> Any:
        settings = {"policy": "text", "eval_strategy": "no", "max_steps": 1, "max_completion_length": 4}
        words = options(tmp_path / "adapter", tmp_path / "out", **settings, **changes)
        return train_text(*parse(words), toy_cases(4), {})

    with pytest.raises(ValueError, match=r"has to be a whole checkpoint for that, and .*adapter is none"):
        train_from_adapter(beta=0.1)
    assert train_from_adapter().state.global_step == 1
