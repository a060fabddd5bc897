"""What sentence-transformers' CrossEncoder answers, in its shapes. Needs no package but torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .common import Adapter, best

Pair = tuple[str, str] | list[str]


class RRankerCrossEncoder(Adapter):
    """Takes a CrossEncoder's place where `rank` and `predict` are called. `settings` are those of `Ranker.rank`.

    Arguments that say how to batch change nothing: the engine batches by tokens. Scores are probabilities.
    """

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        return_documents: bool = False,
        prompt: str | None = None,
        show_progress_bar: bool | None = None,
        batch_size: int | None = None,
    ) -> list[dict[str, Any]]:
        """`{"corpus_id", "score", "text"?}` of the best, best first; scores fall with the place (docs/adapters.md).

        `top_k` and `prompt` (the template's instruction) go before the settings. One query shows no progress, and
        `batch_size` is the engine's own business. Raises what `Ranker.rank` raises.
        """
        settings = self._settings(prompt) | ({} if top_k is None else {"top_k": top_k})
        results = list[dict[str, Any]]()
        for item, score in best(self.ranker.rank(query, documents, **settings), settings.get("top_k")):
            text = {"text": documents[item.index]} if return_documents else {}
            results.append({"corpus_id": item.index, "score": score, **text})
        return results

    def predict(
        self,
        inputs: Sequence[Pair] | Pair,
        prompt_name: None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        activation_fn: Any = None,
    ) -> Any:
        """Of each (query, text) pair, or of one, the calibrated relevance: that of the text alone, in [0, 1].

        float32: a NumPy array [pairs], a tensor [pairs], or (`convert_to_numpy=False`) a list of tensors. `batch_size`
        is of no account. Raises ValueError for a model that was not calibrated, for a `prompt_name`, and for an
        `activation_fn` other than the sigmoid.
        """
        if activation_fn is not None and not isinstance(activation_fn, torch.nn.Sigmoid):
            cure = (
                "scores are calibrated probabilities; leave it out, and take torch.logit of them for log-odds"
            )
            raise ValueError(f"activation_fn={activation_fn!r} is not there: {cure}")
        if prompt_name is not None:
            raise ValueError(f"there are no named prompts: pass prompt=, not prompt_name={prompt_name!r}")
        single = len(inputs) > 0 and isinstance(inputs[0], str)
        pairs: Any = [inputs] if single else inputs
        queries = [(query, [text]) for query, text in pairs]
        settings = self._settings(prompt) | {"relevance": True, "threshold": None}
        rankings = self.ranker.rank_batch(queries, **settings, progress=bool(show_progress_bar))
        scores = np.array([ranking[0].relevance for ranking in rankings], dtype=np.float32)
        found: Any = scores[0] if single else scores
        if convert_to_tensor or not convert_to_numpy:
            found = torch.from_numpy(scores)[0] if single else torch.from_numpy(scores)
        return found if convert_to_tensor or convert_to_numpy or single else list(found)

    def _settings(self, prompt: str | None) -> dict[str, Any]:
        return {**self.settings, **({} if prompt is None else {"instruction": prompt})}
