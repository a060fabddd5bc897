"""The nine tasks and the three that never train, each by one name, as cases of a split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .agentcf import agentcf_cases
from .example import RankingExample
from .passage import passage_cases, topics
from .pubmedqa import pubmedqa
from .questions import question_cases
from .recommendation import INTERACTIONS, Interactions, Sampler, recommendation_cases
from .routeprofile import routeprofile
from .routing import ROUTING_WEIGHTS, max_cost, routerbench, routing_cases
from .splits import Split, in_validation

Folder = str | Path | None
Builder = Callable[[Split, Sampler, Folder], list[RankingExample]]
VERSION = 2
"""Grows when the same seed and files give other cases."""


def _recommendation(read: Callable[[Folder], Interactions]) -> Builder:
    return lambda split, sampler, folder: recommendation_cases(read(folder), split, sampler)


def _routing(setting: str) -> Builder:
    def build(split: Split, sampler: Sampler, folder: Folder) -> list[RankingExample]:
        train, test = routerbench(folder)
        known = [row for row in train if in_validation(row.query) == (split == "validation")]
        return routing_cases(test if split == "test" else known, setting, max_cost(train))

    return build


def _passage(k: int) -> Builder:
    def build(split: Split, sampler: Sampler, folder: Folder) -> list[RankingExample]:
        return passage_cases(topics(split, folder), k, draws=5)

    return build


def _profile(setting: str) -> Builder:
    def build(split: Split, sampler: Sampler, folder: Folder) -> list[RankingExample]:
        rows = routeprofile(folder)
        return routing_cases(rows, setting, max_cost(rows))

    return build


BENCHMARK_TASKS: dict[str, Builder] = {
    **{name: _recommendation(read) for name, read in INTERACTIONS.items()},
    **{f"router-{setting}": _routing(setting) for setting in ROUTING_WEIGHTS},
    **{f"passage-{k}": _passage(k) for k in (5, 7, 9)},
}
OUT_OF_DOMAIN: dict[str, Builder] = {
    "ood-cds": lambda split, sampler, folder: agentcf_cases(folder),
    **{f"ood-router-{setting}": _profile(setting) for setting in ROUTING_WEIGHTS},
    "ood-pubmedqa": lambda split, sampler, folder: question_cases(pubmedqa(folder), 7),
}


def task_cases(
    name: str, split: Split = "test", *, sampler: Sampler = "uniform", folder: Folder = None
) -> list[RankingExample]:
    """The cases of one task. `sampler` chooses the negatives of recommendation; others have their own.

    Models are chosen on `validation`, which is cut from the training side and does not train.

    Raises ValueError for an unknown name, and for a split other than the test of a task that must not train.
    """
    if name in OUT_OF_DOMAIN:
        if split != "test":
            raise ValueError(f"{name} is out of domain: it has no {split} split, so that it stays a test")
        return OUT_OF_DOMAIN[name](split, sampler, folder)
    if name not in BENCHMARK_TASKS:
        raise ValueError(f"no task {name!r}; there are {', '.join([*BENCHMARK_TASKS, *OUT_OF_DOMAIN])}")
    return BENCHMARK_TASKS[name](split, sampler, folder)
