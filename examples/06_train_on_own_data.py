"""Train the bundled model on data of your own, by reward: `python examples/06_train_on_own_data.py [FOLDER]`.

Needs `pip install ".[train]"`; takes less than a minute on one core. The command line (`python -m
training.grpo`) trains on the tasks of `rranker.data`; data of your own go in from Python, as cases: a
query, its candidates, and how good each of them is. The made-up ones come from a shop whose customers buy
second-hand, which the bundled model cannot know. What is trained ends in FOLDER, with its curves in
`report.html`, and `Ranker("FOLDER/final")` loads it; without a FOLDER it goes to a temporary one, and is
gone afterwards.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import rranker
from rranker.data import RankingExample
from rranker.training.grpo import parse, train

THINGS = [
    "tent",
    "lamp",
    "kettle",
    "bicycle",
    "chess set",
    "garden hose",
    "raincoat",
    "violin",
    "globe",
    "ladder",
]
COLOURS = ["red", "blue", "green", "black", "white", "yellow"]
BUNDLED = Path(rranker.__file__).parent / "assets" / "default"


def make_cases(count: int, seed: int) -> list[RankingExample]:
    """Searches for a thing with five offers; the only second-hand one is the one that was bought."""
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(count):
        thing, bought = rng.choice(THINGS), int(rng.integers(5))
        states = ["second-hand" if place == bought else "brand new" for place in range(5)]
        offers = [
            f"{colour} {thing}, {state}"
            for colour, state in zip(rng.permutation(COLOURS), states, strict=False)
        ]
        bought_or_not = [float(place == bought) for place in range(5)]
        cases.append(
            RankingExample(
                "passage", f"buy a {thing}", None, offers, bought_or_not, f"search-{seed}-{number}"
            )
        )
    return cases


def mean_reciprocal_rank(model: Path, cases: list[RankingExample]) -> float:
    """How high the offer that was bought stands: 1 when always first, 0.457 by chance among five."""
    with rranker.Ranker(model, dtype="float32") as ranker:
        queries = [{"query": c.query, "candidates": c.candidates, "task": c.task} for c in cases]
        rankings = ranker.rank_batch(queries, progress=False)
    ranks = [r.order.index(c.relevance.index(1.0)) + 1 for r, c in zip(rankings, cases, strict=True)]
    return float(np.mean([1 / rank for rank in ranks]))


def main(out: Path) -> None:
    """Prints the mean reciprocal rank on searches that were held back, before and after."""
    training = {case.id: case for case in make_cases(200, seed=0)}
    held_back = make_cases(60, seed=1)
    settings = {
        "model": BUNDLED,
        "output_dir": out,
        "method": "iranker",  # episodes of elimination: four decisions a list, each with a reward of its own
        "reward": "stepwise",
        "max_steps": 20,
        "per_device_train_batch_size": 64,  # 8 searches a step, 8 sampled rankings of each
        "num_generations": 8,
        "learning_rate": 2e-4,
        "eval_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": not torch.cuda.is_available(),
        "logging_steps": 5,
        "disable_tqdm": True,
    }
    arguments, config = parse(
        [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    )
    train(arguments, config, training, evals={})
    before, after = (mean_reciprocal_rank(model, held_back) for model in (BUNDLED, out / "final"))
    print(f"MRR on {len(held_back)} searches that were held back: {before:.3f} before, {after:.3f} after")
    with rranker.Ranker(out / "final", dtype="float32") as ranker:
        print(ranker.rank(held_back[0].query, held_back[0].candidates, template="passage"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
