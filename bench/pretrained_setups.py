"""The ways in which `bench.pretrained` asks an untuned model: methods, prompts, remedies for label bias, reuse."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rranker.engine.engine import Engine
from rranker.engine.loading.model import LoadedModel
from rranker.engine.loading.settings import AttentionMode
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest, Reuse
from rranker.methods import Episode, Greedy, Subset
from rranker.methods.outcome import Outcome
from rranker.prompts.assemble import PromptFormat
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.pointwise import LikelihoodFormat, YesNoFormat
from rranker.prompts.segments import Kind, PromptPart, Query, Segments
from rranker.prompts.template import Template
from rranker.prompts.text import TextFormat
from rranker.request import Request
from rranker.scorers import Job
from rranker.scorers.engine_logits import EngineJob, EngineScorer
from rranker.scorers.relevance import CONTENT_FREE, AskedOnce


@dataclass(frozen=True)
class Setup:
    """One way to ask. `prompt` is a name of `PROMPTS`, `remedy` one of `SCORERS`; `reversed` turns the lists around."""

    method: str
    reuse: Reuse = "exact"
    attention: str = "causal"
    prompt: str = "default"
    remedy: str = "none"
    reversed: bool = False

    @property
    def name(self) -> str:
        """In a table's row."""
        parts = [self.method, f"reuse={self.reuse}"] if self.reuse != "exact" else [self.method]
        parts += [part for part in (self.attention, self.prompt, self.remedy) if part not in _PLAIN]
        return " ".join(parts + ["reversed"] * self.reversed)


_PLAIN = ("causal", "default", "none")


class Reworded:
    """A prompt format that says other words of the template."""

    def __init__(self, inner: PromptFormat, **words: Any) -> None:
        self._inner, self._words = inner, words
        self.uses_identifiers = inner.uses_identifiers

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        return self._inner.prefix(replace(template, **self._words), instruction, query)

    def candidates(self, texts: list[str], identifiers: list[int]) -> list[PromptPart]:
        return self._inner.candidates(texts, identifiers)

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        return self._inner.suffix(replace(template, **self._words), kind)

    def targets(self, template: Template, query: Query) -> PromptPart:
        return self._inner.targets(replace(template, **self._words), query)


class AskedFormat(TextFormat):
    """The question stands in the user's turn, behind the list; the answer begins at `slot`.

    `again`: with the query said once more. Not to be shared between threads: the query is remembered for that.
    """

    def __init__(self, encoder: TextEncoder, *, slot: str = "[", again: bool = False) -> None:
        super().__init__(encoder)
        self._slot, self._again, self._query = slot, again, ""

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        self._query = query if isinstance(query, str) else ", ".join(query)
        return super().prefix(template, instruction, query)

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        wanted = template.question(kind).lower()
        said = f"{template.query_heading}{self._query}\n" if self._again else ""
        ask = f"\n{said}Which is {wanted}? Answer with its letter only.{self._turn.after}{self._slot}"
        return self.encoder.literal(ask, inside=True)


class QueryFirst(YesNoFormat):
    """Yes or no with the question named before the candidate too, as an instruction."""

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        return super().prefix(template, instruction or template.fits, query)


class QuestionFirst(TextFormat):
    """The question about a list stands before the list, for one kind of it; what closes the turn and `[` follow it."""

    def __init__(self, encoder: TextEncoder, kind: Kind) -> None:
        super().__init__(encoder)
        self._kind: Kind = kind

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        wanted = template.question(self._kind).lower()
        heading = f"Answer with the letter of {wanted}.\n\n{template.list_heading}"
        return super().prefix(replace(template, list_heading=heading), instruction, query)

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        return self.encoder.literal(f"{self._turn.after}[", inside=True)


class AloneFirst:
    """A question about one candidate, before the candidate; only what closes the turn follows it."""

    def __init__(self, inner: YesNoFormat | LikelihoodFormat, kind: Kind) -> None:
        self._inner, self._kind = inner, kind
        self.uses_identifiers = False
        self.candidates, self.targets = inner.candidates, inner.targets

    def prefix(self, template: Template, instruction: str | None, query: Query) -> PromptPart:
        asked = template.question(self._kind) + " Answer Yes or No." * (self._kind == "judge")
        return self._inner.prefix(replace(template, item=f"{asked}\n\n{template.item}"), instruction, query)

    def suffix(self, template: Template, kind: Kind) -> tuple[int, ...]:
        turn = self._inner._turn  # noqa: SLF001
        return self._inner.encoder.literal(turn.after or "\nAnswer:", inside=True)


def prompts(encoder: TextEncoder) -> dict[str, dict[Kind, PromptFormat]]:
    """Name → formats by kind, beside those of the library (`default`)."""
    likely = LikelihoodFormat(encoder)
    return {
        "asked": _lists(AskedFormat(encoder)),
        "asked, query again": _lists(AskedFormat(encoder, again=True)),
        "asked, bare letter": _lists(AskedFormat(encoder, slot="")),
        "asked, space": _lists(AskedFormat(encoder, slot=" [")),
        "asked, newline": _lists(AskedFormat(encoder, slot="\n[")),
        "explained": _lists(
            Reworded(
                TextFormat(encoder),
                instruction="Each passage has a letter. Rank the passages by how well they answer the query; "
                "name a passage by its letter.",
            )
        ),
        "question first": {"judge": QueryFirst(encoder)},
        "yes/no: relevant": {
            "judge": Reworded(YesNoFormat(encoder), fits="Is the passage relevant to the query?")
        },
        "write a search query": {
            "likelihood": Reworded(likely, invites="Write a search query that the passage answers.")
        },
        "what was asked": {
            "likelihood": Reworded(likely, invites="Which question does this passage answer?")
        },
        "no question": {"likelihood": Reworded(likely, invites="Search query:")},
        "short": {
            "exclude": QuestionFirst(encoder, "exclude"),
            "select": QuestionFirst(encoder, "select"),
            "judge": AloneFirst(YesNoFormat(encoder), "judge"),
            "likelihood": AloneFirst(likely, "likelihood"),
        },
    }


