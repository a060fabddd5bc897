"""CDs bought on Amazon, as AgentCF published them: never trained on, the test of a new catalogue."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np

from rranker.files import parsed_lines

from .example import RankingExample, data_file

PARTS = ("dense", "sparse")


def agentcf_cases(
    folder: str | Path | None = None, *, candidates: int = 20, part: str | None = None, seed: int = 0
) -> list[RankingExample]:
    """A user's last purchase among `candidates` - 1 of the 100 published candidates that are not it.

    Both parts together unless `part` names one. Items of one title count as one item.
    """
    items = data_file("amazon_cds_agentcf/CDs.item", folder)
    rows = parsed_lines(items, lambda line: line.split("\t"), header=True)
    titles = {row[0]: html.unescape(row[1]).strip() for row in rows if len(row) > 1}
    cases = []
    for name in (part,) if part else PARTS:
        stem = f"amazon_cds_agentcf/CDs-100-user-{name}"
        offered = dict(parsed_lines(data_file(stem + ".random", folder), _offer))
        for user, past, target in parsed_lines(
            data_file(stem + ".test.inter", folder), _purchase, header=True
        ):
            history = [titles[item] for item in past.split()]
            gold = titles[target]
            others = {titles[item]: None for item in offered[user] if titles[item]}
            for known in (gold, *history):
                others.pop(known, None)
            rng = np.random.default_rng([seed, int(user)])
            chosen = rng.choice(len(others), candidates - 1, replace=False)
            pool = [gold, *(list(others)[i] for i in chosen)]
            order = rng.permutation(candidates)
            texts, relevance = [pool[i] for i in order], [float(i == 0) for i in order]
            cases.append(
                RankingExample("recommendation", history, None, texts, relevance, f"cds-{name}-{user}")
            )
    return cases


def _offer(line: str) -> tuple[str, list[str]]:
    user, items = line.split("\t")
    return user, items.split()


def _purchase(line: str) -> tuple[str, str, str]:
    user, past, target = line.split("\t")
    return user, past, target
