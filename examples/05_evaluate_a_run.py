"""Evaluate rankings as trec_eval does: `python examples/05_evaluate_a_run.py [QRELS RUN [RUN]]`.

With files (TREC format, also `.gz`) it prints their figures; two runs are also compared query by query.
Without any, it re-ranks three small first-stage lists with the bundled model and evaluates both stages.
"""

import sys

import rranker
from rranker.metrics import evaluate, paired_randomisation

MEASURES = ["nDCG@10", "RR", "AP", "P@1"]
PASSAGES = {
    "d1": "Tides follow the moon, whose gravity pulls the oceans into two bulges.",
    "d2": "The moon has no atmosphere, so its sky is black at noon.",
    "d3": "Bread rises because yeast turns sugar into carbon dioxide.",
    "d4": "Sourdough starters hold wild yeast and bacteria that make dough rise and taste sour.",
    "d5": "Glaciers carve valleys that are shaped like a U.",
    "d6": "Rivers carve valleys that are shaped like a V.",
}
QUERIES = {
    "q1": "what causes the tides of the oceans",
    "q2": "why does bread rise",
    "q3": "what carves valleys shaped like a U",
}
QRELS = {"q1": {"d1": 2, "d2": 0}, "q2": {"d3": 2, "d4": 1}, "q3": {"d5": 2, "d6": 0}}
FIRST_STAGE = {
    "q1": {"d2": 7.0, "d1": 6.5, "d6": 2.0},
    "q2": {"d4": 5.0, "d3": 4.0, "d1": 1.0},
    "q3": {"d6": 9.0, "d5": 8.9, "d2": 3.0},
}


def rerank() -> list[rranker.Ranking]:
    """The first stage's documents, ranked anew: rankings of queries and candidates with ids are a run."""
    queries = [
        {"id": qid, "query": QUERIES[qid], "candidates": [{"id": d, "text": PASSAGES[d]} for d in documents]}
        for qid, documents in FIRST_STAGE.items()
    ]
    with rranker.Ranker() as ranker:
        return ranker.rank_batch(queries, template="passage", progress=False)


def main(*files: str) -> None:
    """Prints the figures of each run, then the difference of the last two."""
    qrels = files[0] if files else QRELS
    runs = (
        {name: name for name in files[1:]} if files else {"first stage": FIRST_STAGE, "re-ranked": rerank()}
    )
    found = {name: evaluate(qrels, run, MEASURES) for name, run in runs.items()}
    width = max(map(len, found))
    print(f"{'':{width}}  {'  '.join(f'{name:>8}' for name in MEASURES)}")
    for name, figures in found.items():
        print(f"{name:{width}}  {'  '.join(f'{figures[measure]:8.4f}' for measure in MEASURES)}")
    if len(found) == 2:
        before, after = (figures.per_query("RR") for figures in found.values())
        common = [query for query in before if query in after]
        test = paired_randomisation({q: after[q] for q in common}, {q: before[q] for q in common})
        print(f"RR differs by {test.difference:+.4f} over {len(common)} queries, p = {test.p_value:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
