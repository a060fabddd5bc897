"""The prompts of R1-Ranker's released code (arXiv 2506.21638, github.com/ulab-uiuc/IRanker).

A system turn, the task in words of its own for passages, titles and language models, and the assistant's turn opened
inside a thought. The answer is written out (`r1_answers.py`). Of one-shot rankings only the words for passages were
released; those for titles and language models are made like them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .chat import chat_frame
from .encoding import TextEncoder
from .routing import ROUTING_INSTRUCTIONS
from .segments import Query
from .template import Template

MOVIES = "Rank the movies by how likely the user is to watch them next."
"""The instruction with which a recommendation is worded as the paper's movie task, not as its purchases."""

PREFILL = "Let me solve this step by step.\n<think>"
"""The assistant's turn begins so: what the model writes starts inside the thought."""

_SYSTEM = (
    "You are a helpful assistant. You first {think} about the reasoning process in the mind and then provides the user "
    "with the answer."
)
_SHOW = " Show your work in <think> </think> tags. And return the final answer in <answer> </answer> tags."
_Part = tuple[str, bool]  # text, and whether it is ours

_ROUTES = {
    ROUTING_INSTRUCTIONS["balance"]: (
        "BALANCED for handling this query, considering both the query requirements and cost efficiency"
    ),
    ROUTING_INSTRUCTIONS["cost"]: (
        "COST-EFFICIENT for handling this query, prioritizing cost efficiency while still meeting the minimum "
        "requirements"
    ),
    ROUTING_INSTRUCTIONS["performance"]: (
        "PERFORMANCE-EFFICIENT for handling this query, prioritizing performance and quality while still being "
        "cost-conscious"
    ),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One candidate of a prompt: its place in the query's list, from 0, and its text."""

    place: int
    text: str


class R1RankerFormat:
    """Writes prompts for models that answer in words, with one tokenizer.

    A tokenizer that knows ChatML's turns gets the paper's literal frame, any other one its own chat template's, with
    the same system turn and opening. Raises what `chat.chat_frame` raises.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        vocabulary = encoder.tokenizer.get_vocab()
        self._chatml = "<|im_start|>" in vocabulary and "<|im_end|>" in vocabulary

    def prompt(
        self,
        template: Template,
        instruction: str | None,
        query: Query,
        candidates: Sequence[Shown],
        *,
        order: bool,
    ) -> tuple[int, ...]:
        """Token ids of the question who fits least, or with `order` of that for all of them, the best first.

        An `instruction` that the paper has words for (`MOVIES`, `ROUTING_INSTRUCTIONS`) chooses these; any other one
        opens the user's turn.
        """
        think = "thinks" if order or template.name in ("passage", "generic") else "think"
        before, after = self._frame(_SYSTEM.format(think=think))
        parts: list[_Part] = [(f"{before} ", True)]
        if instruction is not None and instruction != MOVIES and instruction not in _ROUTES:
            parts += [(instruction, False), ("\n\n", True)]
        parts += _task(template, instruction, query, candidates, order=order)
        return self.encoder.mixed([*parts, (f"{_SHOW}{after}{PREFILL}", True)])

    def _frame(self, system: str) -> tuple[str, str]:
        if self._chatml:
            turns = f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n"
            return turns, "<|im_end|>\n<|im_start|>assistant\n"
        if not getattr(self.encoder.tokenizer, "chat_template", None):
            return f"{system}\n\n", "\n"
        return chat_frame(self.encoder.tokenizer, system, thinking=True)


def _task(
    template: Template, instruction: str | None, query: Query, candidates: Sequence[Shown], *, order: bool
) -> list[_Part]:
    if template.name == "recommendation":
        return _titles(query, candidates, movies=instruction == MOVIES, order=order)
    said: _Part = (query if isinstance(query, str) else "\n".join(query), False)
    if template.name == "routing":
        sought = _ROUTES.get(instruction or "", _ROUTES[ROUTING_INSTRUCTIONS["balance"]])
        return _models(said, candidates, sought, order=order)
    return _passages(said, candidates, order=order)


def _passages(query: _Part, candidates: Sequence[Shown], *, order: bool) -> list[_Part]:
    opening, heading = "Here is a query: ", ".\nAnd here are the candidate passages:\n"
    if order:
        opening, heading = "## Here is a query: ", " and candidate passages:\n"
    parts: list[_Part] = [(opening, True), query, (heading, True)]
    for at, shown in enumerate(candidates):
        parts += [("\n" * (at > 0) + f"passage {shown.place}: ", True), (shown.text, False)]
    weigh = (
        "\n\nPlease think step by step according to the content of each passage and how well it supports or relates to "
        "the query. "
    )
    only = "You can not generate content that is not in the given candidate list."
    if order:
        ask = (
            "Rank all passages from most relevant to least relevant. Return the passage IDs in order, one per line "
            "(e.g.,\npassage 1\npassage 3\npassage 2). You MUST rank all passages from the candidate list. "
        )
        return [*parts, (f"{weigh}{ask}{only}\n    ", True)]
    ask = (
        "Select the least likely passage from the candidate list. Only return the passage ID corresponding to the "
        'excluded passage (e.g., "passage x"). You MUST choose one passage from the candidate list. '
    )
    return [*parts, (f"{weigh}{ask}{only}", True)]


def _titles(query: Query, candidates: Sequence[Shown], *, movies: bool, order: bool) -> list[_Part]:
    """The history and the candidates as Python writes a list of strings, as the released code does."""
    if movies:
        did, them, it, might, after, whose = "watched", "movies", "movie", "watch", "watch", "watching"
    else:
        did, them, it, might, after, whose = "purchased", "items", "item", "purchase", "purchase", "purchase"
    history = [query] if isinstance(query, str) else list(query)
    parts: list[_Part] = [(f"I've {did} the following {them} in the past, in order:\n", True)]
    parts += _listed(history)
    parts.append((f"\n\nNow there are {len(candidates)} candidate {them} that I might {might} next:\n", True))
    parts += _listed([shown.text for shown in candidates])
    if order:
        ask = (
            f"Please rank all candidate {them} from the most likely to the least likely to be my next {after}, "
            f"according to my {whose} history. Please think step by step.\nYou MUST rank all {them} from the given "
            f"candidate list.\n"
        )
        end = f"Return the full names of the {them} in order, one per line."
    else:
        ask = (
            f"Please select the one {it} that is least likely to be my next {after}, according to my {whose} history. "
            f"Please think step by step.\nYou MUST choose exactly one {it} from the given candidate list.\n"
        )
        end = f"Return only the full name of the {it}."
    only = f"You can NOT generate or reference {them} that are not in the given candidate list.\n"
    return [*parts, (f"\n\n{ask}{only}{end}", True)]


def _models(query: _Part, candidates: Sequence[Shown], sought: str, *, order: bool) -> list[_Part]:
    parts: list[_Part] = [("I've been given the following query:\n", True), query]
    parts.append(("\n\nThe LLM names and their descriptions are:\n", True))
    known = [(name, about) for name, about in (described(shown.text) for shown in candidates) if about]
    for at, (name, about) in enumerate(known):
        parts += [("\n" * (at > 0) + "# ", True), (f"{name}: {about}", False)]
    parts.append(
        (f"\n\nNow there are {len(candidates)} candidate LLMs that could handle this query:\n", True)
    )
    parts += _listed([described(shown.text)[0] for shown in candidates])
    if order:
        ask = (
            f"Please rank all candidate LLMs from the most to the least {sought}. Please think step by step.\nYou MUST "
            "rank all LLMs from the given candidate list.\n"
        )
        end = "Return the full names of the LLMs in order, one per line."
    else:
        ask = (
            f"Please select the one LLM that is least {sought}. Please think step by step.\nYou MUST choose exactly "
            "one LLM from the given candidate list.\n"
        )
        end = "Return only the full name of the LLM."
    only = "You can NOT generate or reference LLMs that are not in the given candidate list.\n"
    return [*parts, (f"\n\n{ask}{only}{end}", True)]


def described(text: str) -> tuple[str, str]:
    """A language model's name, and what is said of it behind a colon."""
    name, _, about = text.partition(": ")
    return name.strip(), about.strip()


def _listed(texts: Sequence[str]) -> list[_Part]:
    """`str(texts)`, in parts."""
    parts: list[_Part] = [("[", True)]
    for at, text in enumerate(texts):
        parts += [(", " * (at > 0), True), (repr(text), False)]
    return [*parts, ("]", True)]
