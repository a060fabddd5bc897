"""The engine as a scorer: every question is answered by the logits of its candidates, in shared forward passes."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from ..calibration import Calibration
from ..engine.engine import Engine
from ..engine.generation import TextRequest
from ..engine.loading.model import LoadedModel
from ..engine.requests import EngineRequest, Handle, Reuse
from ..methods import UNTRAINED, Episode, Greedy, Relayout, method_names
from ..ordering import canonical_order
from ..prompts.assemble import Assembler, Limits, PromptFormat, Truncation, with_prior
from ..prompts.encoding import TextEncoder
from ..prompts.formats import prompt_formats
from ..prompts.identifiers import Identifiers
from ..prompts.segments import Kind, Segments
from ..prompts.spans import Span, spans
from ..prompts.truncation import Truncate
from ..reasoning import Reasoning
from ..repairs import text_repairs
from ..request import Request
from .bill import stats_of
from .protocol import Job, groups_of, texts_of
from .relevance import CONTENT_FREE, AskedOnce, asks_the_same, corrected, pointwise_score, question_of

_LEAST_TOKENS = 32  # of a text; rather than show less of each, fewer are shown at once
_PART_TOKENS = 256
_AROUND_PART = (
    12  # tokens that a prompt writes around a part, or that its ends take more when it stands alone
)
_NOBODY = -1  # the index of the candidate that is asked about for comparison


@dataclass(slots=True, eq=False)
class EngineJob(Job):
    """A job whose prompts are laid out; `engine_request` is None when there is nothing to decide.

    `further_request` asks about candidates alone, for relevance, what the ranking does not say (`own_scores`).
    """

    engine_request: EngineRequest | None = None
    further_request: EngineRequest | None = None
    own_scores: bool = False
    handles: list[Handle] = field(default_factory=list)

    @property
    def requests(self) -> Sequence[EngineRequest | TextRequest]:
        """All that the engine is asked."""
        return [request for request in (self.engine_request, self.further_request) if request is not None]

    @property
    def done(self) -> bool:
        """Whether all that the engine was asked is; with an error before any of it, nothing was asked."""
        return len(self.handles) == len(self.requests) or (self.error is not None and not self.handles)

    def book(self) -> None:
        """Keeps the bill and the scores, once it is done."""
        self.stats = stats_of(self.handles)
        if self.error is None and self.calibration is not None:
            self.pointwise_scores = _pointwise_scores(self, self.calibration)


class EngineScorer:
    """See `Scorer`. `engine` must have been loaded (`Engine.load`), so that its tokenizer is known.

    `relayout`, `truncate` and `seed` are those of `Ranker`: how a prompt follows from the last one in causal attention,
    what becomes of text that does not fit, and how candidates are laid out in block attention. `reuse`: see `Reuse`.
    `calibration`: by template, in place of the checkpoint's own.
    """

    shares_steps = True  # whoever takes a step takes it for all calls
    thinks = True  # or says why its model cannot (`check_reasoning`)

    def __init__(
        self,
        engine: Engine,
        *,
        relayout: Relayout = "best_first",
        truncate: Truncate = "end",
        seed: int = 0,
        reuse: Reuse = "exact",
        calibration: Mapping[str, Calibration] | None = None,
    ) -> None:
        self.engine, self._reuse = engine, reuse
        self.kv_cache_tokens = engine.runner.kv_cache.slots
        model = self.model
        self._truncate: Truncate = truncate
        self._block, self._seed = engine.attention_mode == "block", seed
        self._relayout: Relayout = "keep" if self._block or reuse == "keep" else relayout
        self._encoder = encoder = TextEncoder(model.tokenizer)
        settings = model.settings
        self._calibrated = settings if calibration is None else replace(settings, calibration=calibration)
        self._formats = prompt_formats(settings.prompt_format, encoder, settings.prompts)
        self._identifiers, self._unknown = Identifiers(encoder), model.tokenizer.unk_token_id
        self._limits = Limits(
            engine.attention_mode,
            model.context,
            settings.max_candidate_tokens,
            restart=settings.prompt_format == "encoder",
            least=_LEAST_TOKENS,
        )

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
        """See `Scorer.prepare`. Raises TooManyError (a ValueError) for more candidates than fit at once."""
        self.check_reasoning(request.reasoning)
        calibration, prompt_format = self._calibration(request), self._format(request, method)
        groups = groups_of(request)
        texts = texts_of(request, groups)
        if self._block:
            layout = canonical_order(texts, self._seed + request.layout)
            groups, texts = tuple(groups[i] for i in layout), [texts[i] for i in layout]
        if not texts:
            return EngineJob(request, method, (), None, calibration=calibration)
        nested = not self._block and self._reuse == "exact"
        player = Greedy(
            method(len(texts), top_k=request.top_k),
            relayout=self._relayout,
            nested=nested,
            stop_below=request.stop_below,
        )
        job = EngineJob(request, method, groups, player)
        indices, cuts = [group[0] for group in groups], list[Truncation]()
        if not job.decided:
            segments, cuts = self._segments(request, prompt_format, method.kind, texts, indices)
            job.engine_request = EngineRequest(segments, player, reuse=self._reuse)
        if calibration is not None:
            cuts = self._add_relevance(job, calibration, texts, indices) or cuts
        if (shown := job.engine_request or job.further_request) is not None:
            job.repairs += text_repairs(request, shown.segments, cuts, groups, self._unknown)
        for asked in job.requests:
            self.engine.check(asked)
        return job

    def check_reasoning(self, reasoning: Reasoning | None) -> None:
        """Raises ValueError when the model cannot think like that."""
        if reasoning is not None:
            raise ValueError(
                f"{self.model.name} ranks by prompts without words, and writes none: leave reasoning out, or use a "
                "language model"
            )

    def spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """Each text in parts that a candidate has room for, of at most `_PART_TOKENS` tokens."""
        limits = (self._limits.candidate, None if self._limits.context is None else self._limits.context // 4)
        most = min([_PART_TOKENS, *(limit for limit in limits if limit is not None)])
        most = max(most - _AROUND_PART, 1)
        return [spans(text, self._encoder.token_starts(text), most) for text in texts]

    def play(self, jobs: Sequence[Job]) -> Generator[Job | None]:
        """See `Scorer.play`. A job that was laid out by a larger engine may be refused."""
        waiting: dict[int, EngineJob] = {}
        requests = list[EngineRequest | TextRequest]()
        for laid_out in jobs:
            asked = laid_out.requests if isinstance(laid_out, EngineJob) else []
            try:
                for request in asked:
                    self.engine.check(request)
            except ValueError as error:
                laid_out.error, asked = error, []
            if not asked:
                yield laid_out
            for request in asked:
                assert isinstance(laid_out, EngineJob)
                waiting[id(request)] = laid_out
                requests.append(request)
        with closing(self.engine.watch(requests)) as steps:
            for moved, done in steps:
                for handle in done:
                    job = waiting[id(handle.request)]
                    job.handles.append(handle)
                    job.error = job.error or handle.error
                    if job.done:
                        job.book()
                yield from dict.fromkeys(waiting[id(handle.request)] for handle in (*moved, *done))
                yield None

    def _calibration(self, request: Request) -> Calibration | None:
        """What would make relevance of this request's scores. Raises ValueError when it must, and there is none."""
        if request.relevance is False:
            return None
        found = self._calibrated.calibration_for(request.template.name)
        if found is None and request.relevance:
            raise ValueError(
                f"{self.model.name} was not calibrated for the template {request.template.name!r}, so its scores say "
                "nothing of relevance: calibrate it (`python -m rranker.training.calibrate`), or leave relevance and "
                "threshold out"
            )
        if found is not None and found.spaces and self.model.item_factors is not None:
            return found.in_space(self.model.item_factors.space(request.query))
        return found

    def _add_relevance(
        self, job: EngineJob, calibration: Calibration, texts: list[str], indices: list[int]
    ) -> list[Truncation]:
        """Has each candidate's own score read: with the ranking where it can be, else by a further request.

        Whoever did not ask for relevance gets it where that costs nothing: a pointer's block states are there anyway.
        Returns what had to be cut for the further request.
        """
        pointer = pointwise_score(calibration)
        own = job.engine_request is not None and (
            self._block if pointer else asks_the_same(job.method, calibration)
        )
        asked, places = ([], []) if own else (texts, indices)
        if calibration.content_free:
            asked, places = [*asked, CONTENT_FREE], [*places, _NOBODY]
        if asked and not (job.request.relevance or (pointer and self._block)):
            return []
        job.calibration, job.own_scores = calibration, own
        if own and pointer:
            assert job.engine_request is not None
            job.engine_request = replace(job.engine_request, pointwise=pointer)
        if not asked:
            return []
        kind = question_of(calibration)
        segments, cuts = self._segments(job.request, self._formats[kind], kind, asked, places)
        job.further_request = EngineRequest(segments, AskedOnce(kind, len(asked)), pointwise=pointer)
        return [cut for cut in cuts if cut.index != _NOBODY]

    def _segments(
        self,
        request: Request,
        prompt_format: PromptFormat,
        kind: Kind,
        texts: list[str],
        indices: list[int],
    ) -> tuple[Segments, list[Truncation]]:
        assembler = Assembler(
            prompt_format, self._identifiers, self._limits_of(request, kind), self._truncate
        )
        segments, cuts = assembler.assemble(
            request.template, request.instruction, request.query, kind, texts, indices
        )
        return with_prior(segments, self.model.item_factors, request.query, texts), cuts

    def _limits_of(self, request: Request, kind: Kind) -> Limits:
        """What prompts of the request that ask a question of that kind may take."""
        return self._limits

    def _format(self, request: Request, method: type[Episode]) -> PromptFormat:
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


def _pointwise_scores(job: EngineJob, calibration: Calibration) -> list[float]:
    """Of each place of a job that is done."""
    scores = list[float]()
    if calibration.source == "pointer":
        (read,) = [handle.pointwise_scores for handle in job.handles if handle.pointwise_scores is not None]
        return [float(score) for score in read]
    if job.own_scores:
        assert isinstance(job.player, Greedy)
        scores += job.player.latest.tolist()
    if job.further_request is not None:
        assert isinstance(job.further_request.method, AskedOnce)
        scores += job.further_request.method.logits.tolist()
    return corrected(scores, calibration)
