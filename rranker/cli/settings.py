"""Options that several commands share."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any

import typer

from rranker.cli.candidates import InputFormat


def _option(*flags: str, panel: str = "Ranking", **rest: Any) -> Any:
    return typer.Option(*flags, rich_help_panel=panel, **rest)


_MODEL, _THOUGHTS = "Model", "Thoughts"
Query = Annotated[str, typer.Argument(help="The query; with --history, titles, one a line, oldest first.")]
WrittenAs = Annotated[
    InputFormat | None,
    typer.Option(help="How candidates are written; left out: by the file's name, else by how it begins."),
]
TextColumn = Annotated[str, typer.Option(help="What holds the text in JSON objects and tables.")]
Model = Annotated[
    str | None,
    _option(
        "--model",
        "-m",
        panel=_MODEL,
        help="Checkpoint folder, GGUF file or hub name; left out: the bundled model.",
    ),
]
Device = Annotated[
    str | None,
    _option(panel=_MODEL, help="Where it runs: cpu, cuda, cuda:1 …; left out: the first GPU, else the CPU."),
]
Devices = Annotated[
    str | None,
    _option(
        panel=_MODEL, help="Several, each with a replica of the model, in place of --device: cuda:0,cuda:1"
    ),
]
Dtype = Annotated[
    str | None,
    _option(
        panel=_MODEL, help="Type of its weights: bfloat16, float16, float32; left out: what suits the device."
    ),
]
Method = Annotated[
    str | None,
    _option(panel=_MODEL, help="Ranking method (docs/methods.md); left out: what the model was trained for."),
]
Reasoning = Annotated[
    bool | None,
    _option("--reasoning", panel=_MODEL, help="The model thinks before each verdict."),
]
History = Annotated[bool, typer.Option("--history", help="QUERY is a history.")]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave broken lines out and count them.")]
Relevance = Annotated[
    bool | None,
    _option(
        "--relevance",
        help="Give each a calibrated probability to fit, also where that takes further questions.",
    ),
]
_CALL_OPTIONS = {
    "method": Method,
    "template": Annotated[str | None, _option(help="passage, recommendation, routing or generic.")],
    "instruction": Annotated[str | None, _option(help="Replaces the template's own instruction.")],
    "top_k": Annotated[int | None, _option(min=1, help="Only the best k matter: places behind are coarser.")],
    "relevance": Relevance,
    "threshold": Annotated[
        float | None, _option(min=0, max=1, help="Write only those of this relevance or more.")
    ],
    "window": Annotated[
        int | None, _option(min=2, help="Most candidates that a question shows; left out: what fits.")
    ],
    "long_text": Annotated[
        str | None, _option(help="Texts that are too long: truncate, or chunk to rank all of their parts.")
    ],
    "aggregate": Annotated[
        str | None, _option(help="What a text in parts is worth: max, as the best of them, or mean.")
    ],
    "stop_below": Annotated[
        float | None, _option(help="End with a verdict that doubts each preference by less than this.")
    ],
    "self_consistency": Annotated[
        int | None, _option(min=2, help="Rank in so many layouts, and average: that many times the work.")
    ],
    "reasoning": Annotated[
        bool | None,
        _option("--reasoning", panel=_THOUGHTS, help="The model thinks before each verdict."),
    ],
    "max_think_tokens": Annotated[int | None, _option(min=0, panel=_THOUGHTS, help="The longest thought.")],
    "temperature": Annotated[float | None, _option(min=0, panel=_THOUGHTS, help="0: the likeliest token.")],
    "top_p": Annotated[
        float | None,
        _option(min=0, max=1, panel=_THOUGHTS, help="Draw from the likeliest that hold this much."),
    ],
}
"""How the settings of a call (`rranker.settings.RankSettings`) are said on the command line."""


def call_settings(*left_out: str, **defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command an option for every setting of a call; its last parameter, `**settings`, takes them.

    `left_out` names those that would do nothing; `defaults` are those of the command's own.
    """

    def given(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        *own, rest = signature.parameters.values()
        assert rest.kind is inspect.Parameter.VAR_KEYWORD
        options = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=option
            )
            for name, option in _CALL_OPTIONS.items()
            if name not in left_out
        ]

        @wraps(function)
        def with_settings(*args: Any, **kwargs: Any) -> None:
            function(*args, **kwargs)

        with_settings.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
        return with_settings

    return given


class Layout(StrEnum):
    """How results are written for people or programs."""

    table = "table"
    json = "json"


def as_query(query: str, history: bool) -> str | list[str]:
    """The query as `Ranker.rank` takes it: a history has a title a line."""
    # Not `splitlines`, which cuts titles at a line separator or a form feed, too.
    return [line for line in re.split(r"\r\n|\r|\n", query) if line.strip()] if history else query
