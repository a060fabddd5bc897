"""Late interaction: added to an encoder's ranker, learnt alone, the same in training and in the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from rranker import Ranker, UnsupportedModelError
from rranker.prompts.encoder import EncoderFormat
from rranker.prompts.encoding import TextEncoder
from rranker.training.grpo import parse as parse_grpo
from rranker.training.grpo import train as train_by_reward
from rranker.training.packing.batch import training_batch
from rranker.training.sft import train
from rranker.training.sft.checkpoint import load_model, save_model
from rranker.training.sft.config import SftConfig
from rranker.training.sft.late_interaction import WEIGHT, main, with_late_interaction
from rranker.training.sft.run import check, first_model
from tests.support.checkpoints import TINY_START
from tests.support.rounds import order_by_rounds
from tests.support.toy_examples import make_case, make_example
from tests.support.toys import learnable_cases, options, save_encoder_policy

HEAD = "pointer_head.safetensors"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder_policy(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def late(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("late")
    main([str(plain), str(out), "--weight", "12"])
    return out


def batches(tokenizer: Any, attends: Any) -> Any:
    prompt_format = EncoderFormat(TextEncoder(tokenizer))

    def make(step: int) -> list[tuple[str, Any]]:
        rng = np.random.default_rng(step)
        examples = [make_example(rng, 5) for _ in range(4)]
        sizes = {"candidate_tokens": 24, "prefix_tokens": 24, "budget": 4096}
        return [("made", training_batch(prompt_format, examples, rng, attends=attends, **sizes))]

    return make


def test_the_head_gets_a_term_that_is_half_open_and_nothing_else_changes(plain: Path, late: Path) -> None:
    before, after = load_file(plain / HEAD), load_file(late / HEAD)
    assert {name: tensor.tolist() for name, tensor in after.items() if name not in before} == {
        "maxsim": [12.0],
        "gate": [0.0] * len(before["w"]),
        "gate_bias": [0.0],
    }
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor)
    for name, tensor in load_file(plain / "model.safetensors").items():
        assert torch.equal(load_file(late / "model.safetensors")[name], tensor)


@pytest.mark.parametrize("learn", ["late", "head", "all"])
def test_what_is_asked_for_learns_alone_and_the_engine_ranks_as_training_does(
    late: Path, tmp_path: Path, learn: str
) -> None:
    config = SftConfig(
        steps=8, warmup=1, lr=3e-2, precision="fp32", optimizer="adamw", lm_weight=0.0, start=str(late), learn=learn
    )  # fmt: skip
    model = first_model(config)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    tokenizer = AutoTokenizer.from_pretrained(late)
    train(config, tmp_path, model, tokenizer, batches(tokenizer, model.attends))
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    interaction = {"head.maxsim", "head.gate", "head.gate_bias"}
    head = {*interaction, "head.w", "head.W", "head.scale"}
    assert changed == {"late": interaction, "head": head, "all": set(before)}[learn]
    trained, rng = load_model(tmp_path / "final"), np.random.default_rng(1)
    prompt_format = EncoderFormat(TextEncoder(tokenizer))
    with Ranker(tmp_path / "final", dtype="float32") as ranker:
        for n in (1, 2, 7):
            case = make_case(rng, n)
            expected = order_by_rounds(trained, prompt_format, case)
            assert ranker.rank(case.query, case.candidates, task=case.task).order == expected


def test_reward_reaches_it(late: Path, tmp_path: Path) -> None:
    words = options(late, tmp_path / "out", max_steps=2, eval_strategy="no", beta=0.1)
    trainer = train_by_reward(*parse_grpo(words), learnable_cases(24), {})
    first = next(row for row in trainer.state.log_history if "kl" in row)
    assert first["kl"] == pytest.approx(0, abs=1e-5)
    after = load_file(tmp_path / "out" / "final" / HEAD)
    assert not torch.equal(after["gate"], load_file(late / HEAD)["gate"])


def test_alone_it_finds_the_text_that_holds_the_querys_words(late: Path, tmp_path: Path) -> None:
    model = load_model(late)
    for parameter in (model.head.w, model.head.W, model.head.scale):
        torch.nn.init.zeros_(parameter)
    save_model(model, AutoTokenizer.from_pretrained(late), tmp_path)
    texts = ["green cat", "red lamp", "blue mat", "lamp of the cat", "heat"]
    with Ranker(tmp_path, dtype="float32") as ranker:
        ranking = ranker.rank("red lamp", texts)
    assert ranking[0].text == "red lamp"
    assert ranking[0].score > ranking[1].score


def test_where_it_does_not_belong_it_is_refused(plain: Path, late: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="reads the last token's, or has it already"):
        with_late_interaction(load_model(TINY_START))
    with pytest.raises(UnsupportedModelError, match="or has it already"):
        with_late_interaction(load_model(late), WEIGHT)
    config = SftConfig(precision="fp32", optimizer="adamw", lm_weight=0.0, start=str(plain), learn="late")
    with pytest.raises(
        ValueError, match=r"no late interaction to learn: training.sft.late_interaction adds it"
    ):
        check(first_model(config), config)
    with pytest.raises(ValueError, match="learn is one of all, head, late, not 'some'"):
        SftConfig(learn="some")


def test_a_head_with_half_of_it_is_refused(late: Path, tmp_path: Path) -> None:
    for path in late.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    head = load_file(late / HEAD)
    save_file({name: tensor for name, tensor in head.items() if name != "gate_bias"}, tmp_path / HEAD)
    with pytest.raises(
        ValueError, match=r"must hold W .*, gate \[48\], gate_bias \[1\], maxsim \[1\], scale"
    ):
        Ranker(tmp_path)
