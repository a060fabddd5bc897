"""The same prompts in plain loops over transformers and in the engine: `python -m bench.side_by_side`.

SmolLM2-135M-Instruct in float32, all rounds of elimination; survivors keep their order, so every column sees the same
prompts while it excludes the same candidates. The prefix cache is transformers' own, cropped to what two prompts have
in common; `relayout` is what `Ranker` does by default, whose later prompts differ. One thread; seconds are
the process's own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from bench.pretrained_models import smollm2_folder
from bench.text_prompts import segments, whole
from bench.workloads import MODELS, Elimination, Subject, losers
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.methods import Elimination as Rules
from rranker.methods import Greedy, Relayout
from rranker.prompts import Segments
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.text import TextFormat


@dataclass(frozen=True)
class Result:
    """Of all queries: seconds, tokens that were encoded, and who went, in order."""

    seconds: float
    tokens: int
    gone: list[list[int]]


class Naive:
    """The whole prompt, every round."""

    def __init__(self, lm: Any) -> None:
        self._lm, self.tokens = lm, 0

    def logits(self, prompt: list[int]) -> torch.Tensor:
        """[V] behind a prompt."""
        self.tokens += len(prompt)
        logits: torch.Tensor = self._lm(torch.tensor([prompt]), use_cache=False, logits_to_keep=1).logits[
            0, -1
        ]
        return logits


class Cropped:
    """transformers' cache, cropped to what a prompt has in common with the one before."""

    def __init__(self, lm: Any) -> None:
        from transformers import DynamicCache

        self._lm, self.tokens, self._cache, self._before = lm, 0, DynamicCache(), list[int]()

    def logits(self, prompt: list[int]) -> torch.Tensor:
        """[V] behind a prompt."""
        common = next((i for i, (a, b) in enumerate(zip(self._before, prompt, strict=False)) if a != b), None)
        kept = min(min(len(self._before), len(prompt)) if common is None else common, len(prompt) - 1)
        if kept < len(self._before):
            self._cache.crop(kept - len(self._before))  # by how many tokens
        self.tokens += len(prompt) - kept
        output = self._lm(torch.tensor([prompt[kept:]]), past_key_values=self._cache, logits_to_keep=1)
        self._before = prompt
        logits: torch.Tensor = output.logits[0, -1]
        return logits


@torch.inference_mode()
def loop(scheme: Callable[[], Naive | Cropped], prompts: list[Segments]) -> Result:
    """Round after round, query after query."""
    tokens, gone = 0, list[list[int]]()
    began = time.process_time()
    for prompt in prompts:
        model, alive, out = scheme(), list(range(len(prompt.candidates))), list[int]()
        while len(alive) > 1:
            logits = model.logits(whole(prompt, alive))[[prompt.identifiers[place] for place in alive]]
            out.append(alive.pop(int(logits.argmax())))
        tokens += model.tokens
        gone.append(out)
    return Result(time.process_time() - began, tokens, gone)


def ours(subject: Subject, prompts: list[Segments], relayout: Relayout, together: bool) -> Result:
    """The engine, query after query or all of them `together`."""
    engine = Elimination(subject, "causal").engine
    requests = [
        EngineRequest(p, Greedy(Rules(len(p.candidates)), relayout=relayout, nested=True)) for p in prompts
    ]
    began = time.process_time()
    runs: Iterator[Any] = iter([requests] if together else [[request] for request in requests])
    handles = {id(handle.request): handle for run in runs for handle in engine.run(run)}
    seconds = time.process_time() - began
    done = [handles[id(request)] for request in requests]
    return Result(seconds, sum(handle.tokens_encoded for handle in done), [losers(handle) for handle in done])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=4)
    parser.add_argument("--candidates", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = smollm2_folder(MODELS)
    lm = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().requires_grad_(False)
    words = TextFormat(TextEncoder(AutoTokenizer.from_pretrained(folder)))
    prompts = segments(words, "exclude", options.queries, options.candidates)
    subject = Subject("smollm2", lm, IdentifierReadout(lm), 0)
    columns: dict[str, Callable[[], Result]] = {
        "transformers, whole prompts": lambda: loop(lambda: Naive(lm), prompts),
        "transformers, cropped prefix cache": lambda: loop(lambda: Cropped(lm), prompts),
        "rranker, one query at a time": lambda: ours(subject, prompts, "keep", together=False),
        "rranker, together": lambda: ours(subject, prompts, "keep", together=True),
        "rranker, together, relayout": lambda: ours(subject, prompts, "best_first", together=True),
    }
    print("| | seconds | tokens encoded | queries ranked as by whole prompts |\n|---|---:|---:|---:|")
    expected: Result | None = None
    for name, run in columns.items():
        found = run()
        expected = expected or found
        same = sum(a == b for a, b in zip(found.gone, expected.gone, strict=True))
        print(f"| {name} | {found.seconds:.2f} | {found.tokens:,} | {same} of {len(prompts)} |", flush=True)


if __name__ == "__main__":
    main()
