"""Imitated answers: what they say, and that a model which has imitated some writes answers that can be read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from rranker.data import RankingExample
from rranker.engine.generation import Sampling
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.r1_ranker import R1RankerFormat
from rranker.training.grpo import parse, warm_up
from rranker.training.grpo.checkpoints import checkpoints
from rranker.training.grpo.config import GrpoConfig
from rranker.training.grpo.text import answer_rewards, prompt_ids
from rranker.training.grpo.warm_up import IGNORED, answer_ids, imitate, main, rows
from rranker.training.policy.network import load_policy
from rranker.training.policy.texts import write_texts
from tests.support.checkpoints import edit, small_tokenizer
from tests.support.toys import options, save_causal_policy, toy_cases

FILMS = RankingExample(
    "recommendation", ["Up"], None, ["<|im_end|> Heat", "Alien", "Jaws"], [0.0, 1.0, 0.5], "q"
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """It decodes texts as they were."""
    return small_tokenizer()


def written(tokenizer: Any, method: str, seed: int = 0) -> tuple[tuple[int, ...], str]:
    encoder = TextEncoder(tokenizer)
    ids = answer_ids(encoder, FILMS, method, np.random.default_rng(seed))
    return ids, encoder.decode(ids)


def test_an_answer_to_imitate_names_each_of_the_worse_ones_at_times_and_earns_all(tokenizer: Any) -> None:
    texts = {written(tokenizer, "iranker", seed)[1] for seed in range(20)}
    assert len(texts) == 2
    for text in texts:
        assert answer_rewards([FILMS], [text], "iranker", 10) == ([1.0], [False])
    assert answer_rewards([FILMS], [written(tokenizer, "dranker")[1]], "dranker", 10)[0] == pytest.approx(
        [1.0]
    )


def test_a_name_spells_no_special_token_and_the_prompt_is_not_imitated(tokenizer: Any) -> None:
    special = set(tokenizer.all_special_ids)
    assert not special & set(written(tokenizer, "dranker")[0])
    (row,) = rows(tokenizer, [FILMS], "dranker", 0)
    prompt = prompt_ids(R1RankerFormat(TextEncoder(tokenizer)), FILMS, "dranker")
    assert row["input_ids"][: len(prompt)] == prompt
    assert row["labels"] == [IGNORED] * len(prompt) + row["input_ids"][len(prompt) :]
    assert row["input_ids"][-1] == tokenizer.eos_token_id


def test_what_has_imitated_answers_writes_ones_that_can_be_read(tmp_path: Path, tokenizer: Any) -> None:
    start = save_causal_policy(tokenizer, tmp_path / "start")
    words = options(
        start, tmp_path / "out", policy="text", max_steps=30, per_device_train_batch_size=8, learning_rate=0.02,
        lora_rank=8, eval_strategy="no",
    )  # fmt: skip
    arguments, config = parse(words)
    cases = toy_cases(240, n=2)
    imitate(arguments, config, cases)
    assert share_read(start, cases) == 0
    assert share_read(tmp_path / "out" / "final", cases) > 0.7


class Killed(Exception):
    pass


class KillAt(TrainerCallback):
    """Once that many steps are done, and before they are saved."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self._step:
            raise Killed


def test_one_that_was_killed_goes_on_to_the_same_weights(tmp_path: Path, tokenizer: Any) -> None:
    start, cases = save_causal_policy(tokenizer, tmp_path / "start"), toy_cases(80, n=2)

    def run(out: str, *watchers: Any, **changes: Any) -> Any:
        words = options(
            start,
            tmp_path / out,
            policy="text",
            eval_strategy="no",
            lora_rank=4,
            per_device_train_batch_size=4,
            **changes,
        )
        imitate(*parse(words), cases, watchers)
        return load_file(tmp_path / out / "final" / "model.safetensors")

    whole = run("whole")
    with pytest.raises(Killed):
        run("killed", KillAt(5))
    assert [path.name for path in checkpoints(tmp_path / "killed")] == ["checkpoint-2", "checkpoint-4"]
    with pytest.raises(FileExistsError, match="--resume true"):
        run("killed")
    with pytest.raises(ValueError, match="max_steps was 6 and is now 8"):
        run("killed", resume=True, max_steps=8)
    resumed = run("killed", resume=True)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def share_read(model: Path, cases: dict[str, RankingExample]) -> float:
    """Of greedy answers."""
    policy, some = load_policy(model), list(cases.values())[:8]
    encoder = TextEncoder(policy.tokenizer)
    prompts = [prompt_ids(R1RankerFormat(encoder), case, "iranker") for case in some]
    texts = write_texts(
        policy.lm, prompts, most=60, ends=[policy.tokenizer.eos_token_id], sampling=Sampling(),
        seeds=range(len(prompts)), slots=100_000,
    )  # fmt: skip
    _, invalid = answer_rewards(some, [encoder.decode(tuple(text)) for text in texts], "iranker", 10)
    return 1 - sum(invalid) / len(invalid)


