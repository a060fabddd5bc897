"""Reinforcement learning of a ranking policy: `python -m training.grpo --config configs/tiny.yaml`."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from trl import TrlParser

from rranker.data import Case
from rranker.methods import method_class
from rranker.training.grpo.arguments import GrpoArguments, GrpoConfig
from rranker.training.grpo.callbacks import Patience, StopOnNaN
from rranker.training.grpo.checkpoints import CheckpointError, drop_partial, last_good
from rranker.training.grpo.data import held_out, mixture
from rranker.training.grpo.estimate import estimate
from rranker.training.grpo.trainer import RankingGRPOTrainer
from rranker.training.policy.network import HEAD, Policy, load_policy, save_policy
from rranker.training.policy.rollouts import RolloutEngine
from rranker.training.report import write_report


def parse(words: Sequence[str] | None = None) -> tuple[GrpoArguments, GrpoConfig]:
    """Command line over YAML (`--config`) over defaults."""
    given = list(sys.argv[1:] if words is None else words)
    if "--dry_run" in given and not torch.cuda.is_available():
        given += ["--use_cpu", "true"]  # an estimate may be asked for where the run itself could not be
    settings: Any = (GrpoArguments, GrpoConfig)  # a union of classes by TRL's hint, any by its documentation
    arguments, config = TrlParser(settings).parse_args_and_config(given)
    return arguments, config


def fitting(
    policy: Policy, arguments: GrpoArguments, cases: dict[str, Case]
) -> tuple[dict[str, Case], list[int]]:
    """The cases whose prompt fits the training limits, and the prompts' lengths in tokens.

    Raises ValueError when none does, from what the first one was refused for.
    """
    engine = RolloutEngine(
        policy, max_prompt=arguments.max_prompt_tokens, max_candidate=arguments.max_candidate_tokens, slots=1
    )
    kept, lengths = {}, []
    refusal: ValueError | None = None
    for key, case in cases.items():
        try:
            segments = engine.segments(case, method_class(arguments.method).kind)
        except ValueError as error:
            refusal = refusal or error
            continue
        kept[key] = case
        lengths.append(len(segments.prefix) + sum(map(len, segments.candidates)))
    if not kept:
        raise ValueError(
            f"none of {len(cases)} cases fits the limits (max_prompt_tokens {arguments.max_prompt_tokens}, "
            f"max_candidate_tokens {arguments.max_candidate_tokens}). The first one: {refusal}"
        ) from refusal
    return kept, lengths


def lora(arguments: GrpoArguments, policy: Policy) -> Any:
    """peft's configuration, or None to train all weights. A pointer head is trained whole."""
    if not arguments.lora_rank:
        return None
    from peft import LoraConfig

    head = [HEAD] if hasattr(policy.lm, HEAD) else None
    rank = arguments.lora_rank
    return LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", modules_to_save=head, task_type="CAUSAL_LM"
    )


def prepare(config: GrpoConfig, arguments: GrpoArguments, resumed: bool) -> list[Any]:
    """Settings that follow from others, and the callbacks."""
    callbacks: list[Any] = [StopOnNaN()]
    # A resumed run has its start in the log already.
    config.eval_on_start = config.eval_on_start and config.eval_strategy != "no" and not resumed
    config.metric_for_best_model, config.greater_is_better = "eval_mrr", True
    if arguments.patience:
        if config.eval_strategy == "no":
            raise ValueError("patience needs evaluations: set eval_strategy to steps")
        config.save_steps = (
            config.eval_steps or config.save_steps
        )  # so that the best one is there to go back to
        callbacks.append(Patience(arguments.patience))
    return callbacks


def train(
    arguments: GrpoArguments,
    config: GrpoConfig,
    cases: dict[str, Case],
    evals: dict[str, list[Case]],
    watchers: Sequence[Any] = (),
) -> RankingGRPOTrainer:
    """Trains, and leaves checkpoints, `final` (what `Ranker` loads) and the report in the output folder.

    `watchers` are further callbacks of transformers' Trainer.
    """
    out = Path(str(config.output_dir))
    policy = load_policy(arguments.model)
    resume = last_good(out) if arguments.resume else None
    callbacks = [*prepare(config, arguments, resume is not None), *watchers]
    trainer = RankingGRPOTrainer(
        policy, arguments, config, cases, evals, callbacks=callbacks, peft_config=lora(arguments, policy)
    )
    if arguments.resume and trainer.accelerator.is_main_process:
        drop_partial(out)
    trainer.accelerator.wait_for_everyone()
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    if trainer.accelerator.is_main_process:
        export(trainer, arguments, out)
        settings = {**asdict(arguments), **config.to_dict()}
        write_report(trainer.state.log_history, settings, out)
    return trainer


def export(trainer: RankingGRPOTrainer, arguments: GrpoArguments, out: Path) -> None:
    """`final`: the best checkpoint when stopping was by evaluation, else the last weights; adapters merged."""
    best = trainer.state.best_model_checkpoint
    if arguments.patience and best:
        # The Trainer's own way to its best checkpoint, which it takes only at the end of `train`.
        trainer._load_from_checkpoint(  # noqa: SLF001
            best, trainer.accelerator.unwrap_model(trainer.model)
        )
    if arguments.lora_rank:
        trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
    save_policy(trainer.policy, out / "final", torch.bfloat16)


def explain(error: Exception, out: Path) -> str | None:
    """A sentence for what the user can mend; None for anything else."""
    good = last_good(out)
    rest = f"The last good checkpoint is {good}." if good else "No checkpoint had been written yet."
    if isinstance(error, FloatingPointError):
        return f"Stopped: {error}. {rest}"
    if isinstance(error, CheckpointError):
        number = getattr(error.__cause__, "errno", None)
        if number in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return f"Stopped: {error}. Is the disk full? {rest} Free some space and go on with --resume true."
        return f"Stopped: {error}. {rest} Go on with --resume true once it can be written."
    return None


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.grpo`."""
    arguments, config = parse(words)
    text = arguments.policy == "text"
    if text and arguments.method == "iranker":
        arguments.episodes = "single"  # one answer a prompt is one exclusion
    cases, lengths = mixture(arguments, config.seed), None
    drawn = len(cases)
    if not text and (Path(arguments.model) / "config.json").is_file():
        cases, tokens = fitting(load_policy(arguments.model), arguments, cases)
        lengths = float(np.mean(tokens)), 1.0
    print(f"{len(cases)} of {drawn} training cases; tasks {arguments.weights()}", flush=True)
    if arguments.dry_run:
        for name, value in estimate(arguments, config, cases, lengths).items():
            print(f"{name:32} {value:,}")
        return
    evals = held_out(arguments, config.seed) if config.eval_strategy != "no" else {}
    try:
        if text:
            from rranker.training.grpo.text import train_text

            flat = {f"{task}/held-out/{i}": c for task, found in evals.items() for i, c in enumerate(found)}
            train_text(arguments, config, cases, flat)
        else:
            train(arguments, config, cases, evals)
    except (FloatingPointError, CheckpointError) as error:
        sys.exit(explain(error, Path(str(config.output_dir))))
