"""Query likelihood by transformers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from rranker.prompts import PASSAGE


@torch.no_grad()
def query_likelihoods(lm: Any, tokenizer: Any, query: str, texts: Sequence[str]) -> np.ndarray:
    """The mean log-probability of the query's tokens, for each text: a whole forward of the prompt as a chat user would
    write it, with the query as its answer.
    """
    means = []
    for text in texts:
        said = f"{PASSAGE.item}: {text}\n{PASSAGE.invites}"
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": said}], tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(prompt + query, add_special_tokens=False)["input_ids"]
        first = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        logps = lm(torch.tensor([ids])).logits[0].log_softmax(-1)
        means.append(float(logps[range(first - 1, len(ids) - 1), ids[first:]].mean()))
    return np.array(means)
