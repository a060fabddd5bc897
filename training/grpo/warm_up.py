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
from pathlib import Path
from typing import Any

import numpy as np
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
from rranker.training.grpo.text import fitting, load_text_policy, prompt_ids, save_text_policy, shown
from rranker.training.options import run_command
from rranker.training.policy.adapters import adapters

IGNORED = -100
"""The label of tokens that are not imitated."""


class Imitation(SafeTrainer, SFTTrainer):
    """Supervised, of texts."""


def answer_ids(
    encoder: TextEncoder, case: RankingExample, method: str, rng: np.random.Generator
) -> tuple[int, ...]:
    """What is written behind the case's prompt, which has opened the thought; names can never spell a special token."""
    names = names_of(TEMPLATES[case.task], shown(case))
    if method == "iranker":
        worse = [i for i, value in enumerate(case.relevance) if value < max(case.relevance)]
        name = names[int(rng.choice(worse))]
        thought, answer = [(" ", True), (name, False), (" fits least.", True)], name
    else:
        order = np.argsort(-np.asarray(case.relevance), kind="stable")
        thought, answer = [(" The best comes first.", True)], "\n".join(names[i] for i in order)
    return encoder.mixed([*thought, ("</think>\n<answer>", True), (answer, False), ("</answer>", True)])


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
    kept = fitting(checkpoint.tokenizer, cases, arguments.rollout)
    trainer = Imitation(
        model=checkpoint.lm,
        args=SFTConfig(
            output_dir=str(out),
            max_steps=int(config.max_steps),
            per_device_train_batch_size=config.per_device_train_batch_size,
            gradient_accumulation_steps=config.gradient_accumulation_steps,
            learning_rate=config.learning_rate,
            warmup_steps=config.warmup_steps,
            bf16=config.bf16,
            use_cpu=config.use_cpu,
            seed=config.seed,
            logging_steps=config.logging_steps,
            report_to=config.report_to,
            disable_tqdm=config.disable_tqdm,
            save_strategy=config.save_strategy,
            save_steps=config.save_steps,
            save_total_limit=config.save_total_limit,
            max_length=None,
        ),
        train_dataset=rows(checkpoint.tokenizer, drawn(kept, config), method, config.seed),
        processing_class=checkpoint.tokenizer,
        callbacks=[StopOnNaN(), *watchers],
        peft_config=adapters(checkpoint.lm, arguments.policy.lora_rank),
    )
    trainer.train_from(resume, arguments.run.resume, settings)
    if trainer.accelerator.is_main_process:
        save_text_policy(trainer.accelerator.unwrap_model(trainer.model), checkpoint.tokenizer, out / "final")


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.grpo.warm_up`."""
    arguments, config = parse(words)
    if arguments.policy.policy != "text":
        raise ValueError("only what writes its answers can imitate some: give --policy text")
    arguments.check(config)
    cases = mixture(arguments.data, config.seed, single=arguments.rollout.method == "iranker")
    print(f"{len(cases)} cases drawn; tasks {arguments.data.weights()}", flush=True)
    try:
        imitate(arguments, config, cases)
    except (FloatingPointError, CheckpointError) as error:
        sys.exit(explain(error, Path(str(config.output_dir))))


if __name__ == "__main__":
    run_command("python -m training.grpo.warm_up", main)
