"""How often a ranking changes with what is computed beside it, and with the dtype: `python -m bench.lossless`.

300 queries of the bundled model, each ranked sequentially and alone, then speculated, in a batch of 32, and both; in
float32 and in bfloat16.
"""

from __future__ import annotations

import numpy as np
import torch

from rranker import Ranker, Ranking

QUERIES, BATCH = 300, 32
_TEXT = (
    "river home quick old museum guide paper film war love space robot history garden music winter engine doctor "
    "market bread island teacher train storm detective bridge summer letter dragon school"
)


def items(queries: int) -> list[tuple[str, list[str]]]:
    """Questions of 4 to 10 words, over 5 to 25 candidates of 3 to 24."""
    rng, words = np.random.default_rng(0), _TEXT.split()

    def text(fewest: int, most: int) -> str:
        return " ".join(rng.choice(words, size=int(rng.integers(fewest, most + 1))))

    return [(text(4, 10), [text(3, 24) for _ in range(int(rng.integers(5, 26)))]) for _ in range(queries)]


def rankings(dtype: str, *, speculate: bool, batch: int, queries: int = QUERIES) -> list[Ranking]:
    asked = items(queries)
    with Ranker(dtype=dtype, speculate=speculate) as ranker:
        return [
            ranking
            for begin in range(0, queries, batch)
            for ranking in ranker.rank_batch(asked[begin : begin + batch], progress=False)
        ]


def changed(one: list[Ranking], other: list[Ranking]) -> str:
    pairs = list(zip(one, other, strict=True))
    orders = sum(a.order != b.order for a, b in pairs)
    return f"{orders:3} of {QUERIES} orders, {sum(a.order[0] != b.order[0] for a, b in pairs)} of their first places"


def main() -> None:
    torch.set_num_threads(1)
    exact = None
    for dtype in ("float32", "bfloat16"):
        alone = rankings(dtype, speculate=False, batch=1)
        for name, speculate, batch in (
            ("speculated, alone", True, 1),
            (f"sequential, in a batch of {BATCH}", False, BATCH),
            (f"speculated, in a batch of {BATCH}", True, BATCH),
        ):
            found = rankings(dtype, speculate=speculate, batch=batch)
            print(f"{dtype:9} {name:33} against sequential, alone: {changed(found, alone)}", flush=True)
        if exact is None:
            exact = alone
        else:
            print(f"{dtype:9} {'sequential, alone':33} against float32: {changed(alone, exact)}")


if __name__ == "__main__":
    main()
