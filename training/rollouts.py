"""Episodes and rankings by the engine, on the very weights that are being trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from rranker.data import Case
from rranker.engine.engine import Engine
from rranker.engine.reading import Logits
from rranker.engine.requests import EngineRequest
from rranker.methods import DRanker, IRanker
from rranker.prompts import TEMPLATES
from rranker.prompts.assemble import Dialect, Limits, assemble
from rranker.prompts.compact import CompactDialect
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.identifiers import Identifiers
from rranker.prompts.segments import Kind, Segments
from rranker.prompts.text import TextDialect
from rranker.training.policy import Policy, use_policy_attention
from rranker.training.policy_pack import Ask

Method = Literal["iranker", "dranker"]
KINDS: dict[Method, Kind] = {"iranker": "exclude", "dranker": "select"}


@dataclass
class Rollout:
    """One sampled episode: whom it named, one after another, and with what log-probability."""

    decisions: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)


class Sampling:
    """A group of episodes of one query; see `rranker.engine.method.Method`.

    All of them answer from one step: G rollouts are G asks about arbitrary subsets, and equal asks are asked
    once. An episode ends after `limit` decisions, or when those left are all equally good: no decision could
    change what the ranking is worth any more.
    """

    def __init__(
        self,
        grades: Sequence[float],
        kind: Kind,
        rngs: Sequence[np.random.Generator],
        temperature: float,
        limit: int | None = None,
    ) -> None:
        self.kind = kind
        self._grades, self._rngs = grades, rngs
        self._temperature, self._limit = temperature, len(grades) if limit is None else limit
        self.rollouts = [Rollout() for _ in rngs]

    @property
    def remaining(self) -> int:
        going = [r for r in self.rollouts if self._going(r)]
        return max((self._limit - len(r.decisions) for r in going), default=0)

    def asks(self, depth: int) -> list[Ask]:
        if self.kind == "select":
            return [tuple(range(len(self._grades)))]
        return list(dict.fromkeys(tuple(self._left(r)) for r in self.rollouts if self._going(r)))

    def observe(self, asks: Sequence[Ask], logits: Sequence[Logits]) -> int:
        found = dict(zip(asks, logits, strict=True))
        for rollout, rng in zip(self.rollouts, self._rngs, strict=True):
            if self.kind == "select":
                row = np.asarray(logits[0], dtype=np.float64)
                while self._going(rollout):
                    left = self._left(rollout)
                    self._decide(rollout, left, row[left], rng)
            elif self._going(rollout):
                left = self._left(rollout)
                self._decide(rollout, left, np.asarray(found[tuple(left)], dtype=np.float64), rng)
        return len(asks)

    def _left(self, rollout: Rollout) -> list[int]:
        return [i for i in range(len(self._grades)) if i not in rollout.decisions]

    def _going(self, rollout: Rollout) -> bool:
        if len(rollout.decisions) >= self._limit:
            return False
        return len({self._grades[i] for i in self._left(rollout)}) > 1

    def _decide(self, rollout: Rollout, left: list[int], row: np.ndarray, rng: np.random.Generator) -> None:
        scaled = row / self._temperature
        logps = scaled - scaled.max()
        logps -= np.log(np.exp(logps).sum())
        place = min(int(np.searchsorted(np.cumsum(np.exp(logps)), rng.random(), "right")), len(left) - 1)
        rollout.decisions.append(left[place])
        rollout.logps.append(float(logps[place]))


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
        encoder = TextEncoder(policy.tokenizer)
        compact = policy.settings.dialect == "compact"
        self._dialect: Dialect = CompactDialect(encoder) if compact else TextDialect(encoder)
        self._identifiers = Identifiers(encoder)
        self._limits = Limits(
            policy.settings.attention,
            _least(policy.context, max_prompt),
            _least(policy.settings.max_candidate_tokens, max_candidate),
        )
        self._full = Limits(policy.settings.attention, policy.context, policy.settings.max_candidate_tokens)
        self._engine = Engine(
            policy.lm,
            policy.readout,
            attention_mode=policy.settings.attention,
            kv_cache_tokens=slots,
            max_batch_tokens=step_rows,
        )
        use_policy_attention(policy.lm)  # the engine has just put its own in its place

    def segments(self, case: Case, kind: Kind, *, full: bool = False) -> Segments:
        """The case's prompt, candidates in the case's order; `full` leaves the training limits out.

        Raises ValueError when the query alone does not fit.
        """
        texts = case.candidates
        segments, _ = assemble(
            self._dialect,
            self._identifiers,
            TEMPLATES[case.task],
            case.instruction,
            case.query,
            texts,
            list(range(len(texts))),
            kind,
            self._full if full else self._limits,
            "end",
        )
        return segments

    def sample(
        self,
        groups: Sequence[tuple[Segments, Sequence[float], Sequence[np.random.Generator]]],
        method: Method,
        temperature: float,
        limit: int | None = None,
    ) -> list[list[Rollout]]:
        """Episodes of every group (segments, grades, one random generator a rollout), all in flight together.

        Causal rounds of different rollouts see different prompts, so there each rollout walks alone.
        """
        kind = KINDS[method]
        together = self.policy.settings.attention == "block" or kind == "select" or limit == 1
        requests, found = list[EngineRequest](), []
        for segments, grades, rngs in groups:
            parts = [list(rngs)] if together else [[rng] for rng in rngs]
            episodes = [Sampling(grades, kind, part, temperature, limit) for part in parts]
            found.append(episodes)
            requests += [EngineRequest(segments, e, speculate=False) for e in episodes if e.remaining]
        self._run(requests)
        return [[rollout for episode in episodes for rollout in episode.rollouts] for episodes in found]

    def rank(self, cases: Sequence[Case], method: Method) -> list[list[int]]:
        """The policy's own rankings: orders of the candidates' indices, best first."""
        kind, block = KINDS[method], self.policy.settings.attention == "block"
        requests, episodes = list[EngineRequest](), list[IRanker | DRanker]()
        for case in cases:
            n = len(case.candidates)
            episode = IRanker(n, nested=not block) if method == "iranker" else DRanker(n)
            episodes.append(episode)
            if episode.remaining:
                requests.append(EngineRequest(self.segments(case, kind, full=True), episode))
        self._run(requests)
        return [list(episode.outcome().order) for episode in episodes]

    def _run(self, requests: Sequence[EngineRequest]) -> None:
        self._engine.readout = self.policy.readout  # the weights have changed since
        for handle in self._engine.run(requests):
            if handle.error is not None:
                raise handle.error


def _least(*bounds: int | None) -> int | None:
    return min((b for b in bounds if b is not None), default=None)
