"""Rollouts of GRPO's text policy, by transformers' `generate` and by the engine: `python -m bench.text_rollouts`.

SmolLM2-135M-Instruct, the paper's prompts about entries of the glossary, all texts of full length, drawn at temperature
1. `generate` gets what TRL hands it: every prompt as often as it has rollouts, padded on the left, in one batch. Both
in one run, on one thread; seconds are the process's own.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

from bench.pretrained_models import smollm2_folder
from bench.text_prompts import problems
from bench.workloads import MODELS, smollm2
from rranker.engine.generation import Sampling
from rranker.prompts import TEMPLATES
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.r1_ranker import R1RankerFormat, Shown
from rranker.training.policy.texts import write_texts


def prompts_of(tokenizer: Any, queries: int, candidates: int, rollouts: int) -> list[list[int]]:
    """Each query's prompt, as often as it has rollouts."""
    words = R1RankerFormat(TextEncoder(tokenizer))
    prompts = list[list[int]]()
    for query, texts in problems(queries, candidates):
        shown = [Shown(place, text) for place, text in enumerate(texts)]
        prompt = list(words.prompt(TEMPLATES["passage"], None, query, shown, order=False))
        prompts += [prompt] * rollouts
    return prompts


@torch.no_grad()
def by_generate(lm: Any, prompts: list[list[int]], tokens: int) -> int:
    """Tokens written."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    out = lm.generate(
        ids, attention_mask=mask, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, pad_token_id=0,
        min_new_tokens=tokens, max_new_tokens=tokens,
    )  # fmt: skip
    return int((out.shape[1] - longest) * len(prompts))


def by_engine(lm: Any, prompts: list[list[int]], tokens: int) -> int:
    """Tokens written."""
    texts = write_texts(
        lm, prompts, most=tokens, ends=(), sampling=Sampling(1.0), seeds=range(len(prompts)), slots=65536
    )
    return sum(map(len, texts))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.text_rollouts", description=__doc__)
    parser.add_argument("--queries", type=int, default=2)
    parser.add_argument("--candidates", type=int, default=10)
    parser.add_argument("--rollouts", type=int, default=16, help="of each query: GRPO's group")
    parser.add_argument("--tokens", type=int, default=64, help="of each text")
    options = parser.parse_args()
    torch.set_num_threads(1)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder(MODELS))
    prompts = prompts_of(tokenizer, options.queries, options.candidates, options.rollouts)
    lm = smollm2().lm
    print(
        f"{options.queries} prompts of up to {max(map(len, prompts))} tokens, {options.rollouts} rollouts each, "
        f"{options.tokens} tokens a text; {lm.dtype}\n\n| | rollouts/s | tokens/s |\n|---|---:|---:|"
    )
    for name, write in (("`generate`", by_generate), ("the engine", by_engine)):
        began = time.process_time()
        written = write(lm, prompts, options.tokens)
        seconds = time.process_time() - began
        print(f"| {name} | {len(prompts) / seconds:.2f} | {written / seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
