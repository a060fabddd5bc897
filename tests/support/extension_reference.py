"""Plain Python references of the extension: slow, short, and obviously what the docstrings say."""

from __future__ import annotations

import math
from itertools import combinations


def inversions(order):
    return sum(a > b for a, b in combinations(order, 2))


def kendall_tau(a, b):
    place = {item: rank for rank, item in enumerate(b)}
    pairs = list(combinations([place[item] for item in a], 2))
    return sum(1 if x < y else -1 for x, y in pairs) / len(pairs) if pairs else 1.0


def rbo(a, b, p):
    n = len(a)
    agreement = [len(set(a[:d]) & set(b[:d])) / d for d in range(1, n + 1)]
    return (1 - p) * sum(p**d * x for d, x in enumerate(agreement)) + p**n * agreement[-1]


def dcg(gains, k):
    return sum(g / math.log2(i + 2) for i, g in enumerate(gains[:k] if k else gains))


def reachable(relevance, gone, k):
    alive = sorted((r for i, r in enumerate(relevance) if i not in gone), reverse=True)
    return dcg(alive + [relevance[i] for i in reversed(gone)], k)


def graded_rewards(relevance, exclusions, k, invalid):
    rewards, gone, ideal = [], [], reachable(relevance, [], k)
    for choice in exclusions:
        if not 0 <= choice < len(relevance) or choice in gone:
            rewards.append(invalid)
            continue
        before = reachable(relevance, gone, k)
        gone.append(choice)
        rewards.append((reachable(relevance, gone, k) - before) / ideal if ideal else 0.0)
    return rewards


def listing_reward(relevance, listed, k, weight):
    unique = [i for i in dict.fromkeys(listed) if 0 <= i < len(relevance)]
    ideal = dcg(sorted(relevance, reverse=True), k)
    quality = dcg([relevance[i] for i in unique], k) / ideal if ideal else 0.0
    return quality - weight * (1 - len(unique) / len(relevance))
