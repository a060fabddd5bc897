"""The facade: a model in, rankings out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Literal, Self

import torch

from .engine.attention import AttentionBackend, attention_backend, default_backend
from .engine.hardware import best_device
from .engine.model import load_model
from .engine.probe import probe
from .engine.runner import ModelRunner
from .engine.scheduler import Job, Scheduler
from .engine.sessions import BlockSession, CausalSession, Session
from .engine.settings import AttentionMode
from .engine.speculation import Sequential, Speculation
from .methods import DRanker, IRanker
from .ordering import canonical_order
from .prompts.assemble import Cut, Dialect, Limits, assemble
from .prompts.compact import CompactDialect
from .prompts.encoding import TextEncoder
from .prompts.identifiers import Identifiers
from .prompts.text import TextDialect
from .prompts.truncation import Truncate, check_truncate
from .request import CandidateLike, QueryLike, Request, batch_requests, make_request
from .result import build_ranking, cut_repairs, encoding_repairs
from .types import Ranking, Repair

Method = Literal["iranker", "dranker"]
_METHODS = ("iranker", "dranker")


class Ranker:
    """A language model that ranks. Safe to share between threads: calls take turns.

    Args:
        model: a checkpoint folder or hub name; None is the bundled model.
        device: where it runs; None is the first GPU when there is one, else the CPU.
        dtype: of its weights; None is bfloat16 where the hardware multiplies it, else float32.
        attention: `causal` (what pretrained checkpoints expect) or `block` (each candidate sees the query and
            itself only: each is encoded once, and the ranking does not depend on the input order); None is what
            the checkpoint was trained for.
        method: `iranker` eliminates round after round; `dranker` ranks in one shot.
        order: in causal attention, how a round's prompt follows from the last: `given` keeps the survivors in
            their input order, `best_first` re-sorts those behind a gap, so that later rounds reuse more.
        speculate: guess several rounds ahead in one pass. Lossless; switch it off only to compare.
        truncate: for text that does not fit the model: `end` and `middle` shorten it (reported in
            `Ranking.repairs`), `error` refuses.
        max_tokens_in_flight: tokens whose keys and values are held at once, over all queries; reserved at once.
        step_tokens: about how many tokens of new queries share one forward pass.
        backend: attention backend, `reference`, `cpu`, `triton` or `flash`; None chooses by device.
        seed: of the layout order of candidates in block attention.

    Raises:
        FileNotFoundError: no such model, here or on the hub.
        UnsupportedModelError: the model computes something that the engine cannot reproduce.
        ValueError, TypeError: a wrong setting; the message says what to pass.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        attention: AttentionMode | None = None,
        method: Method = "iranker",
        order: Literal["given", "best_first"] = "best_first",
        speculate: bool = True,
        truncate: Truncate = "end",
        max_tokens_in_flight: int = 65536,
        step_tokens: int = 4096,
        backend: str | None = None,
        seed: int = 0,
    ) -> None:
        _one_of("method", method, _METHODS)
        _one_of("order", order, ("given", "best_first"))
        _one_of("attention", attention, (None, "causal", "block"))
        self._method: Method = method
        self._order, self._speculate, self._seed = order, speculate, seed
        self._truncate = check_truncate(truncate)
        on = best_device() if device is None else torch.device(device)
        chosen: AttentionBackend = default_backend(on) if backend is None else attention_backend(backend)

        self.load_seconds: dict[str, float] = {}
        """Where the time to get ready went: `weights` (reading the checkpoint) and `probe` (checking it)."""
        began = time.perf_counter()
        loaded = load_model(model, on, _as_dtype(dtype))
        self._attention: AttentionMode = attention or loaded.settings.attention
        self._runner = ModelRunner(loaded.lm, chosen, max_tokens_in_flight)
        self.load_seconds["weights"] = time.perf_counter() - began
        began = time.perf_counter()
        probe(loaded.lm, self._runner, self._attention)
        self.load_seconds["probe"] = time.perf_counter() - began

        self.model = loaded
        encoder = TextEncoder(loaded.tokenizer)
        self._dialect: Dialect = (CompactDialect if loaded.settings.dialect == "compact" else TextDialect)(
            encoder
        )
        self._identifiers = Identifiers(encoder)
        self._limits = Limits(self._attention, loaded.context, loaded.settings.max_candidate_tokens)
        self._scheduler = Scheduler(self._runner, loaded.readout, step_tokens)
        self._lock = Lock()

    def rank(
        self,
        query: QueryLike,
        candidates: Iterable[CandidateLike],
        *,
        task: str | None = None,
        instruction: str | None = None,
        top_k: int | None = None,
    ) -> Ranking:
        """Ranks the candidates for one query, best first; always all of them.

        Args:
            query: a question, or a history as a list of titles, oldest first.
            candidates: strings, dicts (`text`, optional `id`, the rest is kept as metadata) or Candidates.
            task: `passage`, `recommendation`, `routing` or `generic`; None is `recommendation` for a history
                and `generic` for a string.
            instruction: replaces the task's own.
            top_k: only the best k matter: `iranker` then excludes several a round while more are left, and the
                places behind k are coarser. `dranker` has nothing to save.

        Raises:
            TypeError, ValueError: wrong input; the message says what to pass.
            CapacityError: the query alone needs more than `max_tokens_in_flight`.
        """
        request = make_request(query, candidates, task=task, instruction=instruction, top_k=top_k)
        return self._run([request], progress=False)[0]

    def rank_batch(
        self,
        queries: Iterable[Any],
        *,
        task: str | None = None,
        instruction: str | None = None,
        top_k: int | None = None,
        progress: bool = True,
    ) -> list[Ranking]:
        """Ranks many queries, of any sizes, together; the rankings come in the queries' order.

        `queries` holds `(query, candidates)` pairs, or dicts with `query`, `candidates` and optionally `task`,
        `instruction` and `top_k`, which go before the arguments of the same name. `progress` shows a bar.

        Raises what `rank` raises, naming the query, before any work is done.
        """
        return self._run(batch_requests(queries, task=task, instruction=instruction, top_k=top_k), progress)

    def close(self) -> None:
        """Frees the model and the KV store. Ranking afterwards raises RuntimeError."""
        with self._lock:
            self.__dict__.pop("_scheduler", None)
            self.__dict__.pop("_runner", None)
            self.__dict__.pop("model", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, requests: Sequence[Request], progress: bool) -> list[Ranking]:
        from tqdm.auto import tqdm

        with self._lock:
            if "_runner" not in self.__dict__:
                raise RuntimeError("this Ranker is closed; make a new one")
            began = time.perf_counter()
            works = [_Work(self, place, request) for place, request in enumerate(requests)]
            owners = {id(work.job): work for work in works if work.job is not None}
            with tqdm(total=len(works), disable=not progress, unit="query") as bar:
                bar.update(len(works) - len(owners))
                for job in self._scheduler.run([work.job for work in works if work.job is not None]):
                    owners[id(job)].seconds = time.perf_counter() - began
                    bar.update()
            return [work.ranking(self._method) for work in works]