def test_what_is_imitated_is_of_all_tasks_and_enough_for_all_processes(
    tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mixture is in order of its tasks."""

    class Drawn(Exception):
        pass

    def no_rows(_: Any, cases: list[RankingExample], *rest: Any) -> None:
        raise Drawn([case.id for case in cases])

    monkeypatch.setattr(warm_up, "rows", no_rows)
    start = save_causal_policy(tokenizer, tmp_path / "start")
    tasks = {"routes": toy_cases(200), "films": toy_cases(200, seed=1)}
    cases = {f"{t}/{k}": replace(c, id=t + k) for t, of_task in tasks.items() for k, c in of_task.items()}

    def drawn(processes: int, seed: int) -> list[str]:
        monkeypatch.setattr(GrpoConfig, "world_size", processes)
        words = options(start, tmp_path / "out", policy="text", max_steps=4, eval_strategy="no", seed=seed)
        with pytest.raises(Drawn) as raised:
            imitate(*parse(words), cases)
        ids: list[str] = raised.value.args[0]
        return ids

    one, two = drawn(1, 0), drawn(2, 0)
    assert (len(set(one)), len(set(two))) == (64, 128)
    assert 20 < sum(name.startswith("films") for name in one) < 44
    assert drawn(1, 0) == one != drawn(1, 1)


def test_one_that_diverges_says_what_to_do(tmp_path: Path, tokenizer: Any) -> None:
    start = save_causal_policy(tokenizer, tmp_path / "start")
    rows = [{"query": f"query {i}", "candidates": ["a", "b"], "relevance": [1, 0]} for i in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = options(
        start, tmp_path / "out", policy="text", data=tmp_path / "rows.jsonl", max_steps=5, save_steps=5,
        per_device_train_batch_size=4, learning_rate=1e30, max_grad_norm=0,
    )  # fmt: skip
    with pytest.raises(SystemExit, match=r"(?s)step \d.*lower the learning rate"):
        main(words)


def test_an_answer_fits_the_context_behind_its_prompt(
    tmp_path: Path, tokenizer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    start, encoder = save_causal_policy(tokenizer, tmp_path / "start"), TextEncoder(tokenizer)
    cases = toy_cases(40, n=2)
    long = max(cases.values(), key=lambda case: sum(map(len, case.candidates)))
    cases["long"] = replace(long, candidates=[text + " and on" * 40 for text in long.candidates])
    lengths = [len(row) for row in rows(tokenizer, list(cases.values())[:-1], "iranker", 0)["input_ids"]]
    prompt = len(prompt_ids(R1RankerFormat(encoder), cases["long"], "iranker"))
    assert prompt > max(lengths)
    edit("config.json", max_position_embeddings=prompt + 10)(start)  # its answer names one of its candidates
    imitate(*parse(options(start, tmp_path / "out", policy="text", max_steps=1)), cases)
    said = capsys.readouterr().out
    assert "40 of 41 training cases fit; the first that does not" in said
    assert f"has {prompt} tokens" in said
    assert "(the answer)" in said


OPTIMISER = {
    "weight_decay": 0.25,
    "max_grad_norm": 0.5,
    "adam_beta2": 0.95,
    "adam_epsilon": 1e-6,
    "lr_scheduler_type": "constant_with_warmup",
    "warmup_steps": 2,
    "optim": "adafactor",
    "logging_steps": 2,
    "save_steps": 2,
    "gradient_checkpointing": True,
}


def test_what_is_said_of_the_optimiser_holds_here_too(tmp_path: Path, tokenizer: Any) -> None:
    start = save_causal_policy(tokenizer, tmp_path / "start")
    words = options(start, tmp_path / "out", policy="text", max_steps=4, eval_steps=2, **OPTIMISER)
    arguments, config = parse(words)
    seen: list[dict[str, Any]] = []

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            group = more["optimizer"].param_groups[0]
            seen.append(
                {**args.to_dict(), "kind": type(more["optimizer"].optimizer).__name__, "group": group}
            )

    imitate(arguments, config, toy_cases(80, n=2), [Watch()])
    (held,) = seen
    assert {name: held[name] for name in OPTIMISER} == OPTIMISER
    assert held["kind"] == "Adafactor"
    assert (held["group"]["weight_decay"], held["group"]["lr"]) == (0.25, config.learning_rate)  # constant
    assert held["eval_strategy"] == "no"
    assert {path.name for path in checkpoints(tmp_path / "out")} == {"checkpoint-2", "checkpoint-4"}


def test_only_texts_can_be_imitated() -> None:
    with pytest.raises(ValueError, match="give --policy text"):
        main(["--use_cpu", "true", "--bf16", "false"])
