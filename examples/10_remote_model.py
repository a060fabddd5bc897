"""python examples/10_remote_model.py URL MODEL: ranks with a model behind a chat endpoint.

URL is that of any OpenAI-compatible endpoint, such as http://localhost:8000/v1 (vLLM, SGLang, llama.cpp, Ollama) or
https://api.openai.com/v1; the key is read from OPENAI_API_KEY. Needs the extra: pip install '.[openai]'.
"""

from __future__ import annotations

import sys

import rranker
from rranker.scorers import Budget, ChatScorer

QUERIES = [
    {
        "id": "rings",
        "query": "which planets have rings around them?",
        "candidates": ["Mars has two moons.", "Saturn's rings are ice.", "Oaks are trees."],
    },
    {
        "id": "bees",
        "query": "how do bees find flowers?",
        "candidates": ["Honey keeps for years.", "Flowers attract bees with colour and scent."],
    },
]


def main() -> None:
    """Ranks two queries side by side, round by round, for at most 20 calls and one minute."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    url, model = sys.argv[1:]
    scorer = ChatScorer(model, base_url=url, budget=Budget(calls=20), time_limit=60)
    with rranker.Ranker(scorer=scorer, method="iranker") as ranker:
        for ranking in ranker.rank_batch(QUERIES, template="passage", on_error="return", progress=False):
            if isinstance(ranking, Exception):
                print(f"failed: {ranking}")
                continue
            print(ranking)
            print(f"      {ranking.stats}\n")
        print(f"{scorer.spent.calls} calls, {scorer.spent.tokens} tokens")


if __name__ == "__main__":
    main()
