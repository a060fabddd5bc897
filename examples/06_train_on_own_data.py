"""Train the bundled model on data of your own: `python examples/06_train_on_own_data.py [FOLDER] [options]`.

Writes 200 rows into FOLDER/searches.jsonl, then does what

    python -m training.sft --data FOLDER/searches.jsonl --out FOLDER

does: a tenth of the queries is held out, the bundled model learns from the rest, and the last line says how much higher
the best candidates of the held-out rows stand. Options are passed on, for instance `--passes 20`. `FOLDER/final` is
the trained model; without a FOLDER all goes to a temporary one, and is gone afterwards.

The rows come from a made-up shop whose customers buy second-hand, which the bundled model cannot know.
`python -m training.grpo --data FOLDER/searches.jsonl --model FOLDER/final` goes on from there by reward (it needs
`pip install ".[train]"`). Takes a minute or two on two cores.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

import rranker
from rranker.training.sft.run import main as train

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
BUYERS = ["a beginner", "my daughter", "the office", "a small flat", "the summer house", "a school"]
COLOURS = ["red", "blue", "green", "black", "white", "yellow"]
NEW = ["brand new", "new, in its box", "factory sealed", "never opened"]
USED = ["second-hand", "used, a few scratches", "second-hand, fully working", "used for one summer"]


def write_searches(path: Path, count: int = 200) -> None:
    """A search a row, as one JSON object: five offers, of which the only used one was bought."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            thing, bought = rng.choice(THINGS), int(rng.integers(5))
            states = [str(rng.choice(USED if place == bought else NEW)) for place in range(5)]
            row = {
                "id": f"search-{number}",
                "query": f"{thing} for {rng.choice(BUYERS)}",
                "candidates": [
                    f"{colour} {thing}, {state}"
                    for colour, state in zip(rng.permutation(COLOURS), states, strict=False)
                ],
                "relevance": [int(place == bought) for place in range(5)],
            }
            file.write(json.dumps(row) + "\n")


def main(folder: Path, options: list[str]) -> None:
    """Trains, which prints the mean reciprocal rank before and after, and ranks one more search."""
    folder.mkdir(parents=True, exist_ok=True)
    write_searches(folder / "searches.jsonl")
    train(["--data", str(folder / "searches.jsonl"), "--out", str(folder), *options])
    with rranker.Ranker(folder / "final", dtype="float32") as ranker:
        offers = ["red kite, brand new", "blue kite, second-hand", "green kite, new, in its box"]
        print(ranker.rank("kite for my son", offers, template="passage"))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments and not arguments[0].startswith("--"):
        main(Path(arguments[0]), arguments[1:])
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary), arguments)
