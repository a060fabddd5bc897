"""Tokens of the text policy, scored from hidden states and the head, against TRL's own path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from trl import GRPOTrainer

from rranker.training.grpo import parse
from rranker.training.grpo.text import TextGRPOTrainer
from rranker.training.policy import token_logprobs
from rranker.training.policy.token_logprobs import plain_head
from tests.support.architectures import tiny_model
from tests.support.toys import options, toy_cases

KEPT = 7


def trainer_of(
    model: Any, tokenizer: Any, folder: Path, adapters: Any = None, **changes: Any
) -> TextGRPOTrainer:
    words = options(
        folder / "none", folder / "out", policy="text", temperature=0.7, eval_strategy="no", **changes
    )
    arguments, config = parse(words)
    tokenizer.eos_token = "<|end|>"
    return TextGRPOTrainer(model, tokenizer, arguments, config, toy_cases(16), {}, peft_config=adapters)


def batch() -> tuple[Tensor, Tensor]:
    """Prompts padded on the left, completions on the right; one completion does not count at all."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 300, (4, 12 + KEPT), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, :5] = mask[0, -3:] = mask[2, -KEPT:] = mask[3, -1:] = 0
    return ids, mask


def groups() -> tuple[Tensor, Tensor]:
    """Two prompts, five texts, in no order; one text is of one token, and one does not count."""
    generator = torch.Generator().manual_seed(1)
    prompts = torch.randint(3, 300, (2, 12), generator=generator)[[0, 1, 0, 0, 1]]
    ids = torch.cat([prompts, torch.randint(3, 300, (5, KEPT), generator=generator)], 1)
    mask = torch.ones_like(ids)
    mask[[1, 4], :5] = mask[2, -KEPT:] = mask[3, 1 - KEPT :] = mask[4, -2:] = 0
    return ids, mask


