"""Thoughts that were had about one query help with the next: kept, found by similarity, and given as an example."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from .data.lexical import BM25
from .files import PathLike, parsed_lines
from .prompts import TEMPLATES, Template
from .request import QueryLike, make_request
from .types import Ranking, one_line, shorten

Similar = Callable[[Sequence[str], str], ArrayLike]
"""[texts]: how similar each text is to a query; 0 or less where not at all."""

_LONGEST = 600
"""Characters of a thought in an example: a prompt should be about its own query."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One round's thought. `template` names its family of tasks; `asked` is what the verdict answers.

    `verdict`: the text of the one who was excluded (`exclude`) or selected (`select`).
    """

    query: str | list[str]
    template: str
    asked: Literal["exclude", "select"]
    thought: str
    verdict: str


class ThoughtStore:
    """Traces of rankings, from which any model is given the one whose query is most like its own.

    `similarity`: `bm25` counts words that queries share; `embedding` compares the bundled model's vectors; or a
    function of the stored queries and a new one (see `Similar`). Not to be changed while others read it.

    >>> store = ThoughtStore([Trace("how do bees fly?", "passage", "exclude", "Hives say nothing.", "A hive is warm.")])
    >>> print(store.instruction("how do birds fly?", template="passage"))
    Rank the passages by how well they answer the query.
    <BLANKLINE>
    This is how a similar case was judged:
    Query: how do bees fly?
    Thought: Hives say nothing.
    The least relevant passage: A hive is warm.
    <BLANKLINE>
    Judge the following in the same way.
    """

    def __init__(
        self, traces: Iterable[Trace] = (), *, similarity: Literal["bm25", "embedding"] | Similar = "bm25"
    ) -> None:
        if not callable(similarity) and similarity not in ("bm25", "embedding"):
            raise ValueError(f"similarity must be 'bm25', 'embedding' or a function, not {similarity!r}")
        self._traces = list(traces)
        made: dict[Any, Callable[[], Similar]] = {"bm25": _Words, "embedding": _Vectors}
        self._similar: Similar = similarity if callable(similarity) else made[similarity]()

    def add(self, query: QueryLike, ranking: Ranking, *, template: str | None = None) -> int:
        """Keeps the rounds of a ranking that have a thought; returns how many.

        `template` is the one it was ranked with. Raises TypeError or ValueError for what `Ranker.rank` would refuse.
        """
        request = make_request(query, (), template=template)
        texts = {item.index: item.text for item in ranking}
        kept = [
            Trace(
                request.query,
                request.template.name,
                "exclude" if played.excluded else "select",
                played.thought,
                texts[(played.excluded or played.selected)[0]],
            )
            for played in ranking.rounds
            if played.thought and played.thought.strip()
        ]
        self._traces += kept
        return len(kept)

    def find(self, query: QueryLike, *, template: str | None = None) -> Trace | None:
        """The trace of the same template whose query is most similar, of equals the first; None where none is."""
        return self._find(*_asked(query, template))

    def instruction(
        self, query: QueryLike, *, template: str | None = None, instruction: str | None = None
    ) -> str | None:
        """`instruction` (None: the template's own) with the most similar trace as an example.

        It is what `instruction=` of `rank` takes, and the key of that name of a batch's query; where nothing is
        similar, it is `instruction` as it was.
        """
        text, wanted = _asked(query, template)
        trace = self._find(text, wanted)
        if trace is None:
            return instruction
        single = isinstance(trace.query, str)
        heading = wanted.query_heading if single else wanted.history_heading + " "
        shown = trace.query if isinstance(trace.query, str) else "; ".join(trace.query)
        return (
            f"{wanted.instruction if instruction is None else instruction}\n\n"
            f"This is how a similar case was judged:\n{heading}{one_line(shown)}\n"
            f"Thought: {shorten(trace.thought, _LONGEST)}\n"
            f"{wanted.question(trace.asked)}: {shorten(trace.verdict, _LONGEST)}\n\n"
            "Judge the following in the same way."
        )

    def save(self, path: PathLike) -> None:
        """Writes a line of JSON a trace. Raises OSError."""
        lines = (json.dumps(asdict(trace)) + "\n" for trace in self._traces)
        Path(path).write_text("".join(lines), encoding="ascii")  # json escapes all else

    @classmethod
    def load(
        cls, path: PathLike, *, similarity: Literal["bm25", "embedding"] | Similar = "bm25"
    ) -> ThoughtStore:
        """What `save` wrote. Raises OSError, and ValueError that names file and line for what is no trace."""
        return cls(parsed_lines(path, _trace), similarity=similarity)

    def __len__(self) -> int:
        return len(self._traces)

    def __iter__(self) -> Iterator[Trace]:
        return iter(self._traces)

    def _find(self, text: str, template: Template) -> Trace | None:
        traces = [trace for trace in self._traces if trace.template == template.name]
        if not traces:
            return None
        scores = np.asarray(self._similar([_text(trace.query) for trace in traces], text), dtype=np.float64)
        best = int(scores.argmax())
        return traces[best] if scores[best] > 0 else None


def _asked(query: QueryLike, template: str | None) -> tuple[str, Template]:
    request = make_request(query, (), template=template)
    return _text(request.query), request.template


def _text(query: str | list[str]) -> str:
    return query if isinstance(query, str) else "\n".join(query)


def _trace(line: str) -> Trace:
    row = json.loads(line)
    names = [field.name for field in fields(Trace)]
    if not isinstance(row, dict) or sorted(row) != sorted(names):
        raise ValueError(f"a trace has the keys {', '.join(names)}")
    query = row["query"]
    titles = query if isinstance(query, list) else [query]
    if not all(isinstance(text, str) for text in [*titles, row["thought"], row["verdict"]]):
        raise ValueError("query, thought and verdict must be text (a query may be a list of titles)")
    if row["template"] not in TEMPLATES or row["asked"] not in ("exclude", "select"):
        raise ValueError(f"unknown template {row['template']!r} or question {row['asked']!r}")
    return Trace(**row)


class _Words:
    """BM25, made anew when the texts are others."""

    def __init__(self) -> None:
        self._made: tuple[Sequence[str], BM25] | None = None

    def __call__(self, texts: Sequence[str], query: str) -> ArrayLike:
        made = self._made  # read once: threads ask about other texts meanwhile
        if made is None or made[0] != texts:
            made = self._made = texts, BM25(texts)
        return made[1].scores(query)


class _Vectors:
    """Cosines of the bundled model's vectors; those of the texts are kept."""

    def __init__(self) -> None:
        from .engine.embedding import Embedding
        from .engine.loading.model import DEFAULT_MODEL

        self._embedding = Embedding(DEFAULT_MODEL)

    def __call__(self, texts: Sequence[str], query: str) -> ArrayLike:
        scores: ArrayLike = self._embedding.vectors(texts) @ self._embedding.query(query)
        return scores
