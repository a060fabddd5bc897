"""Episodes and rankings by the engine, on the very weights that are being trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rranker.data import RankingExample
from rranker.engine.engine import Engine
from rranker.engine.requests import EngineRequest
from rranker.methods import Greedy, Rollout, Sampled, Subset, method_class
from rranker.prompts.segments import Segments
from rranker.training.policy.network import Policy, use_policy_attention
from rranker.training.policy.prompts import Prompts


class RolloutEngine:
    """The engine around a policy's weights. Rollouts and rankings follow the weights as they change.

    `max_prompt` bounds positions and `max_candidate` each candidate, in tokens (None: what the checkpoint says).
    """

    def __init__(
        self,
        policy: Policy,
        *,
        max_prompt: int | None = None,
        max_candidate: int | None = None,
        slots: int = 65536,
        step_rows: int = 8192,
    ) -> None:
        self.policy = policy
        self.prompts = Prompts(
            policy.tokenizer,
            policy.settings,
            policy.context,
            max_prompt=max_prompt,
            max_candidate=max_candidate,
            item_factors=policy.item_factors,
        )
        self._engine = Engine(
            policy.lm,
            policy.readout,
            attention_mode=policy.settings.attention,
            kv_cache_tokens=slots,
            max_batch_tokens=step_rows,
            context_bias=policy.settings.context_bias,
        )
        use_policy_attention(policy.lm)  # the engine has just put its own in its place

    def sample(
        self,
        groups: Sequence[tuple[Segments, Sequence[float], Sequence[np.random.Generator]]],
        method: str,
        temperature: float,
        limit: int | None = None,
    ) -> list[list[Rollout]]:
        """Episodes of every group (segments, relevance, one random generator a rollout), all in flight together.

        A rollout ends when those left are all equally good.
        """
        rules = method_class(method)
        asks_once = rules.one_question or limit == 1
        requests, rollouts = list[EngineRequest](), []
        for segments, relevance, rngs in groups:
            together = max(1, len(rngs) if asks_once else self._branches(segments, len(rngs)))
            episodes = [
                Sampled(
                    rules,
                    len(relevance),
                    rngs[first : first + together],
                    temperature=temperature,
                    settled=equally_good(relevance),
                    limit=limit,
                )
                for first in range(0, len(rngs), together)
            ]
            rollouts.append(episodes)
            requests += [
                EngineRequest(segments, e, speculate=False, branches=1 if asks_once else len(e.rollouts))
                for e in episodes
                if e.remaining
            ]
        self._run(requests)
        return [[rollout for episode in episodes for rollout in episode.rollouts] for episodes in rollouts]

    def rank(self, cases: Sequence[RankingExample], method: str) -> list[list[int]]:
        """The policy's own rankings: orders of the candidates' indices, best first."""
        rules, block = method_class(method), self.policy.settings.attention == "block"
        requests, players = list[EngineRequest](), list[Greedy]()
        for case in cases:
            player = Greedy(rules(len(case.candidates)), nested=not block)
            players.append(player)
            if player.remaining:
                requests.append(EngineRequest(self.prompts.segments(case, rules.kind, full=True), player))
        self._run(requests)
        return [list(player.outcome().order) for player in players]

    def _branches(self, segments: Segments, rollouts: int) -> int:
        """How many rollouts may share a request: in causal mode each reserves the candidates once more."""
        if self.policy.settings.attention == "block":
            return rollouts
        room = self._engine.runner.kv_cache.slots - len(segments.prefix)
        return min(rollouts, room // sum(map(len, segments.candidates)))

    def _run(self, requests: Sequence[EngineRequest]) -> None:
        self._engine.readout = self.policy.readout  # the weights have changed since
        for handle in self._engine.run(requests):
            if handle.error is not None:
                raise handle.error


def equally_good(relevance: Sequence[float]) -> Callable[[Subset], bool]:
    """Whether those left are all worth the same, so that no decision could change what the ranking is worth."""
    return lambda left: len({relevance[place] for place in left}) < 2
