"""The same prompts in plain loops, in llama.cpp and in the engine: `python -m bench.side_by_side`.

SmolLM2-135M-Instruct, all rounds of elimination; survivors keep their order, so every row sees the same prompts while
it excludes the same candidates. transformers' prefix cache is its own, cropped to what two prompts have in common;
llama.cpp's is that of llama-cpp-python, over the GGUF file as it is published and over one of the same weights in
float32. Below stands what a user would call: other prompts (`relayout`), kept keys, the default method for passages.
One thread; seconds are the process's own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from bench.llama_cpp_peer import LlamaCpp, float32_gguf, llama_cpp_is_there
from bench.pretrained_models import smollm2_folder, smollm2_gguf
from bench.text_prompts import alone, segments, whole
from bench.workloads import MODELS, Elimination, Subject, losers
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest, Reuse
from rranker.methods import Elimination as Rules
from rranker.methods import Episode, Greedy, Relayout
from rranker.methods.likelihood import QueryLikelihood
from rranker.prompts import Segments
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.text import TextFormat


@dataclass(frozen=True)
class Result:
    """Of all queries: seconds, tokens that were encoded, and who went, in order."""

    seconds: float
    tokens: int
    gone: list[list[int]]


class Scheme(Protocol):
    """What a loop asks, prompt by prompt; `tokens` were encoded so far."""

    tokens: int

    def logits(self, prompt: list[int]) -> torch.Tensor:
        """[V] behind a prompt."""
        ...


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
def loop(scheme: Callable[[], Scheme], prompts: list[Segments]) -> Result:
    """Round after round, query after query."""
    tokens, gone = 0, list[list[int]]()
    began = time.process_time()
    for prompt in prompts:
        model, alive, out = scheme(), list(range(len(prompt.candidates))), list[int]()
        tokens -= model.tokens  # who is asked about all queries has encoded some already
        while len(alive) > 1:
            logits = model.logits(whole(prompt, alive))[[prompt.identifiers[place] for place in alive]]
            out.append(alive.pop(int(logits.argmax())))
        tokens += model.tokens
        gone.append(out)
    return Result(time.process_time() - began, tokens, gone)


def ours(
    subject: Subject,
    prompts: list[Segments],
    *,
    together: bool = True,
    relayout: Relayout = "keep",
    reuse: Reuse = "exact",
    method: type[Episode] = Rules,
) -> Result:
    """The engine, query after query or all of them `together`."""
    engine, exact = Elimination(subject, "causal").engine, reuse == "exact"
    requests = [
        EngineRequest(
            prompt, Greedy(method(len(prompt.candidates)), relayout=relayout, nested=exact), reuse=reuse
        )
        for prompt in prompts
    ]
    began = time.process_time()
    runs: Iterator[Any] = iter([requests] if together else [[request] for request in requests])
    handles = {id(handle.request): handle for run in runs for handle in engine.run(run)}
    seconds = time.process_time() - began
    done = [handles[id(request)] for request in requests]
    gone = [losers(handle) for handle in done] if method is Rules else []
    return Result(seconds, sum(handle.tokens_encoded for handle in done), gone)


def rows(folder: Path, queries: int, candidates: int) -> Iterator[tuple[str, Callable[[], Result]]]:
    """The rows by name, the one that all are compared with first."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    encoder = TextEncoder(AutoTokenizer.from_pretrained(folder))
    prompts = segments(TextFormat(encoder), "exclude", queries, candidates)
    asked = alone(encoder, queries, candidates)

    def lm_in(dtype: torch.dtype) -> Any:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval().requires_grad_(False)

    lm = lm_in(torch.float32)
    yield "transformers, float32, whole prompts", partial(loop, partial(Naive, lm), prompts)
    yield "transformers, float32, cropped prefix cache", partial(loop, partial(Cropped, lm), prompts)
    if llama_cpp_is_there():
        files = {"float32": float32_gguf(smollm2_gguf(), MODELS), "Q4_1, as published": smollm2_gguf()}
        for name, file in files.items():
            peer = LlamaCpp(file, exact=name == "float32")
            yield f"llama.cpp, prompt cache, {name}", partial(loop, partial(_itself, peer), prompts)
    else:
        print("(llama.cpp is left out: pip install llama-cpp-python)")
    for dtype in (torch.float32, torch.bfloat16):
        loaded = lm_in(dtype)
        if dtype == torch.bfloat16:
            yield (
                "transformers, bfloat16, cropped prefix cache",
                partial(loop, partial(Cropped, loaded), prompts),
            )
        subject = Subject("smollm2", loaded, IdentifierReadout(loaded), 0)
        run, of = partial(ours, subject, prompts), str(dtype).removeprefix("torch.")
        yield f"rranker, {of}, one query at a time", partial(run, together=False)
        yield f"rranker, {of}, together", run
        yield f"rranker, {of}, together, `relayout`", partial(run, relayout="best_first")
        yield f'rranker, {of}, together, `reuse="keep"`', partial(run, reuse="keep")
        yield (
            f"rranker, {of}, together, `query_likelihood`",
            partial(ours, subject, asked, method=QueryLikelihood),
        )


def _itself(scheme: Scheme) -> Scheme:
    return scheme


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=4)
    parser.add_argument("--candidates", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| | seconds | tokens encoded | queries ranked as by whole prompts |\n|---|---:|---:|---:|")
    expected: Result | None = None
    for name, run in rows(smollm2_folder(MODELS), options.queries, options.candidates):
        found = run()
        expected = expected or found
        same = sum(a == b for a, b in zip(found.gone, expected.gone, strict=False))
        told = f"{same} of {options.queries}" if found.gone else "another question"
        print(f"| {name} | {found.seconds:.2f} | {found.tokens:,} | {told} |", flush=True)


if __name__ == "__main__":
    main()
