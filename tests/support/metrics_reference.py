"""Plain Python references of the measures, straight from their formulas."""

import math


def ranking(run, max_docs=None):
    return [d for d, _ in sorted(run.items(), key=lambda item: (item[1], item[0]), reverse=True)][:max_docs]


def levels(qrels, run):
    return [qrels.get(doc) for doc in ranking(run)]


def ndcg(qrels, run, k=None, gain=float):
    def dcg(values):
        return sum(g / math.log2(i + 2) for i, g in enumerate(values[:k]))

    gains = [gain(x) if x is not None and x >= 0 else 0.0 for x in levels(qrels, run)]
    ideal = dcg(sorted((gain(x) for x in qrels.values() if x > 0), reverse=True))
    return dcg(gains) / ideal if ideal else 0.0


def err(qrels, run, k=None, top=4):
    total, stays = 0.0, 1.0
    for i, level in enumerate(levels(qrels, run)[:k]):
        stops = (2 ** min(level or 0, top) - 1) / 2**top if (level or 0) > 0 else 0.0
        total += stays * stops / (i + 1)
        stays *= 1 - stops
    return total


def rbp(qrels, run, p, rel=1):
    return (1 - p) * sum(p**i for i, x in enumerate(levels(qrels, run)) if x is not None and x >= rel)


def reciprocal_rank(qrels, run, k=None, rel=1):
    hits = [i for i, x in enumerate(levels(qrels, run)[:k]) if x is not None and x >= rel]
    return 1 / (hits[0] + 1) if hits else 0.0
