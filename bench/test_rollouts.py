"""Episodes a second: a group's rollouts by the engine, and by plain forwards of each round's whole prompt.

    OMP_NUM_THREADS=1 python -m pytest bench/test_rollouts.py --benchmark-columns=mean,rounds -s

The reference is batched over the group: one padded forward a round, dense 4-D block masks, transformers' SDPA.
Both draw the same episodes from the same random numbers; the table's `episodes_per_second` compares them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from rranker.methods import Elimination, Rollout, Sampled
from rranker.prompts.segments import Segments
from rranker.training.policy.network import Policy, load_policy, readout_of
from rranker.training.policy.rollouts import RolloutEngine, equally_good

QUERIES, GROUP, CANDIDATES, TOKENS, PREFIX = 4, 8, 20, 8, 160
RELEVANCE = [1.0] + [0.0] * (CANDIDATES - 1)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy("configs/tiny-start")


@pytest.fixture(scope="module")
def prompts(policy: Policy) -> list[Segments]:
    """The size of a recommendation case: a history of 20 titles, 20 candidates. Which tokens is of no account."""
    rng = np.random.default_rng(0)
    high = policy.lm.config.vocab_size

    def run(length: int) -> tuple[int, ...]:
        return tuple(int(i) for i in rng.integers(10, high, size=length))

    return [
        Segments(run(PREFIX), tuple(run(TOKENS) for _ in range(CANDIDATES)), run(1)) for _ in range(QUERIES)
    ]


def generators(query: int) -> list[np.random.Generator]:
    return [np.random.default_rng([query, draw]) for draw in range(GROUP)]


def by_engine(policy: Policy, prompts: list[Segments]) -> Callable[[], list[list[Rollout]]]:
    engine = RolloutEngine(policy, slots=16384)

    def run() -> list[list[Rollout]]:
        return engine.sample([(s, RELEVANCE, generators(q)) for q, s in enumerate(prompts)], "iranker", 1.0)

    return run


@torch.no_grad()
def plain_logits(policy: Policy, s: Segments, alive: list[list[int]]) -> list[np.ndarray]:
    """One forward over the group, each row the whole prompt of its own round."""
    longest = max(map(len, alive))
    width = len(s.prefix) + longest * TOKENS + 1
    ids = torch.zeros(len(alive), width, dtype=torch.long)
    positions = torch.zeros(len(alive), width, dtype=torch.long)
    mask = torch.full((len(alive), 1, width, width), -torch.inf)
    causal = torch.full((TOKENS, TOKENS), -torch.inf).triu(1)
    p = len(s.prefix)
    for row, left in enumerate(alive):
        tokens = [*s.prefix, *(t for i in left for t in s.candidates[i]), *s.suffix]
        ids[row, : len(tokens)] = torch.tensor(tokens)
        places = [*range(p), *(list(range(p, p + TOKENS)) * len(left)), p + TOKENS]
        positions[row, : len(tokens)] = torch.tensor(places)
        mask[row, 0, :p, :p] = torch.full((p, p), -torch.inf).triu(1)
        mask[row, 0, p : len(tokens), :p] = 0
        for first in range(p, p + len(left) * TOKENS, TOKENS):
            mask[row, 0, first : first + TOKENS, first : first + TOKENS] = causal
        mask[row, 0, len(tokens) - 1, : len(tokens)] = 0
        mask[row, 0, torch.arange(len(tokens), width), torch.arange(len(tokens), width)] = (
            0  # padding: itself
        )
    hidden = policy.lm.base_model(
        input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False
    ).last_hidden_state
    readout, found = readout_of(policy.lm), []
    for row, left in enumerate(alive):
        ends = p + TOKENS * torch.arange(1, len(left) + 1) - 1
        suffix = hidden[row, p + len(left) * TOKENS][None]
        found.append(readout.logits(suffix, hidden[row, ends], "exclude")[0].numpy())
    return found


def by_plain_forwards(policy: Policy, prompts: list[Segments]) -> Callable[[], list[list[Rollout]]]:
    def run() -> list[list[Rollout]]:
        found = []
        for q, s in enumerate(prompts):
            settled = equally_good(RELEVANCE)
            episodes = [
                Sampled(Elimination, CANDIDATES, [rng], temperature=1.0, settled=settled)
                for rng in generators(q)
            ]
            while going := [e for e in episodes if e.remaining]:
                subsets = [e.subsets(1)[0] for e in going]
                logits = plain_logits(policy, s, [list(subset) for subset in subsets])
                for episode, subset, row in zip(going, subsets, logits, strict=True):
                    episode.observe([subset], [row])
            found.append([e.rollouts[0] for e in episodes])
        return found

    return run


@pytest.mark.parametrize("way", [by_engine, by_plain_forwards])
def test_episodes_per_second(benchmark: Any, policy: Policy, prompts: list[Segments], way: Any) -> None:
    run = way(policy, prompts)
    found = benchmark.pedantic(run, rounds=3, warmup_rounds=1, iterations=1)
    assert [len(group) for group in found] == [GROUP] * QUERIES
    if benchmark.stats:
        benchmark.extra_info["episodes_per_second"] = round(QUERIES * GROUP / benchmark.stats.stats.mean, 1)


def test_both_ways_draw_the_same_episodes(policy: Policy, prompts: list[Segments]) -> None:
    one = by_engine(policy, prompts[:1])()[0]
    two = by_plain_forwards(policy, prompts[:1])()[0]
    same = [a.decisions == b.decisions for a, b in zip(one, two, strict=True)]
    # Verdicts agree to rounding; a draw may still fall between two of them.
    assert sum(same) >= GROUP - 1
    for a, b in zip(one, two, strict=True):
        if a.decisions == b.decisions:
            np.testing.assert_allclose(a.logps, b.logps, atol=1e-3)
