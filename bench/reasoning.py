"""Thoughts written by the engine against a loop over transformers' `generate`: `python -m bench.reasoning`.

Eight queries of ten candidates, thoughts of 64 tokens, both over the same prompts in one run. The loop writes one
thought after another, without the verdicts that the engine reads besides; of its thoughts some are sampled, evenly.
One thread; seconds are the process's own, so that what else runs on the machine does not count.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

from bench.text_prompts import segments, whole
from bench.workloads import SUBJECTS, Elimination, Subject
from rranker.engine.generation import Stretch, Thought, Writing
from rranker.engine.requests import EngineRequest, Handle
from rranker.methods import Greedy, Selection
from rranker.prompts import TEMPLATES
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.thinking import ThinkingFormat


class Prompts:
    """The problems as segments, in the words of `Ranker(reasoning=True)`, and how a thought ends."""

    def __init__(self, tokenizer: Any, queries: int, n: int, tokens: int) -> None:
        words = ThinkingFormat(TextEncoder(tokenizer))
        self.segments = segments(words, "select", queries, n)
        ends = words.ends(TEMPLATES["passage"], "select")
        # Every thought has its full length, in both columns: no end of a turn is heeded.
        self.stretch = Stretch(tokens, None, ends.closed, ends.unclosed)


def ours(subject: Subject, prompts: Prompts, rounds: int, drafts: bool) -> tuple[float, list[Handle]]:
    """Seconds for all queries together, and their handles."""
    engine = Elimination(subject, "causal").engine
    requests = [
        EngineRequest(
            segments,
            Greedy(Selection(len(segments.candidates), top_k=rounds), nested=True),
            thought=Thought(Writing((prompts.stretch,), drafts=drafts)),
        )
        for segments in prompts.segments
    ]
    began = time.process_time()
    handles = list(engine.run(requests))
    seconds = time.process_time() - began
    for handle in handles:
        if handle.error is not None:
            raise handle.error
    return seconds, handles


def loop(subject: Subject, handles: list[Handle], tokens: int, samples: int) -> float:
    """Seconds a thought, by `generate` over whole prompts of the same rounds."""
    prompts = []
    for handle in handles:
        method, asked = handle.question.method, handle.question.segments
        assert isinstance(method, Greedy)
        prompts += [whole(asked, decision.asked) for decision in method.decisions]
    chosen = prompts[:: max(1, len(prompts) // samples)][:samples]
    began = time.process_time()
    for prompt in chosen:
        subject.lm.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            do_sample=False,
            pad_token_id=0,
        )
    return (time.process_time() - began) / len(chosen)


def table(subject: Subject, prompts: Prompts, rounds: int, samples: int) -> str:
    """Markdown: tokens a second, and how many drafts held."""
    tokens, lines = prompts.stretch.most, list[str]()
    lines += ["| | tokens/s | against the loop | drafted tokens that held |", "|---|---:|---:|---:|"]
    runs = {
        name: ours(subject, prompts, rounds, drafts) for name, drafts in (("plain", False), ("drafts", True))
    }
    base = tokens / loop(subject, runs["plain"][1], tokens, samples)
    lines.append(f"| `generate`, one thought after another | {base:.2f} | | |")
    for name, (seconds, handles) in runs.items():
        speed = sum(handle.written for handle in handles) / seconds
        right, wrong = (sum(handle.guesses[i] for handle in handles) for i in (0, 1))
        held = f"{right} of {right + wrong}" if right + wrong else ""
        lines.append(f"| rranker, {name} | {speed:.2f} | {speed / base:.1f}× | {held} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["qwen2-0.5b", "smollm2"], choices=SUBJECTS)
    parser.add_argument("--queries", type=int, default=8)
    parser.add_argument("--candidates", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=64, help="of a thought")
    parser.add_argument("--rounds", type=int, default=2, help="of each query")
    parser.add_argument("--samples", type=int, default=4, help="thoughts that the loop writes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    from transformers import AutoTokenizer

    from bench.pretrained_models import smollm2_folder
    from bench.workloads import MODELS

    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder(MODELS))
    prompts = Prompts(tokenizer, options.queries, options.candidates, options.tokens)
    longest = max(len(s.prefix) + sum(map(len, s.candidates)) for s in prompts.segments)
    print(f"{options.queries} queries, prompts of up to {longest} tokens, {options.rounds} rounds each")
    for name in options.models:
        subject = SUBJECTS[name]()
        print(
            f"\n{name}, {subject.lm.dtype}\n\n{table(subject, prompts, options.rounds, options.samples)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
