"""The vocabulary of the library: candidates in, a ranking out. Plain frozen dataclasses, no tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, overload

from .ids import Id
from .json_values import json_value
from .real import real_number

# `print(ranking)` shows so many of the best and of the worst.
_SHOWN_FIRST, _SHOWN_LAST = 20, 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing to rank. `text` is what the model reads; `id` and `metadata` travel along untouched.

    Equal candidates have equal metadata; the hash leaves metadata out, as mappings have none.
    """

    text: str
    id: Id | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class RankedCandidate:
    """A candidate in its place. `rank` counts from 1; `index` is its place in the input, from 0.

    `relevance` is the calibrated probability that it fits the query, whoever else is there; it never rises with rank.
    None where the model was not calibrated for such tasks, or was not asked (docs/relevance.md).

    `span` says which part of the text (first character, and the one behind the last) was the best one, where long texts
    were ranked by their parts (docs/long.md).

    The hash leaves metadata out, as `Candidate`'s does.
    """

    rank: int
    index: int
    id: Id | None
    text: str
    score: float
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    relevance: float | None = None
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One elimination round.

    `alive` and `probabilities` run in parallel: `probabilities[k]` is the model's probability of naming
    `alive[k]` (input indices) in this round: as the least fitting, whereupon `excluded` went (one, or with
    `top_k` several, worst first); or, for methods that ask for the most fitting, as that: `selected` took the next
    places (best first; DRanker's single round decides all of them), or, where a few are compared at a time, won.
    `thought`: what the model wrote before the verdict, with `Ranker(reasoning=True)`.
    """

    alive: tuple[int, ...]
    excluded: tuple[int, ...]
    probabilities: tuple[float, ...]
    thought: str | None = None
    selected: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Repair:
    """Something that had to be changed to rank at all: what kind, where, and in words."""

    kind: str
    message: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """What a ranking cost. Tokens are counted over all rounds of this one query.

    `tokens_naive` is what re-encoding the whole prompt each round would take; `tokens_encoded` is what was
    encoded; `tokens_reused` is the difference. `forward_passes` counts passes this query took part in (a pass may serve
    several queries at once; a very large one is computed in parts). `seconds` is the wall time of the batch it ran in;
    comparisons leave it out, so that equal rankings are equal however long they took. Speculation guesses rounds ahead;
    with reasoning, tokens of thoughts, whose right and wrong ones are then its hits and misses. `tokens_generated`:
    what was written.

    A remote model counts for itself: `tokens_naive` is what it was sent, `tokens_encoded` what of that it had not read
    before, `tokens_generated` what it wrote, `calls` the requests that were sent (repeated ones too), `cost` their
    price (docs/remote.md). These last three are printed where there are any.
    """

    tokens_naive: int = 0
    tokens_encoded: int = 0
    forward_passes: int = 0
    speculation_hits: int = 0
    speculation_misses: int = 0
    seconds: float = field(default=0.0, compare=False)
    tokens_generated: int = 0
    calls: int = 0
    cost: float = 0.0

    def __repr__(self) -> str:
        later = ("tokens_generated", "calls", "cost")
        values = {name: value for name, value in asdict(self).items() if value or name not in later}
        return f"Stats({', '.join(f'{name}={value!r}' for name, value in values.items())})"

    @property
    def tokens_reused(self) -> int:
        """Tokens that a naive loop would have encoded and that were not."""
        return max(0, self.tokens_naive - self.tokens_encoded)


@dataclass(frozen=True)
class Ranking(Sequence[RankedCandidate]):
    """A full ranking, best first. Behaves like a list of `RankedCandidate`.

    Scores lie in [0, 1] and fall with rank; only identical texts share a score. A score is `(n - rank + q) / n`,
    where `q` (strictly between 0 and 1) is the probability with which the model would have kept the candidate in
    the round that decided its place. `n - rank` counts those it beats, `q` says how surely; n and rank count equal
    texts as one. Scores compare within one ranking, not across; relevance does (`RankedCandidate`). `query_id` is the
    id under which a batch brought the query, `threshold` the one that was asked for (`kept`).
    """

    items: tuple[RankedCandidate, ...]
    rounds: tuple[Round, ...] = ()
    stats: Stats = Stats()
    repairs: tuple[Repair, ...] = ()
    method: str = "iranker"
    query_id: Id | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        if sorted(item.index for item in self.items) != list(range(len(self.items))):
            raise ValueError("a ranking must hold every candidate exactly once")

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[RankedCandidate]:
        return iter(self.items)

    @overload
    def __getitem__(self, place: int) -> RankedCandidate: ...
    @overload
    def __getitem__(self, place: slice) -> list[RankedCandidate]: ...
    def __getitem__(self, place: int | slice) -> RankedCandidate | list[RankedCandidate]:
        return list(self.items[place]) if isinstance(place, slice) else self.items[place]

    @property
    def order(self) -> list[int]:
        """Input indices, best first."""
        return [item.index for item in self.items]

    def top(self, k: int) -> list[RankedCandidate]:
        """The best `k`, or all when there are fewer. Raises ValueError for a negative `k`."""
        if k < 0:
            raise ValueError(f"top(k) takes k >= 0, not {k}")
        return list(self.items[:k])

    @property
    def kept(self) -> list[RankedCandidate]:
        """Those at or above the `threshold` that was asked for, best first; all of them where there was none."""
        return list(self.items) if self.threshold is None else self.above(self.threshold)

    def above(self, threshold: float) -> list[RankedCandidate]:
        """Those whose relevance is `threshold` or more, best first: the beginning of the ranking.

        Raises ValueError when relevance is not known, or for a threshold outside of [0, 1].
        """
        least = as_threshold(threshold)
        kept = list[RankedCandidate]()
        for item in self.items:
            if item.relevance is None:
                raise ValueError(
                    "this ranking has no relevance to cut by: rank with relevance=True, and a model that was "
                    "calibrated for such tasks (`python -m rranker.training.calibrate`)"
                )
            if item.relevance >= least:
                kept.append(item)
        return kept

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, strings and numbers, ready for `json.dumps`.

        Metadata may hold anything: `rranker.json_values.json_value` says what becomes of arrays, dates, NaN (None)
        and other values that JSON does not have. Raises ValueError, naming the candidate, for metadata that
        contains itself.
        """
        return {
            "method": self.method,
            "query_id": json_value(self.query_id),
            "threshold": self.threshold,
            "items": [json_value(item, f"the metadata of candidate {item.index}") for item in self],
            "rounds": json_value(self.rounds),
            "stats": {**json_value(self.stats), "tokens_reused": self.stats.tokens_reused},
            "repairs": json_value(self.repairs),
        }

    def to_html(self, query: str | Sequence[str] | None = None) -> str:
        """A whole HTML page that shows round by round who left, and how sure the model was. It loads nothing.

        `query` is shown above: a ranking does not keep it. Raises what `to_dict` raises.
        """
        from .view import ranking_page

        return ranking_page(self.to_dict(), query if query is None or isinstance(query, str) else list(query))

    def _repr_html_(self) -> str:
        """The same in a notebook, in a frame of its own."""
        from .view import ranking_frame

        return ranking_frame(self.to_dict())

    def __repr__(self) -> str:
        """A line a candidate, best first; of a long ranking the first and the last ones."""
        named = "" if self.query_id is None else f" for query {shorten(str(self.query_id))}"
        kept = "" if self.threshold is None else f", {len(self.kept)} of relevance {self.threshold:g} or more"
        lines = [f"Ranking of {len(self)} by {self.method}{named}{kept}"]
        left_out = len(self) - _SHOWN_FIRST - _SHOWN_LAST
        if left_out > 1:
            lines += map(_line, self.items[:_SHOWN_FIRST])
            lines.append(f"   …  {left_out:,} more")
            lines += map(_line, self.items[-_SHOWN_LAST:])
        else:
            lines += map(_line, self.items)
        if self.repairs:
            notes = "; ".join(one_line(r.message) for r in self.repairs[:3])
            lines.append(f"      {len(self.repairs)} repair(s): {notes}")
        return "\n".join(lines)


def _line(item: RankedCandidate) -> str:
    name = f"{shorten(str(item.id))}: " if item.id is not None else ""
    relevance = "" if item.relevance is None else f"  relevance {item.relevance:.3f}"
    return f"{item.rank:>4}  {item.score:.3f}{relevance}  [{item.index}] {name}{shorten(item.text)}"


def as_threshold(threshold: float) -> float:
    """A least relevance. Raises TypeError for what is no number, ValueError for one outside of [0, 1]."""
    return real_number(threshold, "threshold", least=0, most=1)


def shorten(text: str, width: int = 72) -> str:
    """The start of `text` as one printable line of at most `width` characters."""
    line = one_line(text)
    return line if len(line) <= width else line[: width - 1] + "…"


def one_line(text: str) -> str:
    """`text` printable and with every run of blanks as one space."""
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """`text` with control and formatting characters (which could garble a terminal) made visible."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
