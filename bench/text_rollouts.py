"""What a step of GRPO's text policy is made of, as TRL does it and as the engine does: `python -m bench.text_rollouts`.

SmolLM2-135M-Instruct, the paper's prompts about entries of the glossary, all texts of full length, drawn at temperature
1. `generate` gets what TRL hands it: every prompt as often as it has rollouts, padded on the left, in one batch. Then
half a group's texts are scored with gradients, of adapters of rank 16: in such a batch, and with its prompt encoded
once. All in one run, on one thread; seconds are the process's own.
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
from rranker.training.policy.adapters import with_adapters
from rranker.training.policy.texts import write_texts
from rranker.training.policy.token_logprobs import answer_scored


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
    ids, mask = padded(prompts, [[]] * len(prompts))
    out = lm.generate(
        ids, attention_mask=mask, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, pad_token_id=0,
        min_new_tokens=tokens, max_new_tokens=tokens,
    )  # fmt: skip
    return int((out.shape[1] - ids.shape[1]) * len(prompts))


def by_engine(lm: Any, prompts: list[list[int]], tokens: int) -> int:
    """Tokens written."""
    texts = write_texts(
        lm, prompts, most=tokens, ends=(), sampling=Sampling(1.0), seeds=range(len(prompts)), slots=65536
    )
    return sum(map(len, texts))


def padded(prompts: list[list[int]], texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of TRL's batch: prompts padded on the left, texts of one length behind them."""
    longest = max(map(len, prompts))
    rows = [[0] * (longest - len(p)) + p + t for p, t in zip(prompts, texts, strict=True)]
    mask = [[0] * (longest - len(p)) + [1] * (len(p) + len(t)) for p, t in zip(prompts, texts, strict=True)]
    return torch.tensor(rows), torch.tensor(mask)


def scored(model: Any, ids: torch.Tensor, mask: torch.Tensor, tokens: int) -> torch.Tensor:
    """Log-probabilities of the texts; their mean's gradients are computed."""
    logps: torch.Tensor = model(input_ids=ids, attention_mask=mask, scored=tokens)[0]
    torch.autograd.backward(logps.mean())
    return logps.detach()


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
    generator, prompts = torch.Generator().manual_seed(0), prompts[: options.rollouts // 2]
    texts = torch.randint(100, 40000, (len(prompts), options.tokens), generator=generator).tolist()
    ids, mask = padded(prompts, texts)
    model, found = with_adapters(lm, 16), list[torch.Tensor]()
    print("\n| scored with gradients | rollouts/s | mean difference, nats |\n|---|---:|---:|")
    for name, shared in (("in TRL's batch", False), ("each prompt encoded once", True)):
        answer_scored(model.get_base_model(), 1.0, shared=shared)
        began = time.process_time()
        found.append(scored(model, ids, mask, options.tokens))
        seconds = time.process_time() - began
        apart = float((found[-1] - found[0]).abs().mean())
        print(f"| {name} | {len(prompts) / seconds:.2f} | {apart:.3f} |", flush=True)


if __name__ == "__main__":
    main()
