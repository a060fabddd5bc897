"""Reinforcement learning of a ranking policy: `python -m training.grpo --config configs/tiny.yaml`."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState

from rranker.data import RankingExample
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.methods import method_class
from rranker.prompts.segments import POINTWISE, Kind
from rranker.training.grpo.arguments import GrpoArguments, parse
from rranker.training.grpo.callbacks import Patience, StopOnNaN
from rranker.training.grpo.checkpoints import CheckpointError, last_good, start_from
from rranker.training.grpo.config import GrpoConfig
from rranker.training.grpo.data import held_out, how_many_fit, mixture
from rranker.training.grpo.estimate import estimate
from rranker.training.grpo.trainer import RankingGRPOTrainer
from rranker.training.options import as_dtype
from rranker.training.policy.adapters import adapters
from rranker.training.policy.network import HEAD, load_policy, save_policy
from rranker.training.policy.prompts import Prompts
from rranker.training.report import write_report
from rranker.writing import whole_folder


def fitting(
    prompts: Prompts, kind: Kind, cases: dict[str, RankingExample]
) -> tuple[dict[str, RankingExample], tuple[float, float]]:
    """The cases whose prompt fits, and the mean tokens of a (prompt, question); prints how many do.

    Pointwise questions, asked once of every candidate whatever is decided, are part of the prompt.

    Raises ValueError when none does, from what the first one was refused for.
    """
    kept, lengths = {}, []
    refusal: ValueError | None = None
    for key, case in cases.items():
        try:
            segments = prompts.segments(case, kind)
        except ValueError as error:
            refusal = refusal or error
            continue
        kept[key] = case
        prompt, question = len(segments.prefix) + sum(map(len, segments.candidates)), len(segments.suffix)
        if kind in POINTWISE:
            behind = max(0, len(segments.targets) - 1) if kind == "likelihood" else 0
            prompt, question = prompt + len(segments.candidates) * (question + behind), 0
        lengths.append((prompt, question))
    if not kept:
        raise ValueError(
            f"none of {len(cases)} cases fits the limits (max_prompt_tokens {prompts.max_prompt}, "
            f"max_candidate_tokens {prompts.max_candidate}). The first one: {refusal}"
        ) from refusal
    print(how_many_fit(len(kept), len(cases), refusal), flush=True)
    tokens, asked = np.mean(lengths, axis=0)
    return kept, (float(tokens), float(asked))


def fitting_held_out(
    check: Callable[[RankingExample], object], evals: Mapping[str, Sequence[RankingExample]]
) -> dict[str, list[RankingExample]]:
    """The held-out cases that fit the checkpoint, whose limits alone bound an evaluation; prints what is left out.

    `check` raises ValueError for one that does not. Raises ValueError when a task has none that fits.
    """
    kept: dict[str, list[RankingExample]] = {}
    for task, cases in evals.items():
        kept[task], refusal = [], None
        for case in cases:
            try:
                check(case)
            except ValueError as error:
                refusal = refusal or error
            else:
                kept[task].append(case)
        if refusal is None:
            continue
        if not kept[task]:
            raise ValueError(
                f"none of {len(cases)} held-out cases of {task} fits the checkpoint: name other --eval_tasks, or give "
                f"--eval_strategy no. The first one: {refusal}"
            ) from refusal
        left_out = f"{len(kept[task])} of {len(cases)} held-out cases of {task} fit the checkpoint"
        print(f"{left_out}; the first that does not: {refusal}", flush=True)
    return kept


def prepare(config: GrpoConfig, patience: int, resume: Path | None) -> list[Any]:
    """Settings that follow from others and from the checkpoint to `resume`, and the callbacks."""
    callbacks: list[Any] = [StopOnNaN()]
    # A resumed run has its start in the log already.
    config.eval_on_start = config.eval_on_start and config.eval_strategy != "no" and resume is None
    config.metric_for_best_model, config.greater_is_better = "eval_mrr", True
    if patience:
        if config.eval_strategy == "no":
            raise ValueError("patience needs evaluations: set eval_strategy to steps")
        config.save_steps = (
            config.eval_steps or config.save_steps
        )  # so that the best one is there to go back to
        config.check_saves("eval_steps, which save_steps follow where there is --patience,")
        callbacks.append(Patience(patience))
        state = resume and TrainerState.load_from_json(str(resume / TRAINER_STATE_NAME))
        if state and callbacks[-1].spent(state):
            config.max_steps = state.global_step  # it has stopped: what is left to write is `final`
    return callbacks


def train(
    arguments: GrpoArguments,
    config: GrpoConfig,
    cases: dict[str, RankingExample],
    evals: dict[str, list[RankingExample]],
    watchers: Sequence[Any] = (),
) -> RankingGRPOTrainer:
    """Trains, and leaves checkpoints, `final` (what `Ranker` loads) and the report in the output folder.

    `watchers` are further callbacks of transformers' Trainer. Raises what `GrpoArguments.check` and `start_from` raise.
    """
    arguments.check(config)
    out = Path(str(config.output_dir))
    settings = arguments.fixed(config)
    resume = start_from(out, arguments.run.resume, settings)
    callbacks = [*prepare(config, arguments.evaluation.patience, resume), *watchers]
    policy = load_policy(arguments.policy.model)
    trainer = RankingGRPOTrainer(
        policy,
        arguments,
        config,
        cases,
        evals,
        callbacks=callbacks,
        peft_config=adapters(
            policy.lm, arguments.policy.lora_rank, HEAD if hasattr(policy.lm, HEAD) else None
        ),
    )
    trainer.train_from(resume, arguments.run.resume, settings)
    if trainer.accelerator.is_main_process:
        export(trainer, arguments, out)
        write_report(trainer.state.log_history, {**arguments.flat(), **config.to_dict()}, out)
    return trainer


def export(trainer: RankingGRPOTrainer, arguments: GrpoArguments, out: Path) -> None:
    """`final`: the best checkpoint when stopping was by evaluation, else the last weights; adapters merged."""
    best = trainer.state.best_model_checkpoint
    if arguments.evaluation.patience and best:
        # The Trainer's own way to its best checkpoint, which it takes only at the end of `train`.
        trainer._load_from_checkpoint(  # noqa: SLF001
            best, trainer.accelerator.unwrap_model(trainer.model)
        )
    if arguments.policy.lora_rank:
        trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
    dtype = as_dtype(arguments.run.save_dtype)
    with whole_folder(out / "final") as draft:
        save_policy(trainer.policy, draft, dtype, arguments.rollout.method)


def explain(error: Exception, out: Path) -> str | None:
    """A sentence for what the user can mend; None for anything else."""
    good = last_good(out)
    rest = f"The last good checkpoint is {good}." if good else "No checkpoint had been written yet."
    if isinstance(error, FloatingPointError):
        return f"Stopped: {error}. {rest} A run with another rate is a new one: give another --output_dir."
    if isinstance(error, CheckpointError):
        number = getattr(error.__cause__, "errno", None)
        if number in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return f"Stopped: {error}. Is the disk full? {rest} Free some space and go on with --resume true."
        return f"Stopped: {error}. {rest} Go on with --resume true once it can be written."
    return None


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.grpo`."""
    arguments, config = parse(words)
    arguments.check(config)
    text, rollout = arguments.policy.policy == "text", arguments.rollout
    kind = method_class(rollout.method).kind
    if text and rollout.method == "iranker":
        rollout.episodes = "single"  # one answer a prompt is one exclusion
    cases, lengths = mixture(arguments.data, config.seed, single=rollout.episodes == "single"), None
    print(f"{len(cases)} cases drawn; tasks {arguments.data.weights()}", flush=True)
    model = arguments.policy.model
    fits: Callable[[RankingExample], object] | None = None
    # A dry run may know no more of a model than its shape.
    if Path(model).is_dir() or not arguments.policy.shape:
        if text:
            from rranker.training.grpo.text_limits import fitting_texts, rollout_limits

            limits = rollout_limits(read_checkpoint(model, None), rollout, config)
            cases, fits = fitting_texts(limits, cases), replace(limits, max_prompt=None).check
        else:
            prompts = Prompts.load(
                model, max_prompt=rollout.max_prompt_tokens, max_candidate=rollout.max_candidate_tokens
            )
            cases, lengths = fitting(prompts, kind, cases)
            fits = partial(prompts.segments, kind=kind, full=True)
    if arguments.run.dry_run:
        for name, value in estimate(arguments.policy, rollout, config, cases, lengths).items():
            print(f"{name:32} {value:,}")
        return
    evals: dict[str, list[RankingExample]] = {}
    if config.eval_strategy != "no":
        # What is written is evaluated by what it earns, so on questions like those of training.
        alike = text and rollout.episodes == "single"
        evals = held_out(arguments.data, arguments.evaluation, config.seed, single=alike)
        if fits is not None:
            evals = fitting_held_out(fits, evals)
    try:
        if text:
            from rranker.training.grpo.text import train_text

            flat = {
                f"{task}/held-out/{i}": c for task, examples in evals.items() for i, c in enumerate(examples)
            }
            train_text(arguments, config, cases, flat)
        else:
            train(arguments, config, cases, evals)
    except (FloatingPointError, CheckpointError) as error:
        sys.exit(explain(error, Path(str(config.output_dir))))
