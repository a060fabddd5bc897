"""PyTerrier: a transformer that re-ranks result frames."""

from __future__ import annotations

from typing import Any, Unpack

from .common import Adapter, best, extra

with extra("pyterrier", "pyterrier"):
    import pandas as pd
    import pyterrier as pt

from ..ranker import Ranker
from ..settings import RankSettings


class RRankerTransformer(Adapter, pt.Transformer):
    """Re-ranks each query's documents by a text column: `retriever >> pt.text.get_text(…) >> RRankerTransformer()`.

    Scores fall strictly with rank (docs/adapters.md), which counts from 0; other columns stay. `settings` are those of
    `Ranker.rank`; a threshold drops documents. `verbose` shows a bar.
    """

    def __init__(
        self,
        ranker: Ranker | None = None,
        *,
        text_field: str = "text",
        verbose: bool = False,
        **settings: Unpack[RankSettings],
    ) -> None:
        super().__init__(ranker, **settings)
        self.text_field, self.verbose = text_field, verbose

    def schematic(self, *, input_columns: list[str] | None = None) -> dict[str, Any]:
        """How it is drawn: without a page of PyTerrier's own documentation, which would be looked up on the web."""
        return {"help_url": None}

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """The frame in ranking order, queries in their order.

        Raises InputValidationError, naming the columns, when some are missing; and what `Ranker.rank_batch` raises.
        """
        pt.validate.result_frame(inp, extra_columns=["query", self.text_field], context=self)
        groups = [rows for _, rows in inp.groupby("qid", sort=False, dropna=False)]
        queries = [(rows["query"].iloc[0], rows[self.text_field].tolist()) for rows in groups]
        rankings = self.ranker.rank_batch(queries, **self.settings, progress=self.verbose)
        kept = list(map(best, rankings))
        ranked = [
            rows.iloc[[item.index for item, _ in items]] for rows, items in zip(groups, kept, strict=True)
        ]
        frame = pd.concat(ranked, ignore_index=True) if ranked else inp.copy()
        frame["score"] = [score for items in kept for _, score in items]
        frame["rank"] = [pt.model.FIRST_RANK + place for items in kept for place in range(len(items))]
        return frame.astype({"score": "float64", "rank": "int64"})
