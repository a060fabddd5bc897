"""`rranker train sft|grpo`: the command lines of `python -m rranker.training.sft` and `…grpo`, under one roof."""

from __future__ import annotations

from importlib import import_module

import typer

from rranker.cli.errors import ExitCode, command, failing_as
from rranker.training import train_extra

train = typer.Typer(help="Train a ranking model (extra `train`).", no_args_is_help=True)
# All words go on to the trainer, --help too: its options are its own.
_AS_THEY_ARE = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@command
def _run(trainer: str, words: list[str]) -> None:
    with train_extra():
        module = import_module(f"rranker.training.{trainer}.run")
        with failing_as(ExitCode.USAGE):
            module.main(words)


@train.command("sft", context_settings=_AS_THEY_ARE, add_help_option=False)
def sft(context: typer.Context) -> None:
    """Supervised training; `rranker train sft --help` lists its options."""
    _run("sft", context.args)


@train.command("grpo", context_settings=_AS_THEY_ARE, add_help_option=False)
def grpo(context: typer.Context) -> None:
    """Reinforcement learning; `rranker train grpo --help` lists its options."""
    _run("grpo", context.args)
