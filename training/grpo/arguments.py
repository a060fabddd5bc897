"""What `python -m training.grpo` takes: the ranking side here, everything else from TRL's `GRPOConfig` (config.py).

Every field is a command-line option and a YAML key.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch

from rranker.engine.loading.model import DEFAULT_MODEL
from rranker.training import command
from rranker.training.grpo.config import GrpoConfig
from rranker.training.grpo.settings import deciding, refuse_unread
from rranker.training.options import (
    SAVE_DTYPES,
    SAVED_AS,
    TRAINABLE,
    check_folder,
    named_numbers,
    option,
    parse_options,
)

INTERACTION_TASKS = ["rec-movie", "rec-music", "rec-game"]
OWN = "own"
"""The task that is made of a user's own files."""


@dataclass
class PolicyArguments:
    """What is trained, and how much of it."""

    model: str = option(
        str(DEFAULT_MODEL), "checkpoint to start from (default: the bundled one), and the KL's reference"
    )
    shape: str | None = option(None, "a config.json for `--dry-run` when the checkpoint is not here")
    policy: str = option(
        "logits",
        "`logits`: decisions by the engine; `text`: a generated thought and answer",
        ("logits", "text"),
    )
    lora_rank: int = option(
        0, "train adapters of this rank (peft) in place of all weights; 0: all weights", least=0
    )


@dataclass
class DataArguments:
    """What is learnt from."""

    tasks: list[str] = option(
        [],
        "the mixture, as name=weight (weight 1 when left out); see training/grpo/data.py (default: rec-movie, "
        "rec-music and rec-game, or `own` alone with --data)",
    )
    data: list[str] = option([], "files of your own, .jsonl or .parquet: the task `own`")
    validation: str | None = option(
        None,
        "a file like those of --data to evaluate `own` on (default: a tenth of their queries is held out)",
    )
    cases: int = option(20000, "training cases drawn for the whole mixture", least=1)
    sampler: str = option("mixed", "negatives of recommendation lists", ("mixed", "uniform", "popular"))
    early: bool = option(
        True, "histories end within a user's first 40 items, as the tasks' do; else anywhere in them"
    )
    history: int = option(20, "longest history of a training case, in items", least=1)

    def weights(self) -> dict[str, float]:
        """Task → share of the mixture.

        Raises ValueError for a malformed entry, a task that is named twice, `own` with no --data or unasked, and
        --validation without --data.
        """
        tasks = self.tasks or ([OWN] if self.data else INTERACTION_TASKS)
        weights = named_numbers(tasks, "tasks are given as name=weight (squad=0.5)", default=1.0)
        if self.validation and not self.data:
            raise ValueError(
                f"a file to evaluate one's own data on needs them (--data): leave --validation {self.validation} out"
            )
        if bool(self.data) != (OWN in weights):
            raise ValueError(
                f"files of one's own (--data) and the task `{OWN}` go together: data {self.data}, tasks {self.tasks}"
            )
        if not weights or min(weights.values()) <= 0:
            raise ValueError(f"task weights must be positive: {self.tasks}")
        return {name: weight / sum(weights.values()) for name, weight in weights.items()}


@dataclass
class RolloutArguments:
    """How episodes are played."""

    method: str = option(
        "iranker",
        "eliminate the worst or select the best round after round, rank in one shot, or judge each alone",
        TRAINABLE,
    )
    episodes: str = option(
        "full",
        "`full`: to the end; `single`: one decision on a list of any size, gold in it",
        ("full", "single"),
    )
    max_prompt_tokens: int | None = option(
        None, "positions a training prompt may take; longer ones are left out", least=1
    )
    max_candidate_tokens: int | None = option(
        None, "longest training candidate; longer ones are cut", least=1
    )
    slots: int = option(65536, "KV tokens of the rollout engine, over all queries in flight", least=1)


