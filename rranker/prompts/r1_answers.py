"""How an answer in the words of R1-Ranker's prompts is read: whom it names (`r1_ranker.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal

from rranker.permutations import Parsed, parse

from .r1_ranker import Shown, described
from .template import Template


def names_of(template: Template, candidates: Sequence[Shown]) -> list[str]:
    """What each candidate is called in an answer: its text; a language model by the part before its description."""
    if template.name == "recommendation":
        return [shown.text for shown in candidates]
    if template.name == "routing":
        return [described(shown.text)[0] for shown in candidates]
    return [f"passage {shown.place}" for shown in candidates]


def answer_of(response: str) -> str | None:
    """The text of the last answer tag after the thought, which the prompt has opened; None when there is none.

    A thought that was never closed has no answer after it, whatever it says. An answer that was cut off counts as
    far as it goes.
    """
    _, closed, rest = response.rpartition("</think>")
    if not closed or "<think>" in rest or "<answer>" not in rest:
        return None
    return rest.rpartition("<answer>")[2].partition("</answer>")[0]


def match(answer: str, names: Sequence[str]) -> tuple[int, Literal["exact", "substring", "closest"]]:
    """Whom of `names` an answer means, and how that was found.

    Exact, then a part of one in the other (the longest name that the answer holds, else the first that holds it), then
    the closest by matching characters (Ratcliff and Obershelp 1988).
    """
    said = next((line.strip() for line in answer.splitlines() if line.strip()), "")
    bare = [name.strip() for name in names]
    if said in bare:
        return bare.index(said), "exact"
    said, bare = said.casefold(), [name.casefold() for name in bare]
    held = [i for i, name in enumerate(bare) if name and name in said]
    if held:
        return max(held, key=lambda i: len(bare[i])), "substring"
    holding = [i for i, name in enumerate(bare) if said and said in name]
    if holding:
        return holding[0], "substring"
    alike = [SequenceMatcher(None, said, name, autojunk=False).ratio() for name in bare]
    return alike.index(max(alike)), "closest"


def ranked(answer: str, names: Sequence[str]) -> Parsed:
    """The order of all of `names` in an answer, completed where it leaves some out; see `permutations.parse`.

    Passages count from 0, as in their prompt.
    """
    return parse(answer, len(names), base=0, candidates=names)
