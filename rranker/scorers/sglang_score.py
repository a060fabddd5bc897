"""A model behind SGLang's `/v1/score`: our own token ids go over the wire, the probabilities of labels come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack, get_args

import numpy as np
from numpy.typing import NDArray

from ..choices import one_of
from ..engine.loading.tokenizer import read_tokenizer
from ..methods import Episode, Greedy, Relayout, Subset
from ..prompts.assemble import Assembler, Limits
from ..prompts.encoding import TextEncoder, Tokenizer
from ..prompts.formats import prompt_formats
from ..prompts.identifiers import Identifiers
from ..prompts.segments import POINTWISE, Segments
from ..prompts.truncation import Truncate
from ..repairs import cut_repairs, encoding_repairs
from ..request import Request
from ..types import Stats
from ..whole import whole_number
from .chat_reply import read_usage, shown
from .protocol import Job, groups_of, texts_of
from .remote import RemoteScorer, Usage
from .remote.errors import MalformedError
from .remote.scorer import Calls
from .remote.settings import CallSettings

Ids = tuple[int, ...]
_NOTHING = float(np.finfo(np.float64).tiny)


@dataclass(slots=True, eq=False)
class ScoreJob(Job):
    """A job whose prompts are laid out; `segments` is None when there is nothing to decide.

    `hits` and `misses` count its guesses as `Stats` does.
    """

    segments: Segments | None = None
    hits: int = 0
    misses: int = 0


class SGLangScorer(RemoteScorer):
    """A language model behind SGLang's score endpoint answers the methods' questions; see `Scorer`, docs/remote.md.

    Prompts are those of a local model, joined as token ids, so text of users cannot become a special token there
    either. A round and the guesses at later ones are items of one request; so are a `pointwise` question's candidates.

    Args:
        tokenizer: the model's: its checkpoint folder, or transformers' tokenizer.
        model: the name that the server knows it by.
        guesses: later rounds that share a request with the one that is asked, at most; guesses that fail cost the
            server a prompt each, and change nothing.
        relayout: see `Ranker`.
        context: tokens that the server reads; None sets no bound.
        truncate: see `Ranker`.
        calls: see `rranker.scorers.remote.settings.Settings`; `base_url` ends with `/v1`.

    Raises:
        FileNotFoundError: the folder has no tokenizer.
        ImportError: the `openai` package is missing; the message names the extra.
        TypeError, ValueError: a wrong setting.
    """

    def __init__(
        self,
        tokenizer: str | Path | Tokenizer,
        *,
        model: str = "default",
        guesses: int = 7,
        relayout: Relayout = "best_first",
        context: int | None = None,
        truncate: Truncate = "end",
        **calls: Unpack[CallSettings],
    ) -> None:
        one_of(relayout, "relayout", get_args(Relayout))
        one_of(truncate, "truncate", get_args(Truncate))
        if context is not None:
            whole_number(context, "context", least=1)
        super().__init__(**calls)
        read = read_tokenizer(Path(tokenizer)) if isinstance(tokenizer, str | Path) else tokenizer
        encoder = TextEncoder(read)
        self.model = model
        self._depth = 1 + whole_number(guesses, "guesses", least=0)
        self._relayout: Relayout = relayout
        self._truncate: Truncate = truncate
        self._limits = Limits("causal", context, None)
        self._formats, self._identifiers = prompt_formats("text", encoder), Identifiers(encoder)

    def default_method(self, request: Request) -> str:
        """Rounds cost little where they are guessed together."""
        return "iranker"

    def prepare(self, request: Request, method: type[Episode]) -> ScoreJob:
        """See `Scorer.prepare`."""
        if method.kind == "likelihood":
            raise ValueError(
                f"{method.name} reads the probability of a whole text, and a score endpoint gives that of single "
                "tokens: use iranker, selection, dranker or pointwise"
            )
        groups = groups_of(request)
        if not groups:
            return ScoreJob(request, method, (), None)
        nested = self._relayout == "best_first"
        player = Greedy(
            method(len(groups), top_k=request.top_k),
            relayout=self._relayout,
            nested=nested,
            stop_below=request.stop_below,
        )
        job = ScoreJob(request, method, groups, player)
        if not job.decided:
            indices = [group[0] for group in groups]
            prompt_format = self._formats[method.kind]
            assembler = Assembler(prompt_format, self._identifiers, self._limits, self._truncate)
            job.segments, cuts = assembler.assemble(
                request.template,
                request.instruction,
                request.query,
                method.kind,
                texts_of(request, groups),
                indices,
            )
            job.repairs += [*encoding_repairs(request), *cut_repairs(request, cuts, groups)]
        return job

    async def ask(self, job: Job, calls: Calls) -> None:
        """The next question and guesses at later ones, in one request."""
        assert isinstance(job, ScoreJob)
        assert isinstance(job.player, Greedy)
        assert job.segments is not None
        subsets = job.player.subsets(self._depth)
        alone = job.player.kind in POINTWISE
        prompts = [
            _prompt(job.segments, asked)
            for subset in subsets
            for asked in ([(place,) for place in subset] if alone else [subset])
        ]
        shown = list(dict.fromkeys(place for subset in subsets for place in subset))
        named = job.segments.targets if alone else [job.segments.identifiers[place] for place in shown]
        query, items = _shared(prompts)
        body = {
            "model": self.model,
            "query": query,
            "items": items,
            "label_token_ids": list(named),
            "apply_softmax": True,
            "item_first": False,
        }
        sent = len(query) + sum(map(len, items))

        async def send(client: Any) -> tuple[NDArray[np.float64], Usage]:
            response = await client.post("/score", body=body, cast_to=object)
            return _scores(response, len(items), len(named)), read_usage(response) or Usage(prompt=sent)

        scores, _ = await calls(send, lambda answer: answer[1], expected=sent)
        logits = np.log(np.maximum(scores, _NOTHING))
        if alone:
            rows = [logits[:, 0] - logits[:, 1]]
        else:
            columns = {place: column for column, place in enumerate(shown)}
            rows = [
                row[[columns[place] for place in subset]] for row, subset in zip(logits, subsets, strict=True)
            ]
        used = job.player.observe(subsets, rows)
        job.hits += used - 1
        job.misses += used < len(subsets)

    def stats(self, job: Job, used: Usage) -> Stats:
        """See `RemoteScorer.stats`."""
        assert isinstance(job, ScoreJob)
        return replace(super().stats(job, used), speculation_hits=job.hits, speculation_misses=job.misses)


def _prompt(segments: Segments, asked: Subset) -> Ids:
    """As a local model reads it."""
    listed = [token for place in asked for token in segments.candidates[place]]
    return (*segments.prefix, *listed, *segments.suffix)


def _shared(prompts: Sequence[Ids]) -> tuple[list[int], list[list[int]]]:
    """What all prompts begin with, and what each goes on with: at least one token."""
    first, shortest = prompts[0], min(map(len, prompts))
    same = 0
    while same < shortest - 1 and all(prompt[same] == first[same] for prompt in prompts):
        same += 1
    return list(first[:same]), [list(prompt[same:]) for prompt in prompts]


def _scores(response: Any, items: int, labels: int) -> NDArray[np.float64]:
    """[items, labels] probabilities. Raises MalformedError for anything else."""
    try:
        scores = np.asarray(response["scores"], dtype=np.float64)
    except (TypeError, KeyError, ValueError) as error:
        raise MalformedError(f"no table of scores in {shown(response)}") from error
    if scores.shape != (items, labels):
        raise MalformedError(f"scores of shape {scores.shape} for {items} items and {labels} labels")
    if not (np.isfinite(scores).all() and (scores >= 0).all() and scores.any(axis=1).all()):
        raise MalformedError(f"scores that are no probabilities in {shown(response)}")
    return scores