def _lists(made: PromptFormat) -> dict[Kind, PromptFormat]:
    return {"exclude": made, "select": made}


class MassReadout(IdentifierReadout):
    """Also notes how much of the next token's probability the identifiers hold together."""

    def __init__(self, lm: Any) -> None:
        super().__init__(lm)
        self.masses: list[float] = []

    def logits(self, suffixes: Tensor, *rest: Any, **named: Any) -> Tensor:
        logits = super().logits(suffixes, *rest, **named)
        every = suffixes.float() @ self.weight.float().T * self.scale
        self.masses += (logits.logsumexp(-1) - every.logsumexp(-1)).exp().tolist()
        return logits


class Shifted:
    """A greedy player that sees logits less what is expected of each identifier anyway."""

    def __init__(self, player: Greedy, prior: NDArray[np.float64]) -> None:
        self._player, self._prior = player, prior

    @property
    def kind(self) -> Kind:
        return self._player.kind

    @property
    def remaining(self) -> int:
        return self._player.remaining

    def subsets(self, depth: int) -> list[Subset]:
        return self._player.subsets(depth)

    def observe(self, subsets: Sequence[Subset], logits: Sequence[NDArray[np.floating[Any]]]) -> int:
        shifted = [row - self._prior[list(subset)] for subset, row in zip(subsets, logits, strict=True)]
        return self._player.observe(subsets, shifted)

    def outcome(self) -> Outcome:
        return self._player.outcome()


class _Extra(EngineScorer):
    """A scorer that asks one question more a query, and books it."""

    def __init__(self, engine: Engine, **options: Any) -> None:
        super().__init__(engine, **options)
        self._booked: dict[int, int] = {}

    def _ask_once(self, job: EngineJob, segments: Segments) -> NDArray[np.float64]:
        assert job.player is not None
        recorded = AskedOnce(job.player.kind, len(segments.candidates))
        with closing(self.engine.run([EngineRequest(segments, recorded)])) as handles:
            (handle,) = handles
        if handle.error is not None:
            raise handle.error
        self._booked[id(job)] = handle.tokens_encoded
        return recorded.logits

    def play(self, jobs: Sequence[Job]) -> Generator[Job | None]:
        for job in super().play(jobs):
            if job is not None and job.done:
                more = self._booked.pop(id(job), 0)
                job.stats = replace(job.stats, tokens_encoded=job.stats.tokens_encoded + more)
            yield job


class ContentFree(_Extra):
    """What the identifiers get where every candidate says `N/A` is subtracted (Zhao et al. 2021, arXiv 2102.09690)."""

    def prepare(self, request: Request, method: type[Episode]) -> EngineJob:
        job = super().prepare(request, method)
        if job.engine_request is None:
            return job
        segments = job.engine_request.segments
        pieces = self._format(request, method).candidates(
            [CONTENT_FREE] * len(segments.candidates), list(segments.identifiers)
        )
        empty = replace(segments, candidates=tuple(piece.ids for piece in pieces))
        prior = self._ask_once(job, empty)
        assert isinstance(job.player, Greedy)
        job.engine_request = replace(job.engine_request, method=Shifted(job.player, prior))
        return job


class BothOrders(_Extra):
    """One-shot only: log-probabilities averaged with those of the reversed list, whose letters run the other way."""

    def prepare(self, request: Request, method: type[Episode]) -> EngineJob:
        job = super().prepare(request, method)
        if job.engine_request is None:
            return job
        texts = [request.candidates[group[0]].text for group in job.groups]
        segments = job.engine_request.segments
        pieces = self._format(request, method).candidates(texts[::-1], list(segments.identifiers))
        turned = self._ask_once(job, replace(segments, candidates=tuple(piece.ids for piece in pieces)))[::-1]
        prior = -(turned - np.logaddexp.reduce(turned))  # added, so that the sum of both decides
        assert isinstance(job.player, Greedy)
        job.engine_request = replace(job.engine_request, method=Shifted(job.player, prior))
        return job


SCORERS: dict[str, type[EngineScorer]] = {
    "none": EngineScorer,
    "content-free": ContentFree,
    "both orders": BothOrders,
}


def scorer(setup: Setup, engines: dict[str, Engine]) -> EngineScorer:
    """The scorer of a setup, on the engine of its attention mode."""
    made = SCORERS[setup.remedy](engines[setup.attention], reuse=setup.reuse)
    if setup.prompt != "default":
        made._formats.update(prompts(TextEncoder(made.model.tokenizer))[setup.prompt])  # noqa: SLF001
    return made


def engines_of(model: LoadedModel, readout: IdentifierReadout) -> dict[str, Engine]:
    """A loaded model in both attention modes, read by `readout`."""
    modes: tuple[AttentionMode, ...] = ("causal", "block")
    made: dict[str, Engine] = {mode: Engine(model.lm, readout, attention_mode=mode) for mode in modes}
    for engine in made.values():
        engine.model = model
    return made
