"""Recommend the next item from a history, for several users at once: `python examples/02_recommendation.py`.

A query may be a list of titles, oldest first. `rank_batch` ranks many users in the same forward passes; an
error belongs to its user alone when `on_error="return"`.
"""

import rranker

CATALOGUE = [
    "Sleepless in Seattle (1993)",
    "Predator (1987)",
    "Lion King, The (1994)",
    "Clueless (1995)",
    "Total Recall (1990)",
    "Little Mermaid, The (1989)",
    "RoboCop (1987)",
    "Cinderella (1950)",
]
HISTORIES = {
    "ada": ["Alien (1979)", "Blade Runner (1982)", "Terminator, The (1984)", "Aliens (1986)"],
    "ben": ["Aladdin (1992)", "Beauty and the Beast (1991)", "Jungle Book, The (1967)", "Pinocchio (1940)"],
    "eve": ["When Harry Met Sally... (1989)", "Ghost (1990)", "Four Weddings and a Funeral (1994)"],
    "max": [1, 2, 3],  # ids where titles belong: his query fails, the others do not
}


def main() -> None:
    """Prints three recommendations a user, and the one error."""
    queries = [{"id": user, "query": seen, "candidates": CATALOGUE} for user, seen in HISTORIES.items()]
    with rranker.Ranker() as ranker:
        rankings = ranker.rank_batch(queries, top_k=3, on_error="return", progress=False)
    for user, ranking in zip(HISTORIES, rankings, strict=True):
        if isinstance(ranking, Exception):
            print(f"{user}: {type(ranking).__name__}: {ranking}")
        else:
            print(f"{user}: {', '.join(item.text for item in ranking.top(3))}")


if __name__ == "__main__":
    main()
