"""See each round when it is decided, and rank from async code: `python examples/09_streaming.py`.

A stream yields the very rounds of `rank`, as they come, and then has the ranking. `stream`, `rank` and `rank_batch`
have async twins; calls at the same time share the model's passes, and what nobody waits for any more is given up.
"""

import asyncio

import rranker

QUERY = "how do bees tell each other where flowers are?"
PASSAGES = [
    "To move a hive, close it at night when all bees are inside.",
    "A forager dances in the hive: the angle of its run gives the direction of the flowers.",
    "Honey is made from nectar, thickened by worker bees in the comb.",
    "Other bees follow the dancer in the dark and learn which way to fly.",
]


async def many(ranker: rranker.Ranker) -> None:
    """Three queries at once, and a stream that is left early."""
    queries = ["who dances in the hive?", "what is honey made of?", "when are bees moved?"]
    rankings = await asyncio.gather(*(ranker.arank(query, PASSAGES) for query in queries))
    for query, ranking in zip(queries, rankings, strict=True):
        print(f"{query} -> {ranking[0].text}")

    async with ranker.astream(QUERY, PASSAGES) as stream:
        async for played in stream:
            print(f"The first to go is {played.excluded[0]}; the rest is not asked.")
            break


def main() -> None:
    """Prints the rounds as they come, then what is best."""
    with rranker.Ranker() as ranker:
        stream = ranker.stream(QUERY, PASSAGES)
        for number, played in enumerate(stream, start=1):
            gone = played.excluded[0]
            print(f"round {number} of {len(played.alive)}: {PASSAGES[gone]!r} goes")
        print(f"best: {stream.ranking[0].text}\n")
        asyncio.run(many(ranker))


if __name__ == "__main__":
    main()
