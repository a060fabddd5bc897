"""Let a language model think before it eliminates: `python examples/11_reasoning.py FOLDER [bound]`.

FOLDER is a decoder-only language model (a checkpoint folder, a GGUF file or a hub name); `bound` is the most tokens of
a thought (48). Each round is printed when it is decided: the thought, then who goes. A second ranking asks in the words
of the R1-Ranker paper, whose answers are written out.
"""

import sys

import rranker

QUERY = "how do bees find flowers?"
PASSAGES = [
    "Bees dance to show where flowers are.",
    "The stock exchange opened higher on Tuesday.",
    "Flowers attract bees with colour and scent.",
]


def trace(ranker: rranker.Ranker) -> None:
    """One query, streamed."""
    with ranker.stream(QUERY, PASSAGES, template="passage", method="iranker") as rounds:
        for number, played in enumerate(rounds, start=1):
            (gone,) = played.excluded
            print(f"round {number}: {' '.join((played.thought or '').split())}")
            print(f"  -> out: {PASSAGES[gone]}")
    print(f"best: {rounds.ranking[0].text}")
    for repair in rounds.ranking.repairs:
        print(f"  repaired: {repair.message}")
    stats = rounds.ranking.stats
    print(f"{stats.tokens_generated} tokens written in {stats.forward_passes} passes")


def main(folder: str, bound: int = 48) -> None:
    for prompts in ("text", "r1_ranker"):
        print(f"\n{prompts}\n")
        with rranker.Ranker(
            folder, reasoning=True, max_think_tokens=bound, format=prompts, kv_cache_tokens=8000
        ) as ranker:
            trace(ranker)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"which model? {__doc__.splitlines()[0]}")
    main(sys.argv[1], *map(int, sys.argv[2:]))
