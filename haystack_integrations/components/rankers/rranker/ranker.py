"""A Haystack ranker. It lives in Haystack's own namespace, as its loader trusts no classes of others by default."""

import asyncio
import threading
from dataclasses import replace
from typing import Any, cast

from rranker import Ranker, Ranking
from rranker.integrations.common import best, extra

with extra("haystack", "haystack-ai"):
    from haystack import Document, component, default_from_dict, default_to_dict
    from haystack.utils.misc import _deduplicate_documents

_loading = threading.Lock()  # first runs at the same time load one model, not two
Output = dict[str, list[Document]]


@component
class RRanker:
    """Ranks documents by their content and keeps the best `top_k`, as copies whose scores fall with their place.

    Documents of one id are one, that of the highest score. `model` (a folder or hub name; None is the bundled one) and
    `ranker_kwargs` are given to `Ranker` by `warm_up`; the rest are settings of `Ranker.rank`. docs/adapters.md says
    what the scores are. Raises ValueError for a top_k that is not above 0.
    """

    def __init__(
        self,
        model: str | None = None,
        top_k: int = 10,
        template: str = "passage",
        instruction: str | None = None,
        method: str | None = None,
        threshold: float | None = None,
        ranker_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.init_parameters = {key: value for key, value in locals().items() if key != "self"}
        self.loading = ranker_kwargs or {}
        self.settings = {"template": template, "instruction": instruction, "threshold": threshold}
        self.settings |= {"top_k": top_k, "method": method}
        self._call("", [], None)  # refuses a wrong top_k at once
        self._ranker: Ranker | None = None

    def warm_up(self) -> Ranker:
        """Loads the model, once."""
        with _loading:
            if self._ranker is None:
                self._ranker = Ranker(self.init_parameters["model"], **self.loading)
            return self._ranker

    def to_dict(self) -> dict[str, Any]:
        """Its settings, for `Pipeline.dumps`."""
        return dict(default_to_dict(self, **self.init_parameters))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "RRanker":
        """From what `to_dict` gave."""
        return cast(RRanker, default_from_dict(cls, data))

    @component.output_types(documents=list[Document])
    def run(self, query: str, documents: list[Document], top_k: int | None = None) -> Output:
        """Copies of the best documents, best first. Raises what `Ranker.rank` raises."""
        known, call = self._call(query, documents, top_k)
        return _copies(known, self.warm_up().rank(**call), call["top_k"])

    @component.output_types(documents=list[Document])
    async def run_async(self, query: str, documents: list[Document], top_k: int | None = None) -> Output:
        """The async twin of `run`: calls at the same time share forward passes."""
        known, call = self._call(query, documents, top_k)
        ranker = self._ranker or await asyncio.to_thread(self.warm_up)
        return _copies(known, await ranker.arank(**call), call["top_k"])

    def _call(self, query: str, documents: list[Document], top_k: int | None) -> tuple[list[Document], Any]:
        call = self.settings if top_k is None else {**self.settings, "top_k": top_k}
        if call["top_k"] <= 0:
            raise ValueError(f"top_k must be above 0, not {call['top_k']}")
        known = _deduplicate_documents(documents)
        return known, {**call, "query": query, "candidates": [document.content or "" for document in known]}


def _copies(documents: list[Document], ranking: Ranking, top_k: int) -> Output:
    kept = best(ranking, top_k)
    return {"documents": [replace(documents[item.index], score=score) for item, score in kept]}
