"""What a run did, as one picture and one page: from the trainer's log rows."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Rows = Sequence[dict[str, Any]]
PANELS = {
    "held-out MRR": ("eval_mrr",),
    "reward": ("reward", "rewards/"),
    "KL to the reference": ("kl",),
    "entropy (nats a decision)": ("entropy",),
    "invalid answers": ("invalid",),
    "gradient norm": ("grad_norm",),
}


def series(rows: Rows, marks: Sequence[str]) -> dict[str, tuple[list[float], list[float]]]:
    """Name → (steps, values) of every logged number that is called `mark`, `mark…/task` or starts with `mark/`."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, int | float) and any(_is(name, mark) for mark in marks):
                steps, values = curves.setdefault(name, ([], []))
                steps.append(row["step"])
                values.append(value)
    return curves


def _is(name: str, mark: str) -> bool:
    if mark.endswith("/"):
        return name.startswith(mark) and name.endswith("/mean")
    return name == mark or name.startswith(mark + "/")


def picture(rows: Rows, path: Path) -> None:
    """A PNG with a panel for each quantity that was logged; without any, an empty one."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = {title: curves for title, marks in PANELS.items() if (curves := series(rows, marks))}
    height = max(1, -(-len(panels) // 2))
    figure, axes = pyplot.subplots(height, 2, figsize=(11, 3.2 * height), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    for axis, (title, curves) in zip(axes.flat, panels.items(), strict=False):
        for name, (steps, values) in curves.items():
            thick = 2.2 if name == "eval_mrr" else 1.1
            axis.plot(steps, values, label=name.removeprefix("eval_mrr/"), linewidth=thick)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
        if len(curves) > 1:
            axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def write_report(rows: Rows, settings: dict[str, Any], folder: Path) -> None:
    """`report.png`, `report.html` and the rows themselves, `log.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.json").write_text(json.dumps(list(rows), indent=1))
    picture(rows, folder / "report.png")
    image = base64.b64encode((folder / "report.png").read_bytes()).decode()
    evaluations = [row for row in rows if "eval_mrr" in row]
    body = ["<h1>Training report</h1>", f'<img alt="curves" src="data:image/png;base64,{image}">']
    if evaluations:
        body += ["<h2>Held-out MRR</h2>", _table(evaluations)]
    body += ["<h2>Settings</h2>", f"<pre>{html.escape(json.dumps(settings, indent=1, default=str))}</pre>"]
    style = "<style>body{font-family:sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:right}</style>"
    page = f"<!doctype html><meta charset=utf-8><title>Training report</title>{style}{''.join(body)}"
    (folder / "report.html").write_text(page, encoding="utf-8")


def _table(rows: Rows) -> str:
    names = [name for name in rows[0] if name.startswith("eval_mrr")]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("step", *names))
    lines = [
        f"<td>{row['step']}</td>" + "".join(f"<td>{row[name]:.4f}</td>" for name in names) for row in rows
    ]
    return f"<table><tr>{head}</tr><tr>{'</tr><tr>'.join(lines)}</tr></table>"
