"""Answers to imitate, before a text policy is rewarded: `python -m training.grpo.warm_up --config FILE`.

A model that never writes an answer that can be read earns the same whatever it writes, and reward teaches it nothing.
Here it imitates answers first: one sentence of thought, then the name of a worse candidate (`iranker`), or all names,
best first (`dranker`). It takes the options of `training.grpo`, a batch is one of texts to imitate, and `--model
OUT/final` of `training.grpo` goes on from there. Options of rollouts, rewards and evaluation are not read. Interrupted,
it goes on with `--resume true`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainingArguments
from trl import SFTConfig, SFTTrainer

from rranker.data import RankingExample
from rranker.data.table import library
from rranker.prompts import TEMPLATES
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.r1_answers import names_of
from rranker.prompts.r1_ranker import R1RankerFormat
from rranker.training.grpo.arguments import GrpoArguments, parse
from rranker.training.grpo.callbacks import StopOnNaN
from rranker.training.grpo.checkpoints import CheckpointError, start_from
from rranker.training.grpo.config import GrpoConfig
from rranker.training.grpo.data import mixture
from rranker.training.grpo.run import explain
from rranker.training.grpo.safe_trainer import SafeTrainer
from rranker.training.grpo.text import load_text_policy, prompt_ids, save_text_policy, shown
from rranker.training.grpo.text_limits import TextLimits, fitting_texts
from rranker.training.options import as_dtype, run_command
from rranker.training.policy.adapters import adapters

IGNORED = -100
"""The label of tokens that are not imitated."""
_UNREAD = (
    "do_",
    "eval_",
    "per_device_eval_",
    "batch_eval_",
    "bf16_full_eval",
    "fp16_full_eval",
    "include_for_metrics",
    "prediction_loss_only",
    "load_best_model_at_end",
    "metric_for_best_model",
    "greater_is_better",
    "resume_from_checkpoint",
)
"""How the names of the settings begin that are of evaluation, or said otherwise here."""


class Imitation(SafeTrainer, SFTTrainer):
    """Supervised, of texts."""


def answers(case: RankingExample, method: str) -> list[list[tuple[str, bool]]]:
    """What may be written behind the case's prompt, after the thought's opening: texts, each trusted or not."""
    names = names_of(TEMPLATES[case.task], shown(case))
    if method == "iranker":
        worse = [
            name for name, value in zip(names, case.relevance, strict=True) if value < max(case.relevance)
        ]
        written = [([(" ", True), (name, False), (" fits least.", True)], name) for name in worse]
    else:
        order = np.argsort(-np.asarray(case.relevance), kind="stable")
        written = [([(" The best comes first.", True)], "\n".join(names[i] for i in order))]
    return [
        [*thought, ("</think>\n<answer>", True), (answer, False), ("</answer>", True)]
        for thought, answer in written
    ]


def answer_ids(
    encoder: TextEncoder, case: RankingExample, method: str, rng: np.random.Generator
) -> tuple[int, ...]:
    """One of the `answers`, drawn; names can never spell a special token."""
    possible = answers(case, method)
    return encoder.mixed(possible[int(rng.integers(len(possible)))])


def rows(tokenizer: Any, cases: Sequence[RankingExample], method: str, seed: int) -> Any:
    """A `datasets.Dataset` of prompts with their answers: `input_ids`, and `labels` that leave the prompts out."""
    encoder, rng = TextEncoder(tokenizer), np.random.default_rng(seed)
    prompts = R1RankerFormat(encoder)
    made: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    for case in cases:
        prompt = prompt_ids(prompts, case, method)
        answer = [*answer_ids(encoder, case, method, rng), tokenizer.eos_token_id]
        made["input_ids"].append(prompt + answer)
        made["labels"].append([IGNORED] * len(prompt) + answer)
    return library().Dataset.from_dict(made)


def drawn(cases: Mapping[str, RankingExample], config: GrpoConfig) -> list[RankingExample]:
    """As many as the run takes, or all there are, drawn from all tasks alike: a mixture is in order of its tasks."""
    batch = config.per_device_train_batch_size * config.gradient_accumulation_steps * config.world_size
    order, pool = np.random.default_rng(config.seed).permutation(len(cases)), list(cases.values())
    return [pool[i] for i in order[: int(config.max_steps) * batch]]


def trainer_settings(config: GrpoConfig) -> SFTConfig:
    """All that `config` says to any trainer of transformers, so nothing of rollouts; and nothing is evaluated."""
    names = [
        each.name for each in fields(TrainingArguments) if each.init and not each.name.startswith(_UNREAD)
    ]
    return SFTConfig(**{name: getattr(config, name) for name in names}, max_length=None)


def imitate(
    arguments: GrpoArguments,
    config: GrpoConfig,
    cases: dict[str, RankingExample],
    watchers: Sequence[Any] = (),
) -> None:
    """Trains, and leaves checkpoints and `final` in the output folder.

    `watchers` are further callbacks of transformers' Trainer. Raises FloatingPointError when it diverges, ValueError
    when no prompt fits or no number of steps is given, and what `start_from` raises.
    """
    if config.max_steps < 1:
        raise ValueError(f"the warm-up takes a number of steps (max_steps), not {config.max_steps}")
    method, out = arguments.rollout.method, Path(str(config.output_dir))
    # How many steps there are says which texts are drawn.
    settings = arguments.fixed(config) | {"max_steps": config.max_steps}
    resume = start_from(out, arguments.run.resume, settings)
    checkpoint = load_text_policy(arguments, config)
    encoder = TextEncoder(checkpoint.tokenizer)
    limits = TextLimits(
        R1RankerFormat(encoder),
        method,
        checkpoint.context,
        arguments.rollout.max_prompt_tokens,
        lambda case: 1 + max(len(encoder.mixed(answer)) for answer in answers(case, method)),
        "the answer",
    )
    kept = fitting_texts(limits, cases)
    trainer = Imitation(
        model=checkpoint.lm,
        args=trainer_settings(config),
        train_dataset=rows(checkpoint.tokenizer, drawn(kept, config), method, config.seed),
        processing_class=checkpoint.tokenizer,
        callbacks=[StopOnNaN(), *watchers],
        peft_config=adapters(checkpoint.lm, arguments.policy.lora_rank),
    )
    trainer.train_from(resume, arguments.run.resume, settings)
    if trainer.accelerator.is_main_process:
        trained, dtype = trainer.accelerator.unwrap_model(trainer.model), as_dtype(arguments.run.save_dtype)
        save_text_policy(trained, checkpoint.tokenizer, out / "final", dtype)


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.grpo.warm_up`."""
    arguments, config = parse(words)
    if arguments.policy.policy != "text":
        raise ValueError("only what writes its answers can imitate some: give --policy text")
    arguments.check(config, plays=False)
    cases = mixture(arguments.data, config.seed, single=arguments.rollout.method == "iranker")
    print(f"{len(cases)} cases drawn; tasks {arguments.data.weights()}", flush=True)
    try:
        imitate(arguments, config, cases)
    except (FloatingPointError, CheckpointError) as error:
        sys.exit(explain(error, Path(str(config.output_dir))))


if __name__ == "__main__":
    run_command("grpo.warm_up", main)
