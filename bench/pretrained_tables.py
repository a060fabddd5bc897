"""The tables of `bench.pretrained`, from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rranker.metrics import bootstrap_interval, paired_bootstrap
from rranker.metrics.graded import by_query
from rranker.permutations import kendall_tau

Row = dict[str, Any]


def print_tables(rows: Sequence[Row]) -> None:
    """Markdown: a table a study, task and way of measuring, then where untuned verdicts go by place."""
    tables: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if "rr" in row:
            tables.setdefault(_measured(row), []).append(row)
    for (study, task, *how), found in tables.items():
        print(f"\n{study}: {task} ({', '.join(how)})\n")
        print(
            "| asked by | MRR (95 %) | against random | tokens | forwards | passes | seconds | "
            "as exact rounds: τ, first | identifiers' mass |"
        )
        print("|---|---|---|---:|---:|---:|---:|---|---:|")
        for row in found:
            print(_line(row, found))
    _places(rows)


def _measured(row: Row) -> tuple[str, ...]:
    """Rows with the same of these stand in one table."""
    sizes = f"{row['queries']} queries", f"{row['cases']} lists", f"{row['threads']} threads"
    return row["study"], row["task"], row["model"], f"{row['split']} split", *sizes, row["dtype"]


def _line(row: Row, others: Sequence[Row]) -> str:
    means = by_query(row["ids"], row["rr"])
    low, high = bootstrap_interval(means)
    cells = [row["row"], f"{np.mean(list(means.values())):.3f} ({low:.3f} … {high:.3f})"]
    chance = next((other for other in others if other["row"] == "random"), None)
    if chance is None or chance is row:
        cells.append("")
    else:
        gap = paired_bootstrap(means, by_query(chance["ids"], chance["rr"]))
        cells.append(f"{gap.difference:+.3f} ({gap.low:+.3f} … {gap.high:+.3f})")
    if "orders" not in row:
        return "| " + " | ".join([*cells, *[""] * 6]) + " |"
    one_shot = next((other["tokens"] for other in others if other["row"] == "dranker"), None)
    cells += [
        f"{row['tokens']:.0f}",
        "" if one_shot is None else f"{row['tokens'] / one_shot:.2f}",
        f"{row['passes']:.1f}",
        f"{row['seconds']:.2f}",
        _agreement(row, others),
        f"{row['mass']:.2f}" if "mass" in row else "",
    ]
    return "| " + " | ".join(cells) + " |"


def _agreement(row: Row, others: Sequence[Row]) -> str:
    """With the same method's exact rounds: Kendall's τ and the share of equal first places."""
    exact = next((other for other in others if other["row"] == row["setup"]["method"]), None)
    if exact is None or exact is row:
        return ""
    pairs = list(zip(row["orders"], exact["orders"], strict=True))
    tau = np.mean([kendall_tau(one, other) for one, other in pairs])
    return f"{tau:.2f}, {np.mean([one[0] == other[0] for one, other in pairs]):.0%}"


def _places(rows: Sequence[Row]) -> None:
    """How often the candidate of each place of the prompt is ranked first, and whether turning the list moves it."""
    print("\n| asked by | task | first, by place in the prompt | the same first when the list is turned |")
    print("|---|---|---|---:|")
    for row in rows:
        if "orders" not in row or row["setup"]["reversed"] or row["study"] != "methods":
            continue
        sizes = [len(order) for order in row["orders"]]
        firsts = np.bincount([order[0] for order in row["orders"]], minlength=max(sizes)) / len(sizes)
        turned = next(
            (
                r
                for r in rows
                if "orders" in r and _measured(r) == _measured(row) and r["row"] == row["row"] + " reversed"
            ),
            None,
        )
        same = "" if turned is None else f"{_same_first(row, turned):.0%}"
        shown = ", ".join(f"{chr(65 + i)} {share:.2f}" for i, share in enumerate(firsts))
        print(f"| {row['row']} | {row['task']} | {shown} | {same} |")


def _same_first(one: Row, other: Row) -> float:
    pairs = zip(one["orders"], other["orders"], strict=True)
    return float(np.mean([a[0] == b[0] for a, b in pairs]))
