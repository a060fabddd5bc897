"""The engine as a scorer: every question is answered by the logits of its candidates, in shared forward passes."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from ..engine.engine import Engine
from ..engine.loading.model import LoadedModel
from ..engine.requests import EngineRequest, Handle, Reuse
from ..methods import UNTRAINED, Episode, Greedy, Relayout, method_names
from ..ordering import canonical_order, distinct
from ..prompts.assemble import Limits, PromptFormat, assemble
from ..prompts.encoding import TextEncoder
from ..prompts.formats import prompt_formats
from ..prompts.identifiers import Identifiers
from ..prompts.truncation import Truncate
from ..repairs import cut_repairs, encoding_repairs
from ..request import Request
from ..types import Stats
from .protocol import Job


@dataclass(slots=True, eq=False)
class EngineJob(Job):
    """A job whose prompt is laid out; `engine_request` is None when there is nothing to decide."""

    engine_request: EngineRequest | None = None


class EngineScorer:
    """See `Scorer`. `engine` must have been loaded (`Engine.load`), so that its tokenizer is known.

    `relayout`, `truncate` and `seed` are those of `Ranker`: how a prompt follows from the last one in causal attention,
    what becomes of text that does not fit, and how candidates are laid out in block attention. `reuse`: see `Reuse`.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        relayout: Relayout = "best_first",
        truncate: Truncate = "end",
        seed: int = 0,
        reuse: Reuse = "exact",
    ) -> None:
        self.engine, self._reuse = engine, reuse
        model = self.model
        self._truncate: Truncate = truncate
        self._block, self._seed = engine.attention_mode == "block", seed
        self._relayout: Relayout = "keep" if self._block or reuse == "keep" else relayout
        encoder, settings = TextEncoder(model.tokenizer), model.settings
        self._formats = prompt_formats(settings.prompt_format, encoder)
        self._identifiers = Identifiers(encoder)
        self._limits = Limits(engine.attention_mode, model.context, settings.max_candidate_tokens)

    @property
    def model(self) -> LoadedModel:
        """The checkpoint. Raises ValueError when the engine has none."""
        if self.engine.model is None:
            raise ValueError("this engine was not loaded from a checkpoint, or is closed")
        return self.engine.model

    def default_method(self, request: Request) -> str:
        """What the checkpoint was trained to play; for one that was not trained to rank, see `UNTRAINED`."""
        trained = self.model.settings.method
        if trained is None:
            return UNTRAINED[request.template.name] if "likelihood" in self._formats else "iranker"
        if trained not in method_names():
            raise ValueError(
                f"{self.model.name} was trained for the method {trained!r}, which is not registered here: register it, "
                f"or pass method= one of {', '.join(method_names())}"
            )
        return trained

    def prepare(self, request: Request, method: type[Episode]) -> EngineJob:
        """See `Scorer.prepare`. Raises CapacityError (a ValueError) too, when the KV cache could never hold it."""
        groups = distinct([candidate.text for candidate in request.candidates])
        texts = [request.candidates[group[0]].text for group in groups]
        if self._block:
            layout = canonical_order(texts, self._seed)
            groups, texts = [groups[i] for i in layout], [texts[i] for i in layout]
        if not texts:
            return EngineJob(request, method, (), None)
        nested = not self._block and self._reuse == "exact"
        player = Greedy(method(len(texts), top_k=request.top_k), relayout=self._relayout, nested=nested)
        job = EngineJob(request, method, tuple(groups), player)
        if job.decided:
            return job
        segments, cuts = assemble(
            self._format(method),
            self._identifiers,
            request.template,
            request.instruction,
            request.query,
            texts,
            [group[0] for group in groups],
            method.kind,
            self._limits,
            self._truncate,
        )
        job.repairs += [*encoding_repairs(request), *cut_repairs(cuts, groups)]
        job.engine_request = EngineRequest(segments, player, reuse=self._reuse)
        self.engine.check(job.engine_request)
        return job

    def play(self, jobs: Sequence[Job]) -> Generator[Job]:
        """See `Scorer.play`."""
        waiting: dict[int, tuple[Job, EngineRequest]] = {}
        for job in jobs:
            request = job.engine_request if isinstance(job, EngineJob) else None
            if request is None:
                yield job
            else:
                waiting[id(request)] = job, request
        with closing(self.engine.run(request for _, request in waiting.values())) as handles:
            for handle in handles:
                job, _ = waiting[id(handle.request)]
                job.error, job.stats = handle.error, _stats(handle)
                yield job

    def _format(self, method: type[Episode]) -> PromptFormat:
        if method.kind not in self._formats:
            raise ValueError(
                f"{method.name} reads the probability of words, and this checkpoint was trained on prompts without: "
                "use another method, or a language model as it was pretrained"
            )
        return self._formats[method.kind]

    @property
    def closed(self) -> bool:
        """Whether the engine is."""
        return self.engine.closed

    def close(self) -> None:
        """Closes the engine."""
        self.engine.close()


def _stats(handle: Handle) -> Stats:
    account = handle.speculation
    return Stats(
        tokens_naive=handle.tokens_naive,
        tokens_encoded=handle.tokens_encoded,
        forward_passes=handle.passes,
        speculation_hits=0 if account is None else account.hits,
        speculation_misses=0 if account is None else account.misses,
    )