def scored(
    hook: Any, model: Any, batch_size: int = 3, rows: Any = batch
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """What the hook says, and the gradients of a sum of all of it in which no two terms weigh the same."""
    model.zero_grad(set_to_none=True)
    logps, entropies, _ = hook(model, *rows(), KEPT, batch_size=batch_size, compute_entropy=True)
    weights = torch.linspace(0.5, 2.0, logps.numel()).view_as(logps)
    (logps * weights + entropies * weights.flip(0)).sum().backward()
    grads = {
        name.removeprefix("module."): p.grad for name, p in model.named_parameters() if p.grad is not None
    }
    return logps.detach(), entropies.detach(), grads


def theirs(trainer: TextGRPOTrainer) -> Any:
    return lambda *inputs, **keywords: GRPOTrainer._get_per_token_logps_and_entropies(
        trainer, *inputs, **keywords
    )


def assert_equal(found: Any, expected: Any) -> None:
    for mine, other in zip(found[:2], expected[:2], strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)
    assert found[2].keys() == expected[2].keys()
    largest = max(float(g.abs().max()) for g in expected[2].values())
    for name, grad in expected[2].items():
        torch.testing.assert_close(found[2][name], grad, atol=1e-5 * max(largest, 1.0), rtol=0, msg=name)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each call of `selected_logprobs`."""
    seen: list[int] = []
    original = token_logprobs.selected_logprobs

    def counted(hidden: Tensor, *rest: Any, **keywords: Any) -> Any:
        seen.append(len(hidden))
        return original(hidden, *rest, **keywords)

    monkeypatch.setattr(token_logprobs, "selected_logprobs", counted)
    return seen


@pytest.mark.parametrize("name", ["qwen2", "llama", "granite"])  # granite divides its logits
def test_values_and_gradients_equal_trls(name: str, tmp_path: Path, tokenizer: Any, calls: list[int]) -> None:
    trainer = trainer_of(tiny_model(name), tokenizer, tmp_path)
    expected = scored(theirs(trainer), trainer.model)
    assert calls == []
    found = scored(trainer._get_per_token_logps_and_entropies, trainer.model)
    # Real tokens only: 4 + 7 + 0 of the first three, 6 of the last.
    assert calls == [11, 6]
    assert_equal(found, expected)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of each forward that shares prompts."""
    seen: list[int] = []
    original = token_logprobs.states_after

    def counted(lm: Any, shared: Any) -> Tensor:
        seen.append(len(shared.ids))
        return original(lm, shared)

    monkeypatch.setattr(token_logprobs, "states_after", counted)
    return seen


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("name", ["qwen2", "llama", "granite", "mistral"])
def test_prompts_that_texts_share_are_encoded_once(
    name: str, checkpointed: bool, tmp_path: Path, tokenizer: Any, encoded: list[int]
) -> None:
    model = tiny_model(name)
    if name == "mistral":
        model.config.sliding_window = 9
    trainer = trainer_of(model, tokenizer, tmp_path)
    assert trainer.engine_writes
    expected = scored(theirs(trainer), trainer.model, 5, groups)
    if checkpointed:
        trainer.model.gradient_checkpointing_enable()
        trainer.model.train()
    assert_equal(scored(trainer._get_per_token_logps_and_entropies, trainer.model, 5, groups), expected)
    # Prompts of 12 and 7, then texts of 7, 7, 0, 1 and 5 less their last tokens.
    assert encoded == [12 + 7 + 6 + 6 + 0 + 0 + 4]


def test_texts_behind_prompts_of_their_own_share_nothing(
    tmp_path: Path, tokenizer: Any, encoded: list[int]
) -> None:
    trainer = trainer_of(tiny_model("qwen2"), tokenizer, tmp_path)
    scored(trainer._get_per_token_logps_and_entropies, trainer.model)
    assert encoded == []


def test_under_adapters_too(tmp_path: Path, tokenizer: Any, calls: list[int]) -> None:
    from peft import LoraConfig

    adapters = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    trainer = trainer_of(tiny_model("qwen2"), tokenizer, tmp_path, adapters)
    found = scored(trainer._get_per_token_logps_and_entropies, trainer.model)
    assert calls == [11, 6]
    assert all("lora_" in name for name in found[2])
    assert_equal(found, scored(theirs(trainer), trainer.model))
    with trainer.model.disable_adapter():  # how TRL asks for the reference
        without = trainer._get_per_token_logps_and_entropies(trainer.model, *batch(), KEPT)[0]
    assert (without - found[0]).abs().max() > 1e-3


def test_wrapped_for_several_processes_gradients_are_reduced(
    tmp_path: Path, tokenizer: Any, calls: list[int]
) -> None:
    trainer = trainer_of(tiny_model("qwen2"), tokenizer, tmp_path)
    expected = scored(theirs(trainer), trainer.model)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(trainer.model)
        wrapped.register_comm_hook(None, doubled)
        logps, entropies, grads = scored(trainer._get_per_token_logps_and_entropies, wrapped, batch_size=4)
    finally:
        torch.distributed.destroy_process_group()
    assert calls == [17]
    assert_equal((logps, entropies, {name: grad / 2 for name, grad in grads.items()}), expected)


def doubled(_, bucket):
    """A reduction that shows. DDP checks annotations, and refuses those that are strings."""
    future = torch.futures.Future()
    future.set_result(bucket.buffer() * 2)
    return future


def test_a_batch_without_a_real_token_has_gradients_of_zero(tmp_path: Path, tokenizer: Any) -> None:
    trainer = trainer_of(tiny_model("qwen2"), tokenizer, tmp_path)
    ids, mask = batch()
    mask[:, -KEPT:] = 0
    logps, entropies, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model, ids, mask, KEPT, compute_entropy=True
    )
    (logps + entropies).sum().backward()
    assert not logps.any()
    assert not any(p.grad.any() for p in trainer.model.parameters() if p.grad is not None)
    assert trainer.model.lm_head.weight.grad is not None


def test_a_head_that_does_more_is_left_to_trl(tmp_path: Path, tokenizer: Any, calls: list[int]) -> None:
    capped = tiny_model("qwen2")
    capped.config.final_logit_softcapping = 2.0
    assert not plain_head(capped)
    trainer = trainer_of(capped, tokenizer, tmp_path)
    assert_equal(
        scored(trainer._get_per_token_logps_and_entropies, trainer.model),
        scored(theirs(trainer), trainer.model),
    )
    biased = tiny_model("qwen2")
    biased.lm_head.bias = torch.nn.Parameter(torch.ones(biased.config.vocab_size))
    assert not plain_head(biased)
    assert calls == []
