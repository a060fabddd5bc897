"""One command line for every trainer: fields of dataclasses are options and YAML keys."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from transformers import HfArgumentParser

from rranker.methods import method_class, method_names
from rranker.prompts.segments import POINTWISE

LISTWISE = [
    name
    for name in method_names()
    if method_class(name).kind not in POINTWISE and method_class(name).names_for_good
]
"""Methods whose every question is about a list, and whose every decision gives one of its candidates a place."""
TRAINABLE = [*LISTWISE, "pointwise", "query_likelihood"]
"""Methods whose question can be taught: by labelled lists, or by rewards of the rankings that its answers lead to."""


def option(default: Any, help: str, choices: Sequence[str] | None = None) -> Any:
    """A dataclass field with its line of `--help`."""
    metadata: dict[str, Any] = {"help": help}
    if choices is not None:
        metadata["choices"] = list(choices)
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def parse_options(
    groups: Sequence[type],
    words: Sequence[str] | None = None,
    *,
    prog: str,
    description: str,
    implied: Callable[[Namespace], Sequence[str]] | None = None,
) -> tuple[Any, ...]:
    """An instance of each dataclass of `groups`: the command line over YAML (`--config FILE`) over defaults.

    `words` are the command line's (default: this process's). A field `save_every` is `--save_every`, `--save-every` and
    the YAML key `save_every`; the YAML key `env` sets environment variables. `implied` makes further words of all that
    was given, before any dataclass is built. What cannot be read ends the process with a usage message, as argparse
    does.
    """
    parser = HfArgumentParser(groups, prog=prog, description=description)
    parser.add_argument("--config", type=Path, help="a YAML file with any of these options")
    given = list(sys.argv[1:] if words is None else words)
    config = parser.parse_known_args([*given])[0].config
    if config is not None:
        _take_defaults(parser, config)
    if implied is not None:
        given += implied(parser.parse_known_args([*given])[0])
    *parsed, _, unknown = parser.parse_args_into_dataclasses(
        given, return_remaining_strings=True, look_for_args_file=False
    )
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return tuple(parsed)


def _take_defaults(parser: Any, path: Path) -> None:
    """Lays the values of a YAML file over the parser's defaults."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        parser.error(f"{path} cannot be read: {error}")
    except yaml.YAMLError as error:
        parser.error(f"{path} is not YAML: {error}")
    if not isinstance(values, dict):
        parser.error(f"{path} must map option names to values, not be a {type(values).__name__}")
    os.environ.update({name: str(value) for name, value in (values.pop("env", None) or {}).items()})
    for action in parser._actions:  # noqa: SLF001 (argparse has no other way to list its options)
        if action.dest in values:
            value = action.default = values[action.dest]
            action.required = False
            if action.choices is not None and value not in action.choices:
                parser.error(f"{path}: {action.dest} is one of {', '.join(action.choices)}, not {value!r}")
    unknown = sorted(set(map(str, values)) - {action.dest for action in parser._actions})  # noqa: SLF001
    if unknown:
        parser.error(f"{path} has keys that are no options: {', '.join(unknown)}")
