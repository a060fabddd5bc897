"""Three rankings by the bundled model: passages, a film history, a choice of LLM. `python -m rranker.demo`."""

from __future__ import annotations

import time

PASSAGES = (
    "how do bees tell each other where flowers are?",
    [
        "A bee that has found flowers dances for the others: the angle of its waggle run gives the direction of the "
        "flowers relative to the sun, and its duration the distance.",
        "Honey is made from nectar, which worker bees thicken by fanning it with their wings until it holds less "
        "than a fifth of water.",
        "Bees wake in spring when the first willows bloom, and a colony grows to fifty thousand workers by June.",
        "In many flowers, petals carry patterns that only show in ultraviolet light and guide insects to nectar.",
        "The stock exchange opened higher on Tuesday after two days of losses in shipping shares.",
        "Other bees follow the dancer in the dark, feel the vibration of its body, and learn which way to fly to "
        "the flowers and how far.",
        "To move a hive, close it at night when all bees are inside and carry it at least three miles.",
    ],
)
FILMS = (
    ["Alien (1979)", "Blade Runner (1982)", "Terminator, The (1984)", "Aliens (1986)", "RoboCop (1987)"],
    [
        "Sleepless in Seattle (1993)",
        "Terminator 2: Judgment Day (1991)",
        "Lion King, The (1994)",
        "Predator (1987)",
        "Clueless (1995)",
        "Total Recall (1990)",
    ],
)
ROUTING = (
    "Write a Python function that returns the longest palindrome in a string, with tests.",
    [
        {"id": "mistral-7b", "text": "Mistral 7B Chat: small, cheap open model. $0.20 per M tokens"},
        {
            "id": "gpt-4-turbo",
            "text": "GPT-4 Turbo 1106: OpenAI's strongest reasoning model. $10 in, $30 out per M tokens",
        },
        {
            "id": "code-llama",
            "text": "Code Llama Instruct 34B: Meta's model for code. $0.78 per M tokens",
        },
        {
            "id": "claude-instant",
            "text": "Claude Instant v1: Anthropic's fast model. $0.80 in, $2.40 out per M tokens",
        },
        {
            "id": "gpt-3.5",
            "text": "GPT-3.5 Turbo 1106: OpenAI's fast general model. $1 in, $2 out per M tokens",
        },
    ],
)


def main() -> None:
    """Ranks examples of three tasks with the bundled model and prints the rankings."""
    began = time.perf_counter()
    import torch
    import transformers

    imported = time.perf_counter()
    from .ranker import Ranker

    with Ranker() as ranker:
        times = {"import torch and transformers": imported - began, **ranker.load_seconds}
        rankings = [
            ranker.rank(*PASSAGES, template="passage"),
            ranker.rank(*FILMS),
            ranker.rank(*ROUTING, template="routing", instruction="Low cost first; quality second."),
        ]
    print(f"rranker demo, torch {torch.__version__}, transformers {transformers.__version__}")
    parts = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in times.items())
    print(f"ready after {sum(times.values()):.2f} s: {parts}")
    queries = (PASSAGES[0], " > ".join(FILMS[0]), ROUTING[0])
    for query, ranking in zip(queries, rankings, strict=True):
        stats = ranking.stats
        print(f"\n{query}\n{ranking}")
        print(
            f"      {len(ranking.rounds)} rounds in {stats.forward_passes} passes, {stats.seconds * 1000:.0f} ms: "
            f"{stats.tokens_encoded} tokens encoded where a naive loop takes {stats.tokens_naive} "
            f"({stats.tokens_reused} reused); {stats.speculation_hits} guessed rounds held, "
            f"{stats.speculation_misses} failed"
        )


if __name__ == "__main__":
    main()
