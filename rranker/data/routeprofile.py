"""Eight newer language models on twelve tasks: never trained on, the test of unknown candidates."""

from __future__ import annotations

from pathlib import Path

from .example import data_file
from .records import json_file
from .routing import RouterRow, routerbench


def routeprofile(folder: str | Path | None = None) -> list[RouterRow]:
    """Rows with score and cost in dollars per model; queries that RouterBench holds are dropped.

    A RouterBench prompt wraps its question in an instruction, so "holds" means: contains.
    """
    path = data_file("router_routeprofile/candidate_models.json", folder)
    models = json_file(path)
    texts = tuple(f"{name}: {model['feature']}" for name, model in models.items())
    path = data_file("router_routeprofile/routing_test_data.json", folder)
    entries = json_file(path)
    known = "\n\n".join(_plain(row.query) for part in routerbench(folder) for row in part)
    rows = []
    for number, entry in enumerate(entries):
        performance = [entry["model_performance"][name] for name in models]
        costs = (
            1e-6 * (f["input_token"] * m["input_price"] + f["output_token"] * m["output_price"])
            for f, m in zip(performance, models.values(), strict=True)
        )
        scores = tuple(float(f["task_performance"]) for f in performance)
        if _plain(entry["query"]) not in known:
            rows.append(
                RouterRow(f"{entry['task_name']}-{number}", entry["query"], scores, tuple(costs), texts)
            )
    return rows


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
