"""A local model behind the protocols of remote ones: its real logits, from whole forwards in transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import torch
import transformers as t

from tests.support.chat_server import Body, Fault, completion


class ModelAnswers:
    """`answer(path, body)` for `chat_server.serving`: chat completions of one token, and SGLang's scores."""

    def __init__(self, folder: Path) -> None:
        self.lm: Any = t.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer: Any = t.AutoTokenizer.from_pretrained(folder)
        self._lock = Lock()

    def __call__(self, path: str, body: Body) -> Body | Fault:
        known: dict[str, Callable[[Body], Body]] = {
            "/v1/chat/completions": self.chat,
            "/v1/score": self.score,
        }
        return known[path](body)

    def chat(self, body: Body) -> Body:
        """The next token, with its alternatives."""
        ids = self.tokenizer.apply_chat_template(
            body["messages"],
            tokenize=True,
            return_dict=False,
            add_generation_prompt=body.get("add_generation_prompt", True),
            continue_final_message=body.get("continue_final_message", False),
        )
        top = self._logps(ids).topk(body["top_logprobs"])
        words = [self.tokenizer.decode([i]) for i in top.indices.tolist()]
        alternatives = dict(zip(words, top.values.tolist(), strict=True))
        return completion(words[0], tokens=[(words[0], alternatives)], usage=(len(ids), 1, 0))

    def score(self, body: Body) -> Body:
        """Of each item behind the query (both token ids): the probabilities of the labels as the next token."""
        scores = []
        for item in body["items"]:
            ids = [*item, *body["query"]] if body["item_first"] else [*body["query"], *item]
            logps = self._logps(ids)[torch.tensor(body["label_token_ids"])]
            scores.append((logps.softmax(-1) if body["apply_softmax"] else logps.exp()).tolist())
        return {"object": "scoring", "model": body["model"], "scores": scores}

    @torch.no_grad()
    def _logps(self, ids: list[int]) -> torch.Tensor:
        with self._lock:
            logits: torch.Tensor = self.lm(torch.tensor([ids]), logits_to_keep=1).logits[0, -1]
        return logits.log_softmax(-1)
