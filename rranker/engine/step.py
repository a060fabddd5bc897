"""One step for all requests in flight: what each has to encode, one forward pass, and what its states say to each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import compress

from torch import Tensor

from .autocast import without_autocast
from .batch import BatchBuilder
from .generation.decode import TokenReader
from .generation.request import TextRequest
from .generation.texts import TextState
from .generation.thinking import ThinkingState
from .loading.settings import AttentionMode
from .readout import Readout
from .readout.gather import StepReader
from .readout.request import Subset
from .requests import EngineRequest, Handle, State
from .runner import ModelRunner
from .sessions import BlockQueryState, CausalQueryState, KeptQueryState, PointwiseQueryState
from .speculation import Sequential, Speculation
from .transfer import Readback, Transfer


class Stepper:
    """Runs steps on one model. `speculate`: guess rounds ahead where the request allows it."""

    def __init__(
        self, runner: ModelRunner, readout: Readout, attention_mode: AttentionMode, *, speculate: bool
    ) -> None:
        self.readout = readout
        self._runner, self._mode, self._speculate = runner, attention_mode, speculate

    def state(self, request: EngineRequest | TextRequest) -> State:
        """What a request keeps while it runs."""
        if isinstance(request, TextRequest):
            return TextState(request, self._runner.kv_cache)
        parts = request.segments, request.method.kind, self._runner.kv_cache, self.readout
        if request.asked_alone:
            return PointwiseQueryState(*parts)
        laid: BlockQueryState | CausalQueryState
        if self._mode == "block":
            laid = BlockQueryState(*parts)
        elif request.reuse == "keep":
            laid = KeptQueryState(*parts)
        else:
            laid = CausalQueryState(*parts, request.branches)
        if request.thought is None:
            return laid
        return ThinkingState(laid, request.segments.suffix, request.thought)

    def forward(self, handles: Sequence[Handle]) -> None:
        """One pass for all of them. Raises what the pass raises; an error of a request's own rules becomes its own."""
        own_types = without_autocast(self._runner.device.type) if self._runner.own_types else nullcontext()
        with own_types:
            self._forward(handles)

    def _forward(self, handles: Sequence[Handle]) -> None:
        # The handles of a pass share what it costs before its first token.
        overhead = self._runner.overhead / len(handles)
        builder = self._runner.builder()
        asked, rows = list[list[Subset]](), [0]
        for query_index, handle in enumerate(handles):
            asked.append(self._plan(builder, query_index, handle, overhead))
            rows.append(builder.rows)
        hidden = self._runner.hidden(builder.build())
        for handle, begin, end in zip(handles, rows, rows[1:], strict=False):
            handle.tokens_encoded += end - begin
        writes = [isinstance(h.state, TextState) or bool(h.streams) for h in handles]
        questions = [(h, s) for h, s, writing in zip(handles, asked, writes, strict=True) if not writing]
        self._tell(hidden, list(compress(handles, writes)), questions, overhead)

    def _plan(self, builder: BatchBuilder, query_index: int, handle: Handle, overhead: float) -> list[Subset]:
        """Adds what a request has to encode; returns what it asks about."""
        if isinstance(handle.state, TextState):
            handle.state.plan(builder, query_index)
            return []
        method = handle.question.method
        if handle.speculation is None:
            handle.speculation = self._account(handle, overhead)
        subsets = method.subsets(handle.speculation.depth(method.remaining, overhead))
        handle.state.plan(builder, query_index, subsets)
        return subsets

    def _tell(
        self,
        hidden: Tensor,
        writers: Sequence[Handle],
        questions: Sequence[tuple[Handle, list[Subset]]],
        overhead: float,
    ) -> None:
        """The next tokens of all who write, and the verdicts of all whose questions were asked; copied back once."""
        transfer, back = Transfer(self._runner.device), Readback()
        streams = [stream for handle in writers for stream in handle.streams]
        texts = TokenReader(self.readout, streams, transfer)
        readings = [handle.query_state.readout_request(hidden) for handle, _ in questions]
        new = [h.question.pointwise if h.pointwise_scores is None else None for h, _ in questions]
        reader = StepReader(self.readout, readings, new, transfer, kernels=self._runner.kernels)
        transfer.send()
        texts.compute(hidden, back)
        reader.compute(hidden, back)
        back.fetch()
        texts.check()
        verdicts, scores = reader.answers()
        chosen = texts.chosen()
        for handle in writers:
            tokens = [next(chosen) for _ in handle.streams]
            with _own_errors(handle):
                handle.wrote(hidden, tokens)
        for (handle, _), found in zip(compress(questions, new), scores, strict=True):
            handle.pointwise_scores = found
        for (handle, subsets), logits in zip(questions, verdicts, strict=True):
            with _own_errors(handle):
                handle.update(subsets, logits, overhead)

    def _account(self, handle: Handle, overhead: float) -> Speculation | Sequential:
        request, state = handle.question, handle.query_state
        if not (self._speculate and request.speculate) or request.thought is not None:
            return Sequential()
        suffix, rounds = state.suffix_tokens, request.method.remaining
        return Speculation(suffix, state.slots + rounds * (overhead + suffix))


@contextmanager
def _own_errors(handle: Handle) -> Iterator[None]:
    """What a request's own rules raise is its own error."""
    try:
        yield
    except Exception as error:
        handle.fail(error)
