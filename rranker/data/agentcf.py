"""CDs bought on Amazon, as AgentCF published them: never trained on, the test of a new catalogue."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np

from .case import Case, data_file

PARTS = ("dense", "sparse")


def agentcf_cases(
    folder: str | Path | None = None, *, candidates: int = 20, part: str | None = None, seed: int = 0
) -> list[Case]:
    """A user's last purchase among `candidates` - 1 of the 100 published candidates that are not it.

    Both parts together unless `part` names one. Items of one title count as one item.
    """
    with open(data_file("amazon_cds_agentcf/CDs.item", folder), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1:]
    titles = {row[0]: html.unescape(row[1]).strip() for row in rows if len(row) > 1}
    cases = []
    for name in (part,) if part else PARTS:
        stem = f"amazon_cds_agentcf/CDs-100-user-{name}"
        with open(data_file(stem + ".random", folder), encoding="utf-8") as file:
            offered = {user: items.split() for user, items in (line.split("\t") for line in file)}
        with open(data_file(stem + ".test.inter", folder), encoding="utf-8") as file:
            asked = [line.rstrip("\n").split("\t") for line in file][1:]
        for user, past, target in asked:
            history = [titles[item] for item in past.split()]
            gold = titles[target]
            others = {titles[item]: None for item in offered[user] if titles[item]}
            for known in (gold, *history):
                others.pop(known, None)
            rng = np.random.default_rng([seed, int(user)])
            chosen = rng.choice(len(others), candidates - 1, replace=False)
            pool = [gold, *(list(others)[i] for i in chosen)]
            order = rng.permutation(candidates)
            texts, grades = [pool[i] for i in order], [float(i == 0) for i in order]
            cases.append(Case("recommendation", history, None, texts, grades, f"cds-{name}-{user}"))
    return cases
