"""Options that several commands share, and the Ranker they make."""

from __future__ import annotations

import gc
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rranker.cli.errors import ExitCode, failing_as

if TYPE_CHECKING:
    from rranker.ranker import Ranker


_MODEL = "Model"

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Checkpoint folder, GGUF file or hub name; left out: the bundled model.",
        rich_help_panel=_MODEL,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="Where it runs: cpu, cuda, cuda:1 …; left out: the first GPU, else the CPU.",
        rich_help_panel=_MODEL,
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(
        help="Several, each with a replica of the model, in place of --device: cuda:0,cuda:1",
        rich_help_panel=_MODEL,
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        help="Type of its weights: bfloat16, float16, float32; left out: what suits the device.",
        rich_help_panel=_MODEL,
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        help="Ranking method (docs/methods.md); left out: what the model was trained for.",
        rich_help_panel=_MODEL,
    ),
]
Reasoning = Annotated[
    bool, typer.Option("--reasoning", help="The model thinks before each verdict.", rich_help_panel=_MODEL)
]
Template = Annotated[str | None, typer.Option(help="passage, recommendation, routing or generic.")]
Instruction = Annotated[str | None, typer.Option(help="Replaces the template's own instruction.")]
TopK = Annotated[
    int | None, typer.Option("--top-k", min=1, help="Only the best k matter: places behind are coarser.")
]
History = Annotated[bool, typer.Option("--history", help="QUERY is a history.")]
Window = Annotated[
    int | None, typer.Option(min=2, help="Most candidates that a question shows; left out: what fits.")
]
Chunk = Annotated[
    bool, typer.Option("--chunk", help="Rank all parts of texts that are too long, in place of cutting them.")
]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave broken lines out and count them.")]


class Layout(StrEnum):
    """How results are written for people or programs."""

    table = "table"
    json = "json"


def as_query(query: str, history: bool) -> str | list[str]:
    """The query as `Ranker.rank` takes it: a history has a title a line."""
    return [line for line in query.splitlines() if line.strip()] if history else query


def load_ranker(**settings: Any) -> Ranker:
    """A Ranker; `devices` are as the option says. Raises Failure for a wrong setting, or a model that is not there."""
    if settings.get("devices") is not None:
        settings["devices"] = settings["devices"].split(",")
    # Loading makes many objects and drops few: about a seventh of the time would go into looking for cycles among them.
    gc.disable()
    try:
        with failing_as(ExitCode.USAGE):
            from rranker import Ranker

            return Ranker(**settings)
    finally:
        gc.enable()
