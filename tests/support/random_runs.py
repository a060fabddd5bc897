"""Random ragged qrels and runs, full of ties."""

import random


def random_run(seed, levels=(-1, 0, 0, 1, 2, 3)):
    rng = random.Random(seed)
    docs = [f"d{i}" for i in range(60)] + [f"é{i}" for i in range(5)] + ["z", "aa", "日本"]
    qrels, run = {}, {}
    for query in range(rng.randint(1, 6)):
        judged = rng.sample(docs, rng.randint(1, 40))
        qrels[f"q{query}"] = {doc: rng.choice(levels) for doc in judged}
        found = rng.sample(docs, rng.randint(1, len(docs)))
        step = rng.choice([1, 0.25, 1e-3, 1e-9])  # the last ties in single precision only
        run[f"q{query}"] = {doc: 1.0 + step * rng.randint(0, 8) for doc in found}
    return qrels, run
