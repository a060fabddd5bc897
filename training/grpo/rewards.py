"""Rewards of sampled episodes, one a decision, and advantages relative to the group."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np

from rranker import rewards
from rranker.methods import method_class, order_of
from rranker.metrics.graded import gains

Reward = Literal["stepwise", "graded", "outcome"]
Scale = Literal["group", "batch", "none"]


def decision_rewards(
    relevance: Sequence[Sequence[float]],
    decisions: Sequence[Sequence[int]],
    method: str,
    reward: Reward,
    k: int,
) -> list[list[float]]:
    """One number a decision of each episode (`outcome`: NDCG@k on the last, 0 before).

    IRanker, `stepwise`: 1 when a worse one goes, 0 when a best one goes (arXiv 2506.21638), -0.5 when nobody
    alive was named. `graded`: the change in the best NDCG@k still reachable. Methods that name the best first (all
    others): a decision's share is what its candidate adds to NDCG@k, in both.
    """
    rules, values = method_class(method), [gains(g) for g in relevance]
    if reward == "outcome":
        orders = [order_of(rules(len(g)), d) for g, d in zip(relevance, decisions, strict=True)]
        final = rewards.listing_rewards(*rewards.ragged(values), *_whole(orders), k=k)
        return [[0.0] * (len(d) - 1) + [float(f)] for d, f in zip(decisions, final, strict=True)]
    if rules.kind != "exclude":
        return [_shares(v, d, k) for v, d in zip(values, decisions, strict=True)]
    flat, offsets = _whole(decisions)
    if reward == "stepwise":
        per_step = rewards.step_rewards(*rewards.ragged(values), flat, offsets)
    else:
        per_step = rewards.graded_rewards(*rewards.ragged(values), flat, offsets, k=k)
    return [per_step[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def _shares(values: Sequence[float], decisions: Sequence[int], k: int) -> list[float]:
    discounts = [1 / np.log2(place + 2) if place < k else 0.0 for place in range(len(values))]
    ideal = float(np.dot(sorted(values, reverse=True), discounts))
    return [values[d] * discounts[place] / ideal for place, d in enumerate(decisions)]


def _whole(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    flat, offsets = rewards.ragged([[float(i) for i in row] for row in rows])
    return flat.astype(np.int64), offsets


def advantages(
    episodes: Sequence[Sequence[float]],
    group: int,
    gamma: float,
    scale: Scale,
) -> np.ndarray:
    """[episodes, longest]: returns relative to the group's returns at the same step, 0 past an episode's end.

    `episodes` holds the rewards of whole groups of `group` each. `scale` divides by the deviation of the group's
    returns at that step, or of all advantages of the batch.
    """
    values, offsets = rewards.ragged(episodes)
    goals = rewards.returns(values, offsets, gamma=gamma)
    groups = np.arange(0, len(episodes) + 1, group)
    result: np.ndarray = rewards.group_advantages(
        goals, offsets, groups, baseline="step", scale=scale == "group"
    )
    if scale == "batch":
        taken = np.arange(result.shape[1])[None] < np.diff(offsets)[:, None]
        result = result / (result[taken].std() + 1e-4)
    return result
