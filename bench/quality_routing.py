"""Two doubts about a router: does it read the query, and how much of its test did it see in nearly the same words?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rranker import Ranker, data
from rranker.data import RankingExample, Split, in_validation
from rranker.data.twins import near_twins
from rranker.metrics import bootstrap_interval, paired_bootstrap
from rranker.metrics.graded import by_query, reciprocal_ranks

Figures = dict[str, Any]


def with_others_queries(cases: Sequence[RankingExample]) -> list[RankingExample]:
    """Each list with the query of another one, drawn; what is right stays what it was."""
    ring = np.random.default_rng(0).permutation(len(cases))
    others = dict(zip(ring.tolist(), np.roll(ring, 1).tolist(), strict=True))
    return [replace(case, query=cases[others[place]].query) for place, case in enumerate(cases)]


def untwinned(cases: Sequence[RankingExample], split: Split) -> frozenset[str]:
    """The ids of cases whose query no training row nearly equals."""
    train, _ = data.routerbench()
    known = [row.query for row in train if split == "test" or not in_validation(row.query)]
    twins = near_twins(known, [str(case.query) for case in cases])
    return frozenset(case.id for case, has_twin in zip(cases, twins, strict=True) if not has_twin)


def doubts(
    cases: Sequence[RankingExample],
    rows: Mapping[str, Figures],
    rankers: Mapping[str, Ranker],
    split: Split,
    *,
    twins: bool,
) -> str:
    """A Markdown table; its figures are also added to `rows`. `twins`: the cases are RouterBench's."""
    apart = untwinned(cases, split) if twins else frozenset(case.id for case in cases)
    others = with_others_queries(cases)
    lines = [
        f"| row | MRR without {len(cases) - len(apart)} near twins | with another's query | own less another's |",
        "|---|---|---|---|",
    ]
    for name, row in rows.items():
        own: dict[str, float] = row["mrr_by_query"]
        kept = {query: value for query, value in own.items() if query in apart}
        row["untwinned"], row["untwinned_interval"] = (
            float(np.mean(list(kept.values()))),
            bootstrap_interval(kept),
        )
        cells = ["{:.3f} [{:.3f}, {:.3f}]".format(row["untwinned"], *row["untwinned_interval"]), "", ""]
        if name in rankers:
            queries = [c.as_query() for c in others]
            orders = [ranking.order for ranking in rankers[name].rank_batch(queries, progress=False)]
            values = reciprocal_ranks([case.relevance for case in cases], orders)
            another = by_query((case.id for case in cases), values)
            found = paired_bootstrap(own, another)
            row["another"] = float(np.mean(list(another.values())))
            row["reads"], row["reads_interval"] = found.difference, (found.low, found.high)
            cells[1] = f"{row['another']:.3f}"
            cells[2] = f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
