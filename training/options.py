"""One command line for every trainer: fields of dataclasses are options and YAML keys.

What cannot be is refused as it is read, by the name of the option and of the file, before anything else is done.
"""

from __future__ import annotations

import os
import sys
import traceback
from argparse import ArgumentDefaultsHelpFormatter, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from math import isfinite, nan
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import torch
from transformers import HfArgumentParser

from rranker.methods import method_class, method_names
from rranker.prompts.segments import POINTWISE
from rranker.training import command, train_extra

LISTWISE = [
    name
    for name in method_names()
    if method_class(name).kind not in POINTWISE and method_class(name).names_for_good
]
"""Methods whose every question is about a list, and whose every decision gives one of its candidates a place."""
TRAINABLE = [*LISTWISE, "pointwise", "query_likelihood"]
"""Methods whose question can be taught: by labelled lists, or by rewards of the rankings that its answers lead to."""

SAVE_DTYPES = ("float32", "bfloat16", "float16")
SAVED_AS = "dtype of the weights that are saved, apart from checkpoints (default: as they were trained)"
"""What `--save_dtype` takes, and says of itself."""

_WANTED = {"int": "a whole number", "float": "a number", "string_to_bool": "true or false"}


def as_dtype(name: str | None) -> torch.dtype | None:
    """Of a name out of `SAVE_DTYPES`; None, which leaves weights as they were trained, stays None."""
    dtype: torch.dtype | None = None if name is None else getattr(torch, name)
    return dtype


def in_range(
    kind: type, *, least: float | None = None, above: float | None = None, most: float | None = None
) -> Callable[[str], Any]:
    """An argparse `type` of numbers of this kind, finite ones, that are at least, above and at most this."""
    limits = {"at least": least, "above": above, "at most": most}
    wanted = " and ".join(f"{words} {limit:g}" for words, limit in limits.items() if limit is not None)

    def read(text: str) -> Any:
        value = kind(text)
        fits = isfinite(value) and (least is None or value >= least) and (above is None or value > above)
        if not fits or (most is not None and value > most):
            raise ArgumentTypeError(f"must be {wanted}, not {text}")
        return value

    read.__name__ = kind.__name__  # which argparse names where the text is no number
    return read


def named_numbers(entries: Iterable[str], form: str, default: float | None = None) -> dict[str, float]:
    """`["movies=0.2", …]` → {"movies": 0.2, …}; `default` is for a name alone (None: a number must be given).

    Raises ValueError, which says their `form`, for another entry or no finite number, and for a name that comes twice.
    """
    found = dict[str, float]()
    for entry in entries:
        name, _, number = entry.partition("=")
        try:
            value = float(default if default is not None and not number else number)
        except ValueError:
            value = nan
        if not isfinite(value):
            raise ValueError(f"{form}, not {entry!r}")
        if name in found:
            raise ValueError(
                f"{name} is given twice, as {found[name]:g} and as {value:g}: {form}, each name once"
            )
        found[name] = value
    return found


def option(
    default: Any,
    help: str,
    choices: Sequence[str] | None = None,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
) -> Any:
    """A dataclass field with its line of `--help`; a number is at least, above and at most what is given of these."""
    given = {"help": help, "choices": choices and list(choices), "least": least, "above": above, "most": most}
    metadata = {name: value for name, value in given.items() if value is not None}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


class _Help(ArgumentDefaultsHelpFormatter):
    """Says the default of an option whose line does not say it."""

    def _get_help_string(self, action: Any) -> str | None:
        said: str | None = action.help
        return said if said and "(default: " in said else super()._get_help_string(action)


class _Parser(HfArgumentParser):
    """Hands the ranges of `option` on to what reads the numbers."""

    def add_argument(self, *names: Any, **keywords: Any) -> Any:
        limits = {name: keywords.pop(name) for name in ("least", "above", "most") if name in keywords}
        if limits:
            keywords["type"] = in_range(keywords["type"], **limits)
        return super().add_argument(*names, **keywords)


def check_folder(name: str, folder: str | Path) -> None:
    """Raises ValueError, naming the option, where `folder` is to be written and a file is in its place or above it."""
    path = Path(folder)
    there = next((place for place in (path, *path.parents) if place.exists()), None)
    if there is not None and not there.is_dir():
        raise ValueError(f"{name} names a folder to write to, and {there} is a file: give another")


