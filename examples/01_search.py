"""Re-rank the passages that a search engine found: `python examples/01_search.py`.

Candidates are dicts: `text` is what the model reads, the id comes back with the ranking, and so does
everything else. `top_k` says that only the first places matter, which saves rounds.
"""

import rranker

QUERY = "how do bees tell each other where flowers are?"
PASSAGES = [
    {"docid": "hive-3", "bm25": 9.1, "text": "To move a hive, close it at night when all bees are inside."},
    {
        "docid": "dance-1",
        "bm25": 8.7,
        "text": "A forager that finds flowers returns to the hive and dances: the angle of its run gives the direction "
        "of the flowers relative to the sun, and its duration the distance.",
    },
    {
        "docid": "honey-7",
        "bm25": 6.2,
        "text": "Honey is made from nectar, thickened by worker bees in the comb.",
    },
    {
        "docid": "dance-4",
        "bm25": 5.8,
        "text": "Other bees follow the dancer in the dark and learn which way to fly to the flowers and how far.",
    },
    {
        "docid": "stock-2",
        "bm25": 0.4,
        "text": "Shipping shares fell for two days before the exchange opened higher.",
    },
]


def main() -> None:
    """Prints the ranking, what each place was before, and what the rounds said."""
    ranking = rranker.rank(QUERY, PASSAGES, template="passage")
    print(ranking)

    print("\nFrom the first stage to here:")
    for item in ranking:
        print(
            f"  {item.id:8}  BM25 {item.metadata['bm25']:4.1f} at place {item.index + 1}  ->  place {item.rank}"
        )

    print("\nRound by round, the worst of those left goes:")
    for number, played in enumerate(ranking.rounds, start=1):
        (gone,) = played.excluded
        chance = played.probabilities[played.alive.index(gone)]
        print(f"  round {number}: {PASSAGES[gone]['docid']} goes (named with probability {chance:.2f})")

    best = rranker.rank(QUERY, PASSAGES, template="passage", top_k=1)
    print(
        f"\nWith top_k=1 {len(best.rounds)} rounds are played, not {len(ranking.rounds)}; first is {best[0].id}."
    )


if __name__ == "__main__":
    main()