@dataclass
class RewardArguments:
    """What decisions earn."""

    reward: str = option(
        "graded",
        "`stepwise`: +1 a worse one excluded, 0 a best one, -0.5 nobody; `graded`: change in reachable NDCG; "
        "`outcome`: final NDCG",
        ("stepwise", "graded", "outcome"),
    )
    relevance: str = option(
        "graded",
        "what rewards see: relevance as it is, or only who is best (as MRR does)",
        ("graded", "best"),
    )
    gamma: float = option(
        1.0, "discount of later decisions' rewards; 0 makes each decision answer for itself", least=0, most=1
    )
    format_weight: float = option(0.5, "weight of the format reward, for `--policy text`", least=0)
    ndcg_cutoff: int = option(20, "k of the rewards' NDCG@k", least=1)


@dataclass
class EvaluationArguments:
    """What is watched, and when it is enough."""

    eval_tasks: list[str] = option([], "tasks whose held-out MRR evaluation reports (default: `tasks`)")
    eval_split: str = option(
        "validation",
        "`validation`: a tenth of the training users and queries, never trained on here: choose by it; `test`: "
        "the tables' cases, to be looked at only",
        ("validation", "test"),
    )
    eval_cases: int = option(200, "cases per evaluated task, at most", least=1)
    patience: int = option(0, "stop after this many evaluations without a better MRR; 0: never", least=0)


@dataclass
class RunArguments:
    """Which part of a run is wanted, and what is kept of it."""

    resume: bool = option(False, "go on from the last complete checkpoint of output_dir, if there is one")
    save_dtype: str | None = option(None, SAVED_AS, SAVE_DTYPES)
    dry_run: bool = option(False, "print steps, tokens, memory and time estimates, and stop")


@dataclass
class GrpoArguments:
    """The ranking side of a run, room by room: a function takes the part it needs."""

    policy: PolicyArguments = field(default_factory=PolicyArguments)
    data: DataArguments = field(default_factory=DataArguments)
    rollout: RolloutArguments = field(default_factory=RolloutArguments)
    reward: RewardArguments = field(default_factory=RewardArguments)
    evaluation: EvaluationArguments = field(default_factory=EvaluationArguments)
    run: RunArguments = field(default_factory=RunArguments)

    def flat(self) -> dict[str, Any]:
        """Option → value, as they were given."""
        return {
            name: value for part in fields(self) for name, value in vars(getattr(self, part.name)).items()
        }

    def fixed(self, config: GrpoConfig) -> dict[str, Any]:
        """What a resumed run must have as it began: all that decides what a step does."""
        result = {
            name: value
            for part in (self.policy, self.data, self.rollout, self.reward)
            for name, value in vars(part).items()
            if name not in ("shape", "slots")
        }
        return result | deciding(config.to_dict())

    def check(self, config: GrpoConfig, plays: bool = True) -> None:
        """Raises ValueError where options would do nothing or harm, and where the output folder cannot be one.

        `plays`: whether what the policy draws is rewarded; else it imitates.
        """
        check_folder("--output_dir", str(config.output_dir))
        self.data.weights()
        standard = {each.name: each.default for each in fields(config)} | GrpoArguments().flat()
        refuse_unread(self.policy.policy, vars(config) | self.flat(), standard)
        if plays and config.neftune_noise_alpha:
            raise ValueError(
                f"--neftune_noise_alpha {config.neftune_noise_alpha:g} adds noise to embeddings, so that decisions "
                "would be scored by another policy than the one that drew them: leave it out"
            )


def _implied(given: Namespace) -> list[str]:
    """An estimate may be asked for where the run itself could not be."""
    return ["--use_cpu", "true"] if given.dry_run and not torch.cuda.is_available() else []


def parse(words: Sequence[str] | None = None) -> tuple[GrpoArguments, GrpoConfig]:
    """Command line over YAML (`--config`) over defaults."""
    *parts, config = parse_options(
        (
            PolicyArguments,
            DataArguments,
            RolloutArguments,
            RewardArguments,
            EvaluationArguments,
            RunArguments,
            GrpoConfig,
        ),
        words,
        prog=command("grpo"),
        description="Reinforcement learning of a ranking policy (GRPO), from a checkpoint.",
        implied=_implied,
    )
    return GrpoArguments(*parts), config
