"""What `evaluate` returns: figures of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rranker.metrics.measure import Floats, Measure
from rranker.metrics.names import parse_measures


class Evaluation(dict[str, float]):
    """Figures of a run: a dict from measure to its mean over queries (counts: the sum), ready for `json.dumps`.

    A measure is found under any of its names: after `evaluate(..., "ndcg_cut.10")`, `result["nDCG@10"]` too.
    `by_query[name]` holds one number a query, in the order of `queries`. `not_retrieved` lists queries of the
    qrels that the run lacks, `not_judged` queries of the run that the qrels lack, and `nothing_shared` the
    evaluated queries for which qrels and run have documents, but none in common.
    """

    def __init__(
        self,
        queries: Sequence[str],
        measures: Mapping[str, Measure],
        by_query: Mapping[str, Floats],
        not_retrieved: Sequence[str] = (),
        not_judged: Sequence[str] = (),
        nothing_shared: Sequence[str] = (),
    ) -> None:
        super().__init__(
            (name, float(v.sum() if measures[name].total else v.mean()) if v.size else 0.0)
            for name, v in by_query.items()
        )
        self.queries = tuple(queries)
        self.measures = dict(measures)
        self.by_query = dict(by_query)
        self.not_retrieved = tuple(not_retrieved)
        self.not_judged = tuple(not_judged)
        self.nothing_shared = tuple(nothing_shared)

    def __missing__(self, name: object) -> float:
        return super().__getitem__(self._known(name))

    def per_query(self, name: str) -> dict[str, float]:
        """{query: value} of one measure, under any of its names. Raises KeyError for one not evaluated."""
        values = self.by_query[name if name in self.by_query else self._known(name)]
        return dict(zip(self.queries, values.tolist(), strict=True))

    def _known(self, name: object) -> str:
        """The name under which the measure called `name` was evaluated."""
        try:
            wanted = list(parse_measures(name).values()) if isinstance(name, str | Measure) else []
        except ValueError:
            wanted = []
        for known, measure in self.measures.items():
            if wanted == [measure]:
                return known
        raise KeyError(f"{name!r} was not evaluated; there are {', '.join(self.measures)}")

    def __repr__(self) -> str:
        shown = "  ".join(f"{name} {value:.4f}" for name, value in self.items())
        notes = [
            f"{len(queries)} {what}"
            for queries, what in (
                (self.not_retrieved, "not retrieved"),
                (self.nothing_shared, "without a shared document"),
            )
            if queries
        ]
        return f"Evaluation over {'; '.join([f'{len(self.queries)} queries', *notes])}: {shown}"
