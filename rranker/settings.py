"""The settings of a call, by name: what each does is said here, once, for all ways to call."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import torch
    from transformers import PreTrainedTokenizerBase

    from .engine.loading.settings import AttentionMode
    from .engine.requests import Reuse
    from .methods import Relayout
    from .prompts.truncation import Truncate
    from .scorers import Scorer

LongText = Literal["truncate", "chunk"]
Aggregate = Literal["max", "mean"]
OnError = Literal["raise", "return"]


class RequestSettings(TypedDict, total=False):
    """Settings that belong to a query: `rranker.request.make_request` takes them.

    template: `passage`, `recommendation`, `routing` or `generic`; None is `recommendation` for a history and `generic`
        for a string.
    task: another name for `template`.
    instruction: replaces the template's own.
    top_k: only the best k matter: `iranker` then excludes several a round while more are left, and the places behind k
        are coarser; `selection` plays k rounds; `setwise` and `tournament` stop when the best k have their places.
    relevance: whether candidates get a calibrated probability to fit (docs/relevance.md), which needs a model that was
        calibrated. None gives it where the ranking has read what it takes (pointer heads in block attention); True asks
        the model further questions where it has not; False leaves it out.
    threshold: the least relevance of those that `Ranking.kept` holds; the ranking itself stays whole.
    window: the most candidates that a question shows; None is as many as fit. Longer lists are ranked window by window
        (docs/long.md), which is reported as a repair.
    long_text: `truncate` (the default) cuts texts that are too long for the model, as the Ranker's `truncate` says;
        `chunk` ranks all of their parts (docs/long.md), and reports the best one (`RankedCandidate.span`).
    aggregate: what a document is worth by its parts: `max` (the default), as the best of them, or `mean`.
    stop_below: early stop of methods that go round after round: a verdict decides all places that are left when it
        doubts each of its preferences by less than this probability (docs/methods.md). For answers in words it does
        nothing.
    self_consistency: ranks in so many layouts (orders in the prompt, and with them identifiers), and averages the
        rankings (docs/methods.md). It costs as many times as much.
    reasoning: whether the model writes a thought before each verdict (docs/reasoning.md), which takes a language model
        that runs here. Of this and the next three, None is what the Ranker was made with.
    max_think_tokens: the longest thought; where the Ranker does not say either, 256, with `format="r1_ranker"` 960.
    temperature: of thoughts; 0 takes the most probable token each time.
    top_p: of thoughts, with a temperature: tokens are drawn from the most probable that hold this much together.
    """

    template: str | None
    task: str | None
    instruction: str | None
    top_k: int | None
    relevance: bool | None
    threshold: float | None
    window: int | None
    long_text: LongText | None
    aggregate: Aggregate | None
    stop_below: float | None
    self_consistency: int | None
    reasoning: bool | None
    max_think_tokens: int | None
    temperature: float | None
    top_p: float | None


class RankSettings(RequestSettings, total=False):
    """Settings of `Ranker.rank`, `stream` and their async twins: those of the query, and `method`.

    method: a method's name, for this call; None is the Ranker's own.
    """

    method: str | None


class BatchSettings(RankSettings, total=False):
    """Settings of `Ranker.rank_batch` and `arank_batch` but for `on_error`, which decides what they return.

    progress: shows a bar.
    """

    progress: bool


class LoadSettings(TypedDict, total=False):
    """Settings with which a model is loaded: those of `Ranker`, which says what each does."""

    tokenizer: PreTrainedTokenizerBase | None
    device: str | torch.device | None
    devices: Sequence[str | torch.device] | None
    dtype: str | torch.dtype | None
    attention_mode: AttentionMode | None
    attention_backend: str | None
    fused_kernels: bool | None
    relayout: Relayout | None
    reuse: Reuse | None
    speculate: bool
    truncate: Truncate
    kv_cache_tokens: int | None
    max_batch_tokens: int | None
    seed: int
    format: str | None
    scorer: Scorer | None


class AllSettings(RankSettings, LoadSettings, total=False):
    """What `rranker.rank` takes: settings of a call, and of the model that it loads."""


def check_setting_names(settings: Iterable[str]) -> None:
    """Raises TypeError for one that no call has."""
    known = RankSettings.__annotations__
    for name in settings:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise TypeError(f"a call has no setting {name!r}; {hint}")
