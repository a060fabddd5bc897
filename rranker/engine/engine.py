"""The engine's front door: requests join and leave between steps, and every step serves all of them at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from itertools import count
from threading import Condition
from typing import Any, Self

import torch

from ..whole import whole_number
from .attention import AttentionBackend, default_backend
from .attention import attention_backend as backend_of
from .errors import CapacityError, SettingError, release_frames
from .fused import fuse_judged, wants_fused
from .generation.request import TextRequest
from .hardware import best_device
from .loading.apart import apart
from .loading.model import LoadedModel, load_model
from .loading.objects import ModelAndTokenizer, Source
from .loading.settings import AttentionMode
from .memory import default_batch_tokens, default_kv_tokens
from .progress import Progress
from .queue import RequestQueue
from .readout import Readout
from .requests import EngineRequest, Handle
from .runner import ModelRunner
from .self_check import self_check
from .step import Stepper

_SUBMITTED_AT_ONCE = 64
"""Requests that are submitted between two pauses: some milliseconds of work."""


class Engine:
    """A model that answers ranking methods' questions, many queries together. Safe to share between threads.

    Whoever waits for a result and finds nobody stepping takes the next step, for all requests in flight.

    Args:
        lm: a transformers causal language model, or an encoder, on its device.
        readout: how its verdicts are read.
        attention_mode: `causal` or `block`.
        context_bias: see `ModelSettings`.
        attention_backend: None chooses by device.
        kv_cache_tokens: tokens whose keys and values are held at once, over all requests; reserved at once. None: by
            `memory.default_kv_tokens`.
        max_batch_tokens: about how many tokens share one forward pass; half as many again at most. None: by
            `memory.default_batch_tokens`.
        speculate: guess rounds ahead where the request allows it.

    Raises ValueError or TypeError for a wrong setting.
    """

    def __init__(
        self,
        lm: Any,
        readout: Readout,
        *,
        attention_mode: AttentionMode,
        context_bias: float = 0.0,
        attention_backend: AttentionBackend | None = None,
        kv_cache_tokens: int | None = None,
        max_batch_tokens: int | None = None,
        speculate: bool = True,
    ) -> None:
        rows = default_batch_tokens(lm) if max_batch_tokens is None else max_batch_tokens
        self._batch_tokens = whole_number(rows, "max_batch_tokens", least=1)
        self.attention_mode: AttentionMode = attention_mode
        backend = attention_backend or default_backend(lm.device)
        slots = default_kv_tokens(lm) if kv_cache_tokens is None else kv_cache_tokens
        slots = whole_number(slots, "kv_cache_tokens", least=1)
        self.runner = ModelRunner(lm, backend, slots, context_bias, self._batch_tokens)
        if self.runner.bidirectional and attention_mode != "block":
            raise SettingError(
                f"{type(lm).__name__} is an encoder: its tokens see what comes after them, so it ranks with "
                "attention_mode='block' only"
            )
        if context_bias and attention_mode != "block":
            raise SettingError(
                f"this model weighs what is outside a token's own segment (context_bias {context_bias}), and only "
                f"attention_mode='block' has such segments: leave {attention_mode!r} out"
            )
        if readout.pooling != "last" and attention_mode != "block":
            raise SettingError(
                f"this model's head reads {readout.pooling!r} states of segments that are encoded apart, as in "
                f"attention_mode='block': leave {attention_mode!r} out"
            )
        self.model: LoadedModel | None = None
        self.fused = Counter[str]()
        """The classes whose modules run on fused kernels, and how many of each."""
        self.load_seconds: dict[str, float] = {}
        """Where the time of `load` went: `weights` (reading the checkpoint) and `probe` (checking it)."""
        self._stepper = Stepper(self.runner, readout, attention_mode, speculate=speculate)
        self._queue, self._flows = RequestQueue(), count(1)
        self._changed = Condition()  # guards the queue, the handles and the two flags below
        self._stepping = self._closed = False

    @classmethod
    @apart()
    def load(  # noqa: PLR0913 (settings of a loaded model, all but the first by keyword)
        cls,
        model: Source = None,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        attention_mode: AttentionMode | None = None,
        attention_backend: str | None = None,
        kv_cache_tokens: int | None = None,
        max_batch_tokens: int | None = None,
        speculate: bool = True,
        fused_kernels: bool | None = None,
    ) -> Self:
        """Loads a model (None: the bundled one), and checks the engine on it. None elsewhere: what suits it.

        Raises what `load_model`, `wants_fused` and `self_check` raise.
        """
        on = device or (model.device if isinstance(model, ModelAndTokenizer) else best_device())
        chosen = default_backend(on) if attention_backend is None else backend_of(attention_backend)
        fused = wants_fused(fused_kernels, on)
        began = time.perf_counter()
        loaded = load_model(model, on, dtype)
        engine = cls(
            loaded.lm,
            loaded.readout,
            attention_mode=attention_mode or loaded.settings.attention,
            context_bias=loaded.settings.context_bias,
            attention_backend=chosen,
            kv_cache_tokens=kv_cache_tokens,
            max_batch_tokens=max_batch_tokens,
            speculate=speculate,
        )
        engine.load_seconds["weights"] = time.perf_counter() - began
        began = time.perf_counter()
        check = partial(self_check, loaded.lm, engine.runner, engine.attention_mode)
        if fused:
            engine.fused = fuse_judged(loaded.lm, check)
            engine.runner.price(fused=bool(engine.fused))
        else:
            check()
        engine.load_seconds["probe"] = time.perf_counter() - began
        engine.model, engine.runner.own_types = loaded, True
        return engine

    def check(self, request: EngineRequest | TextRequest) -> None:
        """Raises CapacityError when this request could never be admitted, ValueError when it cannot be read."""
        with self._changed:
            self._raise_if_closed()
            self._check(request)

    def _check(self, request: EngineRequest | TextRequest) -> None:
        request.check(self.attention_mode, self.readout)
        if self.runner.context_bias and (isinstance(request, TextRequest) or request.thought is not None):
            raise ValueError("a model that weighs what is outside a token's own segment writes no text")
        total, needed = self.runner.kv_cache.slots, request.stored_tokens(self.attention_mode)
        if needed > total:
            raise CapacityError(
                f"this query needs {needed} KV tokens and the engine has {total}: "
                "raise kv_cache_tokens, rank fewer candidates at once, or shorten them",
                0
                if isinstance(request, TextRequest)
                else request.most_candidates(self.attention_mode, total),
            )

    def submit(self, request: EngineRequest | TextRequest, flow: int = 0) -> Handle:
        """Queues a request; it is admitted when there is room, flow by flow. Raises what `check` raises."""
        with self._changed:
            self._raise_if_closed()
            self._check(request)
            handle = Handle(request, flow, self._stepper.state(request))
            self._queue.push(handle)
        return handle

    def run(self, requests: Iterable[EngineRequest | TextRequest]) -> Generator[Handle]:
        """Submits requests together and yields each one's handle when it is done, in any order.

        Failed ones too: `Handle.error` says why. Leaving the loop early cancels the rest.
        """
        with closing(self.watch(requests)) as steps:
            for _, done in steps:
                yield from done

    def watch(
        self, requests: Iterable[EngineRequest | TextRequest]
    ) -> Generator[tuple[list[Handle], list[Handle]]]:
        """As `run`, step by step: the handles that a step moved on, and those that are done since; each of them once.

        The first of these are all handles, submitted and not begun here; while many are submitted, pauses come before
        them (two empty lists). Who watches several groups in turn has one step serve them all.
        """
        flow, progress = next(self._flows), Progress()
        try:
            for number, request in enumerate(requests):
                if number and number % _SUBMITTED_AT_ONCE == 0:
                    yield [], []
                progress.add(self.submit(request, flow))
            yield progress.pending, []
            while progress.pending:
                self._step(until=progress.news)
                yield progress.tell()
        finally:
            for handle in progress.pending:
                self.cancel(handle)

    def step(self) -> None:
        """One forward pass over everything in flight, after any pass that runs already; nothing when idle."""
        self._step(until=lambda: False)

    def cancel(self, handle: Handle) -> None:
        """Ends a request and frees its slots; one that is in the middle of a step gives them back after it."""
        with self._changed:
            if not handle.done:
                self._queue.cancel(handle)
                if not self._stepping:
                    self._queue.retire()
                self._changed.notify_all()

    def close(self) -> None:
        """Cancels everything and lets the model go. Whoever still waits for a result gets a RuntimeError."""
        with self._changed:
            self._closed = True
            while self._stepping:
                self._changed.wait()
            for handle in list(self._queue):
                if not handle.done:
                    self._queue.cancel(handle)
            self._queue.retire()
            self.model = None
            for name in ("runner", "_stepper"):
                self.__dict__.pop(name, None)
            self._changed.notify_all()

    @property
    def readout(self) -> Readout:
        """How verdicts of requests that begin now are read; it may be set while none runs, as training does."""
        return self._stepper.readout

    @readout.setter
    def readout(self, readout: Readout) -> None:
        self._stepper.readout = readout

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise RuntimeError("this engine is closed: load a new one")

    def _step(self, until: Callable[[], bool]) -> None:
        """Waits for its turn, then takes one step; but for nothing once `until` holds.

        Only one thread steps at a time, for the requests of all; it stops when its own are done, and another goes on.
        """
        mine = False
        try:
            with self._changed:
                while True:
                    self._raise_if_closed()
                    if until():
                        return
                    if not self._stepping:
                        break
                    self._changed.wait()
                self._stepping = mine = True
                self._queue.admit(self._batch_tokens)
                running = list(self._queue.running)
            self._serve(running)
        finally:
            if mine:
                with self._changed:
                    self._queue.retire()
                    self._stepping = False
                    self._changed.notify_all()

    def _serve(self, running: Sequence[Handle]) -> None:
        """A pass for all of them; should it fail, one for each alone, so that an error finds its own request."""
        if not running:
            return
        failure: Exception | None = None
        try:
            self._stepper.forward(running)
        except Exception as error:
            failure = error
        if failure is None:
            return
        release_frames(failure)
        if len(running) == 1:
            running[0].fail(failure)
            return
        failure = None  # and with it what the pass still holds
        for handle in running:
            if not handle.done:
                self._serve([handle])
