"""A Haystack ranker. It lives in Haystack's own namespace, as its loader trusts no classes of others by default."""

import asyncio
import threading
from dataclasses import replace
from typing import Any, cast

from rranker import Ranking
from rranker.integrations.common import best, extra
from rranker.ranker import Ranker, check_settings

with extra("haystack", "haystack-ai"):
    from haystack import Document, component, default_from_dict, default_to_dict
    from haystack.utils.misc import _deduplicate_documents

_lock = threading.Lock()  # first runs at the same time load one model, not two
Output = dict[str, list[Document]]


@component
class RRanker:
    """Ranks documents by content: keeps copies of the best `top_k`, of each id the one of the highest score.

    `model` (None: the bundled one) and `ranker_kwargs` are what `warm_up` loads, all else settings of `Ranker.rank`.
    """

    def __init__(
        self,
        model: str | None = None,
        top_k: int = 10,
        template: str = "passage",
        instruction: str | None = None,
        method: str | None = None,
        threshold: float | None = None,
        settings: dict[str, Any] | None = None,
        ranker_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.init_parameters = {key: value for key, value in locals().items() if key != "self"}
        self._loading = {"model": model, **(ranker_kwargs or {})}
        of_call = {"top_k": top_k, "template": template, "instruction": instruction, "method": method}
        self._settings = {**of_call, "threshold": threshold, **(settings or {})}
        self._call("", [], None)  # refuses wrong settings at once
        self._ranker: Ranker | None = None

    def warm_up(self) -> Ranker:
        """Loads the model, once."""
        with _lock:
            self._ranker = self._ranker or Ranker(**self._loading)
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
        """Copies of the best documents. Raises what `Ranker.rank` raises."""
        known, call = self._call(query, documents, top_k)
        return _copies(known, self.warm_up().rank(**call), call["top_k"])

    @component.output_types(documents=list[Document])
    async def run_async(self, query: str, documents: list[Document], top_k: int | None = None) -> Output:
        """The async twin of `run`: calls at the same time share forward passes."""
        known, call = self._call(query, documents, top_k)
        return _copies(known, await (await asyncio.to_thread(self.warm_up)).arank(**call), call["top_k"])

    def _call(self, query: str, documents: list[Document], top_k: int | None) -> tuple[list[Document], Any]:
        call = self._settings if top_k is None else {**self._settings, "top_k": top_k}
        check_settings(call)
        known = _deduplicate_documents(documents)
        return known, {**call, "query": query, "candidates": [each.content or "" for each in known]}


def _copies(documents: list[Document], ranking: Ranking, top_k: int) -> Output:
    return {"documents": [replace(documents[i.index], score=score) for i, score in best(ranking, top_k)]}
