"""How a model thinks before its verdicts: the settings of a call, checked, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from .real import real_number
from .whole import whole_number


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. `temperature` 0 takes the most probable; else logits are divided by it.

    `top_p`: tokens are drawn from the smallest set of most probable ones that hold this much together (nucleus
    sampling, Holtzman et al. 2020). Raises TypeError for what is no number, ValueError for one out of range.
    """

    temperature: float = 0.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "temperature", real_number(self.temperature, "temperature", least=0))
        object.__setattr__(self, "top_p", real_number(self.top_p, "top_p", above=0, most=1))

    @property
    def greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature == 0


GREEDY = Sampling()


@dataclass(frozen=True, slots=True)
class Reasoning:
    """At most `tokens` a thought, None as many as the prompt format usually allows, chosen by `sampling`."""

    tokens: int | None = None
    sampling: Sampling = GREEDY


def reasoning_of(
    reasoning: bool | None, max_think_tokens: int | None, temperature: float | None, top_p: float | None
) -> Reasoning | None:
    """The settings as `rranker.settings.RequestSettings` describes them, as one value; None: the model does not think.

    Raises ValueError, or TypeError for what is no number, for wrong settings, and for settings of thoughts where there
    are none.
    """
    if reasoning not in (None, True, False):
        raise ValueError(f"reasoning must be True, False or None, not {reasoning!r}")
    tokens = None if max_think_tokens is None else whole_number(max_think_tokens, "max_think_tokens", least=0)
    sampling = Sampling(0.0 if temperature is None else temperature, 1.0 if top_p is None else top_p)
    if reasoning:
        return Reasoning(tokens, sampling)
    if tokens is not None or sampling != GREEDY:
        raise ValueError(
            "max_think_tokens, temperature and top_p are settings of thoughts: pass reasoning=True"
        )
    return None
