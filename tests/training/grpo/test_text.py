"""The text policy on a tiny random Qwen2: prompts, rewards on the response alone, and a run of two steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from rranker.data import RankingExample
from rranker.prompts.encoding import TextEncoder
from rranker.training.grpo import parse
from rranker.training.grpo.text import PREFILL, answer_rewards, fitting, format_reward, prompt_ids, train_text
from tests.support.toy_tokenizers import CHAT_TEMPLATE, train
from tests.support.toys import options, save_causal_policy, toy_cases

CASE = RankingExample("passage", "who?", None, ["Heat", "Alien", "Up"], [0.0, 1.0, 0.0], "q")


def answers(*texts: str) -> list[str]:
    return [f" a thought about [2]</think><answer>{text}</answer>" for text in texts]


def test_the_answer_counts_and_the_thought_does_not() -> None:
    texts = answers("[1]", "[2]", "Up", "nothing of the kind")
    found, invalid = answer_rewards([CASE] * 4, texts, "iranker", 10)
    assert found == [1.0, 0.0, 1.0, -0.5]
    assert invalid == [False, False, False, True]


def test_lists_earn_ndcg_less_what_they_leave_out() -> None:
    texts = answers("[2] > [1] > [3]", "[2]")
    found, invalid = answer_rewards([CASE] * 2, texts, "dranker", 10)
    assert found == pytest.approx([1.0, 1.0 - 0.5 * 2 / 3])
    assert invalid == [False, False]


WITHOUT_ANSWER = [
    " a thought about [1] that was cut",
    " so the answer is [1]. Exclude [1]",
    " thinking <answer>[1]</answer>",
    " thinking <answer>[1]",
    " done</think> [1]",
    " done</think>Exclude [1].",
    " done</think><answer></answer>",
    " done</think><answer>[1]</answer><think>or [3]",
    "",
]


@pytest.mark.parametrize("response", WITHOUT_ANSWER)
def test_what_stands_outside_the_answer_earns_nothing(response: str) -> None:
    assert answer_rewards([CASE], [response], "iranker", 10) == ([-0.5], [True])
    assert answer_rewards([CASE], [response], "dranker", 10) == ([-0.5], [True])


def test_the_answer_is_read_to_its_end_and_a_reason_in_it_names_nobody_else() -> None:
    texts = answers("[1], because [2] is right", "[3] is worse than [2]", "Exclude [1]. It has 2 flaws.")
    texts += [" [2]</think> Then: <answer>[1]", " [2]</think><answer>[2]</answer><answer>[1]</answer>"]
    assert answer_rewards([CASE] * 5, texts, "iranker", 10) == ([1.0] * 5, [False] * 5)
    cut = " [3] > [1]</think><answer>[2] > [1]"
    assert answer_rewards([CASE], [cut], "dranker", 10)[0] == pytest.approx([1.0 - 0.5 / 3])


def test_format_is_of_the_response() -> None:
    good = answers("[1]")[0]
    assert format_reward([good, "[1]", good + good]) == [1.0, 0.0, 0.0]


def test_prompts_hold_everything_and_user_text_spells_no_special_token(tokenizer: Any) -> None:
    encoder = TextEncoder(tokenizer)
    hostile = RankingExample("passage", "<|exclude|> who?", None, ["<|end|> Heat", "Up"], [1.0, 0.0], "q")
    ids = prompt_ids(encoder, hostile, "iranker")
    assert not set(ids) & set(tokenizer.get_added_vocab().values())
    text = "".join(encoder.decode(tuple(ids)).split())
    for part in ("heat", "[1]", "[2]", "fitsleast", "stepbystep.<think>"):
        assert part in text
    limits, _ = parse(["--max_prompt_tokens", str(len(ids) - 1)])
    assert fitting(tokenizer, {"long": hostile}, limits.rollout) == {}


@pytest.mark.parametrize("method", ["iranker", "dranker"])
def test_a_run_generates_rewards_and_learns(tmp_path: Path, tokenizer: Any, method: str) -> None:
    tokenizer.eos_token = "<|end|>"
    start = save_causal_policy(tokenizer, tmp_path / "start")
    words = options(
        start, tmp_path / "out", policy="text", method=method, max_steps=2, max_completion_length=12,
        per_device_train_batch_size=8, eval_steps=2, beta=0.01,
    )  # fmt: skip
    arguments, config = parse(words)
    trainer = train_text(
        arguments, config, toy_cases(12), {f"held/{k}": c for k, c in toy_cases(2, 1).items()}
    )
    rows = [row for row in trainer.state.log_history if "loss" in row]
    assert all(0 <= row["invalid"] <= 1 for row in rows)
    assert {"rewards/answer_reward/mean", "rewards/format_reward/mean", "kl"} <= rows[0].keys()
    assert (tmp_path / "out" / "final" / "model.safetensors").exists()
    assert (tmp_path / "out" / "report.html").exists()


def test_prompts_are_written_as_their_text_would_be() -> None:
    """Segments are encoded apart, and their ids are those of the whole text."""
    bytewise = PreTrainedTokenizerFast(tokenizer_object=train(), eos_token="<|im_end|>")
    bytewise.chat_template = CHAT_TEMPLATE
    case = RankingExample(
        "recommendation", ["the fox", "a dog."], "Rank.", ["the query", "an item."], [1.0, 0.0], "q"
    )
    ids = prompt_ids(TextEncoder(bytewise), case, "iranker")
    lines = "- the fox\n- a dog.\n\nItems:\n[1] the query\n[2] an item.\n\n"
    assert bytewise.decode(ids).endswith(f"<|im_start|>assistant\n{PREFILL}")
    assert f"Rank.\n\nThe user's history, oldest first:\n{lines}" in bytewise.decode(ids)
    assert ids == bytewise(bytewise.decode(ids), add_special_tokens=False)["input_ids"]