class _Work:
    """One request on its way: its layout, its state machine, its job (None when there is nothing to decide)."""

    def __init__(self, ranker: Ranker, place: int, request: Request) -> None:
        self.request, self.seconds = request, 0.0
        self.job: Job | None = None
        self.repairs: list[Repair] = []
        texts = [candidate.text for candidate in request.candidates]
        block = ranker._attention == "block"
        self.walk = canonical_order(texts, ranker._seed) if block else list(range(len(texts)))
        self.episode: IRanker | DRanker | None = None
        if not texts:
            return
        if ranker._method == "dranker":
            self.episode = DRanker(len(texts))
        else:
            best_first = not block and ranker._order == "best_first"
            self.episode = IRanker(
                len(texts),
                top_k=request.top_k,
                order="best_first" if best_first else "fixed",
                nested=not block,
            )
        if not self.episode.remaining:
            return
        self.repairs += encoding_repairs(request)
        cuts: list[Cut]
        segments, cuts = assemble(
            ranker._dialect,
            ranker._identifiers,
            request.template,
            request.instruction,
            request.query,
            [texts[i] for i in self.walk],
            self.walk,
            self.episode.kind,
            ranker._limits,
            ranker._truncate,
        )
        self.repairs += cut_repairs(cuts)
        runner = ranker._runner
        session: Session = (BlockSession if block else CausalSession)(
            segments, self.episode.kind, runner.store, ranker.model.readout
        )
        rounds, suffix = self.episode.remaining, session.suffix_tokens
        cost = session.slots + rounds * (runner.overhead + suffix)
        account = Speculation(suffix, runner.overhead, cost) if ranker._speculate else Sequential()
        self.job = Job(session, self.episode, account)

    def ranking(self, method: str) -> Ranking:
        outcome = None if self.episode is None else self.episode.outcome()
        return build_ranking(self.request, self.walk, outcome, self.job, self.seconds, self.repairs, method)


def _one_of(name: str, value: Any, known: Sequence[Any]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, not {value!r}")


def _as_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else None
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ValueError(f"dtype must be 'float32', 'bfloat16' or 'float16', not {dtype!r}")
    return found
