"""What written answers earn before a training and after it, each one exclusion from a list of any size.

    python -m bench.text_policy runs/smollm2-warm/final runs/smollm2-text/final --tasks router-balance rec-movie

Greedy texts on the test split, in the prompts of the paper: 1 where a worse candidate was named, 0 where a best one
was, -0.5 where nobody was. *Chance* is what a valid name drawn blindly earns. Intervals are 95 %, bootstrapped by
query, the difference paired.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch

from bench.paired import by_query_of, difference, some
from rranker import data
from rranker.data import BENCHMARK_TASKS, RankingExample
from rranker.engine.generation import Sampling
from rranker.engine.hardware import best_device, best_dtype
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.metrics import bootstrap_interval
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.r1_ranker import R1RankerFormat
from rranker.training.grpo.data import one_of_its_sublists
from rranker.training.grpo.text import answer_rewards, prompt_ids
from rranker.training.policy.texts import write_texts


def earned(folder: str, cases: Sequence[RankingExample], tokens: int) -> tuple[list[float], list[bool]]:
    """What each case's greedy answer of at most so many tokens earns, and whether it named nobody."""
    checkpoint = read_checkpoint(folder, best_dtype(best_device()))
    encoder = TextEncoder(checkpoint.tokenizer)
    prompts = R1RankerFormat(encoder)
    texts = write_texts(
        checkpoint.lm.to(best_device()),
        [prompt_ids(prompts, case, "iranker") for case in cases],
        most=tokens,
        ends=[checkpoint.tokenizer.eos_token_id],
        sampling=Sampling(),
        seeds=range(len(cases)),
        slots=65536,
    )
    return answer_rewards(cases, [encoder.decode(tuple(text)) for text in texts], "iranker", 20)


def shown(values: dict[str, float]) -> str:
    """Mean and interval."""
    low, high = bootstrap_interval(values)
    return f"{np.mean(list(values.values())):.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.text_policy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", help="checkpoint folder")
    parser.add_argument("after", help="checkpoint folder")
    parser.add_argument(
        "--tasks", nargs="+", choices=BENCHMARK_TASKS, default=["router-balance", "rec-movie"]
    )
    parser.add_argument("--limit", type=int, default=100, help="queries a task, at most")
    parser.add_argument("--tokens", type=int, default=48, help="of a text, at most")
    options = parser.parse_args()
    print("| task | queries | chance | before | read | after | read | difference |\n" + "|---" * 8 + "|")
    for task in options.tasks:
        lists = [
            case
            for case in some(data.task_cases(task, "test"), options.limit)
            if len(set(case.relevance)) > 1
        ]
        cases = [one_of_its_sublists(case, number, 0) for number, case in enumerate(lists)]
        worse = [np.mean(np.asarray(case.relevance) < max(case.relevance)) for case in cases]
        cells, values = list[str](), list[dict[str, float]]()
        for folder in (options.before, options.after):
            with torch.no_grad():
                rewards, invalid = earned(folder, cases, options.tokens)
            values.append(by_query_of(cases, rewards))
            cells += [shown(values[-1]), f"{1 - np.mean(invalid):.0%}"]
        mean, (low, high) = difference(values[1], values[0])
        gap = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
        print(
            f"| {task} | {len(values[0])} | {np.mean(worse):.3f} | {' | '.join(cells)} | {gap} |", flush=True
        )


if __name__ == "__main__":
    main()