def run_command(name: str, main: Callable[[], None]) -> None:
    """Runs the command `name`. What its user can mend ends the process with one line and code 2, as argparse does.

    RRANKER_DEBUG=1 shows the traceback as well. Any other error keeps its own.
    """
    try:
        with train_extra():
            main()
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("RRANKER_DEBUG"):
            traceback.print_exception(error)
        said = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            said = f"{error.filename}: {error.strerror}"
        print(f"{command(name)}: error: {said}", file=sys.stderr)
        sys.exit(2)


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
    the YAML key `save_every`; the YAML key `env` sets environment variables. YAML's values are read as the command line
    reads their text, and where an option takes several, one alone is a list of one. `implied` makes further words of
    all that was given, before any dataclass is built. What cannot be read ends the process with a usage message, as
    argparse does.
    """
    parser = _Parser(groups, prog=prog, description=description, formatter_class=_Help)
    parser.add_argument("--config", type=Path, help="a YAML file with any of these options")
    given = list(sys.argv[1:] if words is None else words)
    config = parser.parse_known_args([*given])[0].config
    if config is not None:
        field_types = {name: kind for group in groups for name, kind in get_type_hints(group).items()}
        _take_defaults(parser, config, field_types)
    if implied is not None:
        given += implied(parser.parse_known_args([*given])[0])
    *parsed, _, unknown = parser.parse_args_into_dataclasses(
        given, return_remaining_strings=True, look_for_args_file=False
    )
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return tuple(parsed)


def _take_defaults(parser: Any, path: Path, field_types: dict[str, Any]) -> None:
    """Lays the values of a YAML file over the parser's defaults. `field_types`: option → the type of its field."""
    values = _yaml_values(parser, path)
    options: dict[str, list[Any]] = {}
    for action in parser._actions:  # noqa: SLF001 (argparse has no other way to list its options)
        if action.dest in field_types:
            options.setdefault(action.dest, []).append(action)  # --x and --no_x of one field
    unknown = sorted({str(name) for name in values if name not in options})
    if unknown:
        parser.error(f"{path} has keys that are no options: {', '.join(unknown)}")
    for name, value in values.items():
        try:
            read = _as_read(options[name][0], value, field_types[name])
        except (ArgumentTypeError, ValueError) as error:
            parser.error(f"{path}: {name} {error}")
        for action in options[name]:
            action.default, action.required = read, False


def _yaml_values(parser: Any, path: Path) -> dict[Any, Any]:
    """Keys and values of a YAML file, but `env`, which is put into the environment."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"{path} cannot be read: {error}")
    except yaml.YAMLError as error:
        parser.error(f"{path} is not YAML: {error}")
    if not isinstance(values, dict):
        parser.error(f"{path} must map option names to values, not be a {type(values).__name__}")
    variables = values.pop("env", None) or {}
    if not isinstance(variables, dict):
        parser.error(f"{path}: env must map names of environment variables to values, not be {variables!r}")
    os.environ.update({str(name): str(value) for name, value in variables.items()})
    return dict(values)


def _as_read(action: Any, value: Any, hint: Any) -> Any:
    """A value of YAML as the command line would have read it.

    Raises ValueError and ArgumentTypeError, whose text goes behind the option's name.
    """
    kinds = get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return None
    if action.nargs == "+":
        return [_one_read(action, item, ()) for item in (value if isinstance(value, list) else [value])]
    if isinstance(value, list | dict) and type(value) in {
        get_origin(kind) or kind for kind in (hint, *kinds)
    }:
        return value
    return _one_read(action, value, kinds)


def _one_read(action: Any, value: Any, kinds: Sequence[Any]) -> Any:
    """See `_as_read`; of a value that is no list. It stays what it is where text is read and `kinds` have its own."""
    if action.type is str and type(value) in (*kinds, str):
        return _chosen(action, value)
    kind = getattr(action.type, "__name__", "")
    fault = ValueError(f"must be {_WANTED.get(kind, 'text (in quotes)')}, not {value!r}")
    # YAML takes `no` for a truth value: as text it would be another word than the one in the file.
    if not isinstance(value, bool | int | float | str) or (action.type is str and isinstance(value, bool)):
        raise fault
    try:
        return _chosen(action, action.type(str(value)))
    except ArgumentTypeError as error:
        raise fault if kind == "string_to_bool" else error from None
    except ValueError:
        raise fault from None


def _chosen(action: Any, value: Any) -> Any:
    """The value, where it is one of the option's choices. Raises ArgumentTypeError for another."""
    if action.choices is not None and value not in action.choices:
        raise ArgumentTypeError(f"is one of {', '.join(map(str, action.choices))}, not {value!r}")
    return value
