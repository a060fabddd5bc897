"""How many future rounds to guess at once: deeper while guesses hold, shallower when they fail."""

from __future__ import annotations

from dataclasses import dataclass, field

# A prior of 3.6 hits in 4 guesses: guesses after the first round mostly hold on trained models.
_PRIOR_HITS, _PRIOR_GUESSES = 3.6, 4.0
# What a pass costs before its first token, in multiply-adds: see `pass_overhead`.
_CPU_PASS = 2e8
_LAUNCH = 1.6e9
LAUNCHES_A_LAYER = {False: 40, True: 13}
"""Whether small operators are fused → launches of one layer (counted: docs/kernels.md)."""
# Wasted suffixes may cost this share of the sequential rounds, and no more.
_ALLOWANCE = 0.05


def pass_overhead(device: str, weights: int, layers: int, *, fused: bool = False) -> float:
    """What a pass costs before its first token, in tokens of work.

    `device`: its type; `weights`: those that a token is multiplied by; `fused`: its small operators are.

    Reading the weights costs as much as computing with them for so many tokens as a device does operations a byte
    read: hundreds on a GPU, a few on a CPU, whose caches and packed weights hide most of it. On a CPU launching the
    operators comes on top. A GPU reads while the next operators are launched, so the longer of the two counts:
    launches of 6.5 µs each, in which it would do 1.6e9 multiply-adds (of an H100's data sheet; through Triton's
    launcher they were found to cost more, see docs/kernels.md).

    Fixed by device and model, never by a clock: timing must not decide what is computed.
    """
    weights = max(weights, 1)
    if device == "cpu":
        return 8.0 + _CPU_PASS / weights
    return max(256.0, _LAUNCH * LAUNCHES_A_LAYER[fused] * (layers + 1) / weights)


@dataclass(slots=True)
class Speculation:
    """The account of one query. All costs are in tokens of work.

    `suffix`: tokens of one more question. `sequential`: what the query would cost without guessing. A step of depth m
    risks (m - 1) suffixes; with a guess holding at rate a it is expected to settle 1 + a + … + a^(m-1) rounds. Depth
    maximises rounds per cost, but never risks more than the allowance plus what guesses have saved so far, so the
    whole never costs over 1 + 0.05 times sequential.

    The `overhead` of each step is this query's part of what a pass costs before its first token (reading the weights,
    launching the operators): queries that share a pass share it, so alone a query guesses deeper than in a crowd.
    """

    suffix: int
    sequential: float
    hits: int = 0
    misses: int = 0
    _balance: float = field(init=False)

    def __post_init__(self) -> None:
        self._balance = _ALLOWANCE * self.sequential

    def depth(self, limit: int, overhead: float) -> int:
        """Questions to ask in the next step: 1 … `limit`."""
        limit = min(limit, 1 + int(max(self._balance, 0.0) / self.suffix))
        rate = (self.hits + _PRIOR_HITS) / (self.hits + self.misses + _PRIOR_GUESSES)
        best, best_value, settled, chance = 1, 0.0, 0.0, 1.0
        for depth in range(1, limit + 1):
            settled += chance
            chance *= rate
            value = settled / (overhead + self.suffix * depth)
            if value > best_value:
                best, best_value = depth, value
        return best

    def update(self, asked: int, used: int, overhead: float) -> None:
        """Books a step that asked `asked` questions, of which the first `used` counted (at least one)."""
        if not 1 <= used <= asked:
            raise ValueError(f"{used} of {asked} questions cannot have counted")
        self.hits += used - 1
        self.misses += used < asked
        self._balance += (used - 1) * overhead - (asked - used) * self.suffix


class Sequential:
    """The reference: nothing is guessed, so every question of a step counts."""

    hits = 0
    misses = 0

    def depth(self, limit: int, overhead: float) -> int:
        """One question: nothing is guessed."""
        return 1

    def update(self, asked: int, used: int, overhead: float) -> None:
        """Raises ValueError unless every question counted."""
        if asked != used:
            raise ValueError(f"{used} of {asked} questions counted, though none of them was a guess")
