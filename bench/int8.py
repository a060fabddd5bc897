"""What dynamic int8 products would cost in rankings: `python -m bench.int8 [--model FOLDER] [--method dranker]`.

The linear layers of the inner model are quantised by torch (int8 weights, activations scaled when they come); every
pair of candidates is compared with float32's ranking. It is why `dtype="int8"` is refused: docs/loading.md.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from torch import nn

from rranker import Ranker
from rranker.data import RankingExample
from rranker.data.tasks import task_cases

TASKS = ("passage-9", "rec-movie")


def int8(folder: str | None, *, by_channel: bool) -> Ranker:
    """A Ranker whose model's linear layers multiply in int8."""
    ranker = Ranker(folder, dtype="float32")
    kind = (
        torch.ao.quantization.per_channel_dynamic_qconfig
        if by_channel
        else torch.ao.quantization.default_dynamic_qconfig
    )
    torch.ao.quantization.quantize_dynamic(ranker.model.lm.base_model, {nn.Linear: kind}, inplace=True)  # type: ignore[no-untyped-call]
    return ranker


def flipped(orders: Sequence[Sequence[int]], reference: Sequence[Sequence[int]]) -> float:
    """The share of pairs of candidates that stand the other way round."""
    pairs = wrong = 0
    for order, expected in zip(orders, reference, strict=True):
        place = {candidate: i for i, candidate in enumerate(expected)}
        found = [place[first] > place[second] for first, second in combinations(order, 2)]
        pairs, wrong = pairs + len(found), wrong + sum(found)
    return wrong / pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a checkpoint; by default the bundled model")
    parser.add_argument("--method", default="iranker")
    parser.add_argument("--queries", type=int, default=40, help="of each task")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # torch's, of what it means to drop
    cases: dict[str, list[RankingExample]] = {}
    for task in TASKS:
        found = task_cases(task)
        cases[task] = found[:: max(1, len(found) // arguments.queries)][: arguments.queries]
    kinds: dict[str, Callable[[], Ranker]] = {
        "float32": lambda: Ranker(arguments.model, dtype="float32"),
        "bfloat16": lambda: Ranker(arguments.model, dtype="bfloat16"),
        "int8": lambda: int8(arguments.model, by_channel=False),
        "int8, by channel": lambda: int8(arguments.model, by_channel=True),
    }
    reference: dict[str, list[list[int]]] = {}
    print("| type | task | pairs reversed | seconds a query |\n|---|---|---:|---:|")
    for kind, load in kinds.items():
        with load() as ranker:
            for task, examples in cases.items():
                began = time.perf_counter()
                orders = [ranker.rank(e.query, e.candidates, method=arguments.method).order for e in examples]
                seconds = (time.perf_counter() - began) / len(examples)
                share = flipped(orders, reference.setdefault(task, orders))
                print(f"| {kind} | {task} | {share:.1%} | {seconds:.3f} |", flush=True)


if __name__ == "__main__":
    main()
