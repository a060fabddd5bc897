"""Rewards, returns and advantages for groups of rollouts, ragged batches in CSR form.

An *episode* is one rollout: the relevance of its candidates, and the candidate excluded in each round (from
0; -1, or one that is gone already, stands for an answer that names no living candidate). Row e of a batch is
`values[offsets[e]:offsets[e + 1]]`. Numbers must be finite: a ValueError names the episode and candidate of one
that is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rranker import _C
from rranker.choices import one_of
from rranker.containers import members
from rranker.real import real_number
from rranker.whole import whole_number, whole_numbers

Floats = NDArray[np.float64]


def _floats(values: ArrayLike) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64)


def ragged(rows: Sequence[Sequence[float]]) -> tuple[Floats, NDArray[np.int64]]:
    """Rows of different lengths as (values, offsets)."""
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    values = [value for row in rows for value in row]
    return np.array(values, dtype=np.float64), offsets


def step_rewards(
    relevance: ArrayLike,
    relevance_offsets: ArrayLike,
    exclusions: ArrayLike,
    exclusion_offsets: ArrayLike,
    *,
    hit: float = 1.0,
    miss: float = 0.0,
    invalid: float = -0.5,
    gold: float | None = None,
) -> Floats:
    """The step reward of R1-Ranker (arXiv 2506.21638): one number an exclusion.

    `hit` when a negative goes, `miss` when a gold candidate goes, `invalid` when the answer names nobody
    alive. Gold is relevance >= `gold`; by default the list's best level, so that tied golds are all gold. Where all
    candidates tie at 0 or below, none is.
    """
    return _C.step_rewards(
        _floats(relevance),
        whole_numbers(relevance_offsets, "relevance_offsets"),
        whole_numbers(exclusions, "exclusions"),
        whole_numbers(exclusion_offsets, "exclusion_offsets"),
        real_number(hit, "hit"),
        real_number(miss, "miss"),
        real_number(invalid, "invalid"),
        math.nan if gold is None else real_number(gold, "gold"),
    )


def graded_rewards(
    relevance: ArrayLike,
    relevance_offsets: ArrayLike,
    exclusions: ArrayLike,
    exclusion_offsets: ArrayLike,
    *,
    k: int | None = None,
    exponential: bool = False,
    invalid: float = -0.5,
) -> Floats:
    """Graded step reward: the change in the best NDCG@k still reachable.

    r_t = best_t - best_{t-1}, where best_t ranks the living by falling relevance above the excluded (last out
    first). Each is 0 or less, 0 when nothing was given away, and an episode's sum is final NDCG@k - 1. An exclusion
    costs time in the different gains that rank below it within k, not in the candidates.
    """
    return _C.graded_rewards(
        _floats(relevance),
        whole_numbers(relevance_offsets, "relevance_offsets"),
        whole_numbers(exclusions, "exclusions"),
        whole_numbers(exclusion_offsets, "exclusion_offsets"),
        _cutoff(k),
        exponential,
        real_number(invalid, "invalid"),
    )


def listing_rewards(
    relevance: ArrayLike,
    relevance_offsets: ArrayLike,
    listed: ArrayLike,
    listed_offsets: ArrayLike,
    *,
    k: int | None = 10,
    exponential: bool = False,
    coverage_weight: float = 0.5,
) -> Floats:
    """DRanker's reward, one number an episode: NDCG@k of the list, less `coverage_weight` x the share not listed.

    `listed` holds the ids as the model gave them (see `permutations.parse`); repeated and out-of-range ids
    take no rank. NDCG's ideal is that of the whole list, so leaving a relevant candidate out costs twice.
    """
    return _C.listing_rewards(
        _floats(relevance),
        whole_numbers(relevance_offsets, "relevance_offsets"),
        whole_numbers(listed, "listed"),
        whole_numbers(listed_offsets, "listed_offsets"),
        _cutoff(k),
        exponential,
        real_number(coverage_weight, "coverage_weight"),
    )


def format_scores(responses: Sequence[str], *, prefilled: bool = False) -> Floats:
    """1 for each response that is one thought, then one non-empty answer, and nothing else; 0 otherwise.

    Give the responses alone, never prompt + response: tags of the prompt's own instructions must not count.
    `prefilled`: the prompt already ends in `<think>`, so the response starts inside the thought.
    """
    if isinstance(responses, str):
        raise TypeError("format_scores takes a list of responses; wrap a single one in a list")
    texts = list(members(responses, "responses", "a list of strings"))
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"responses[{place}] must be a string, not {type(text).__name__}")
    return _C.format_scores([text.encode("utf-8", "replace").decode() for text in texts], prefilled)


def returns(rewards: ArrayLike, offsets: ArrayLike, *, gamma: float = 1.0) -> Floats:
    """Discounted returns G_t = r_t + gamma G_{t+1} within each episode."""
    return _C.returns(_floats(rewards), whole_numbers(offsets, "offsets"), real_number(gamma, "gamma"))


def group_advantages(
    values: ArrayLike,
    offsets: ArrayLike,
    group_offsets: ArrayLike,
    *,
    baseline: Literal["step", "group"] = "step",
    scale: bool = True,
    epsilon: float = 1e-4,
) -> Floats:
    """Advantages relative to the group, (episodes x longest episode); steps that were not taken are 0.

    `values` are rewards or returns per decision; `group_offsets` cuts the episodes into groups that answer
    the same query. (value - mean) / (std + epsilon) over the group's decisions at the same step ("step"), or
    over all of the group's decisions ("group": with one decision an episode this is GRPO's, arXiv 2402.03300,
    with the population deviation). `scale=False` leaves the division out (Dr. GRPO, arXiv 2503.20783).
    """
    one_of(baseline, "baseline", ("step", "group"))
    return _C.group_advantages(
        _floats(values),
        whole_numbers(offsets, "offsets"),
        whole_numbers(group_offsets, "group_offsets"),
        baseline == "step",
        scale,
        real_number(epsilon, "epsilon"),
    )


def _cutoff(k: int | None) -> int:
    return 0 if k is None else whole_number(k, "the cutoff k (None: the whole list)", least=1)
