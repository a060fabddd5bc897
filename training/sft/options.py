"""The command line of `python -m training.sft`, and the settings it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from rranker.engine.hardware import best_device, warn_if_emulated
from rranker.engine.loading.files import read_json
from rranker.engine.loading.model import DEFAULT_MODEL
from rranker.training import command
from rranker.training.examples.sources import OWN
from rranker.training.options import (
    SAVE_DTYPES,
    SAVED_AS,
    TRAINABLE,
    check_folder,
    named_numbers,
    option,
    parse_options,
)
from rranker.training.policy.model_config import ModelConfig
from rranker.training.sft.checkpoint import check_begun
from rranker.training.sft.config import SftConfig, best_precision

OWN_LR = 2e-4
"""What a model that ranks already learns other data by."""
MINUTES, PASSES = 40.0, 10.0
"""Of a run that says nothing of its length: passes where own data alone are learnt from."""
_FREE = ("steps", "weights", "uniform", "early")
"""What a run may be resumed with anew: its end, and what is drawn from then on."""


@dataclass
class RunOptions:
    """Where a run is kept, and how long it goes on."""

    out: Path = option(Path("runs/sft"), "state, settings, `latest` and `final`")
    minutes: float | None = option(
        None,
        f"sets the number of steps by measured speed (default: {MINUTES:g}, and `passes` for own data alone)",
        above=0,
    )
    passes: float | None = option(
        None,
        f"sets the number of steps by how often each row of --data is seen, on average (default: {PASSES:g})",
        above=0,
    )
    steps: int | None = option(
        None, "the number of steps itself, in place of both; with --resume, a new end", least=1
    )
    stop_at: int | None = option(None, "a step to stop at, as if interrupted there", least=1)
    save_every: int = option(200, "steps between states", least=1)
    device: str | None = option(None, "cpu, cuda or cuda:N (default: a GPU where there is one)")
    resume: bool = option(
        False,
        f"go on from OUT/state.pt with OUT's settings, but for {', '.join(f'--{name}' for name in _FREE)}",
    )


@dataclass
class ModelOptions:
    """The shape of a new model, or an old one."""

    layers: int | None = option(
        None, f"transformer layers of a new model (default: {ModelConfig.num_hidden_layers})", least=1
    )
    hidden: int | None = option(
        None, f"its width, a multiple of 64 (default: {ModelConfig.hidden_size})", least=64
    )
    tokenizer: Path | None = option(None, "a tokenizer folder, instead of training one")
    start: Path | None = option(
        None,
        "a ranking model's folder to start from (of an encoder, training.sft.from_encoder makes one); default: a new "
        "model, and the bundled one with --data",
    )


@dataclass
class DataOptions:
    """What is learnt from. What is left out keeps its default, or what a run to resume was given."""

    weights: list[str] | None = option(
        None, "the whole mixture, as source=share: sources left out are not drawn"
    )
    uniform: float | None = option(
        None, "share of lists with uniform negatives (default: 0.5)", least=0, most=1
    )
    early: float | None = option(None, "share of histories of at most 40 items (default: 0)", least=0, most=1)
    teacher: str | None = option(
        None,
        "an encoder's checkpoint that teaches what passages and routed queries are alike (default: BM25)",
    )
    collections: list[str] | None = option(None, "what the source `questions` draws from (default: all)")
    data: list[Path] | None = option(
        None, "files of your own, .jsonl or .parquet: the source `own`, alone unless --weights say otherwise"
    )
    validation: Path | None = option(
        None, "a file like those of --data to measure by (default: a tenth of their queries is held out)"
    )


@dataclass
class StepOptions:
    """What a step does. What is left out has its default; a resumed run keeps its own."""

    lr: float | None = option(None, f"peak (default: {SftConfig.lr:g}, and {OWN_LR:g} with --data)", above=0)
    tokens: int | None = option(None, f"per micro-batch, at most (default: {SftConfig.tokens})", least=1)
    accumulate: int | None = option(None, f"micro-batches a step (default: {SftConfig.accumulate})", least=1)
    optimizer: str | None = option(
        None, f"of the layers' matrices (default: {SftConfig.optimizer})", ("adamw", "muon")
    )
    attention: str | None = option(
        None, "what a candidate sees (default: as `start` has it; block of a new model)", ("block", "causal")
    )
    method: str | None = option(
        None,
        "which question a language model without a pointer head learns to answer (default: "
        f"{SftConfig.method})",
        TRAINABLE,
    )
    lora_rank: int | None = option(
        None,
        "of such a model: train adapters of this rank in place of all weights (peft); 0: all weights (default: "
        f"{SftConfig.lora_rank})",
        least=0,
    )
    anchor: float | None = option(
        None,
        "share of what is wanted of passages that the start itself says, so that it is not unlearnt (default: "
        f"{SftConfig.anchor:g})",
        least=0,
    )
    precision: str | None = option(
        None, "of the layers (default: bf16 where the device multiplies it)", ("bf16", "fp32")
    )
    save_dtype: str | None = option(None, SAVED_AS, SAVE_DTYPES)
    seed: int | None = option(None, f"of weights and batches (default: {SftConfig.seed})", least=0)


@dataclass
class SftOptions:
    """All of the command line, room by room."""

    run: RunOptions
    model: ModelOptions
    data: DataOptions
    step: StepOptions


def parse(words: Sequence[str] | None = None) -> SftOptions:
    """Command line over YAML (`--config`) over defaults.

    What cannot be read ends the process with a message. Raises ValueError for a folder that cannot be written to, for
    one that holds nothing to resume, and for a length that is said twice; FileExistsError when a run would begin in
    another's folder.
    """
    options = SftOptions(
        *parse_options(
            (RunOptions, ModelOptions, DataOptions, StepOptions),
            words,
            prog=command("sft"),
            description="Supervised training: of a small ranker with a pointer head, or of any causal language model.",
        )
    )
    check_folder("--out", options.run.out)
    lengths = {name: getattr(options.run, name) for name in ("steps", "minutes", "passes")}
    given = [f"--{name} {value:g}" for name, value in lengths.items() if value is not None]
    if len(given) > 1:
        raise ValueError(
            f"{' and '.join(given)} each say how long the run is: give one of them alone (a --config file counts, too)"
        )
    check_begun(options.run.out, options.run.resume)
    return options


def training_device(run: RunOptions) -> torch.device:
    """Where a run trains. Raises ValueError for a device that is not there."""
    device = best_device() if run.device is None else torch.device(run.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {run.device!r} was asked for, but this torch sees no GPU")
    return device


def shares(entries: Sequence[str]) -> dict[str, float]:
    """`["movies=0.2", …]` → {"movies": 0.2, …}. Raises ValueError for an entry that is not name=number, and once."""
    return named_numbers(entries, "weights are given as source=share (squad=0.5)")


def configured(options: SftOptions, saved: dict[str, Any] | None = None) -> SftConfig:
    """What the options say; of a run to resume, what it has `saved`, see `resumed`.

    The model's shape waits for the vocabulary. Raises ValueError for options that do not go together.
    """
    given: dict[str, Any] = {"steps": options.run.steps, **asdict(options.data), **asdict(options.step)}
    given["weights"] = given["weights"] and shares(given["weights"])
    if options.data.data is not None:  # whole paths: a run may be resumed from another folder
        given["data"] = [str(path.resolve()) for path in options.data.data]
    if options.data.validation is not None:
        given["validation"] = str(options.data.validation.resolve())
    given["teacher"], given["start"] = whole_path(given["teacher"]), whole_path(options.model.start)
    given = {name: value for name, value in given.items() if value is not None}
    device = training_device(options.run)
    if saved is not None:
        config = resumed(options, saved, given)
    else:
        if "data" in given:
            own = {"lr": OWN_LR, "weights": {OWN: 1.0}, "start": whole_path(DEFAULT_MODEL)}
            given = {**own, **given}
        shape = [f"--{name} {value}" for name, value in shape_of(options.model).items()]
        if shape and "start" in given:
            raise ValueError(
                f"{' and '.join(shape)}: of a new model, and this run starts from {given['start']}: leave that out"
            )
        config = SftConfig(**{"precision": best_precision(device), **given})
    if config.precision == "bf16":
        warn_if_emulated(device, torch.bfloat16, "precision")
    if options.run.passes is not None and set(config.weights) != {OWN}:
        raise ValueError(
            f"--passes {options.run.passes:g} counts how often rows of --data are seen, and this run learns from "
            f"{', '.join(config.weights)}: give --steps or --minutes"
        )
    return config


def shape_of(model: ModelOptions) -> dict[str, int]:
    """What was said of a new model's shape."""
    said = {"layers": model.layers, "hidden": model.hidden}
    return {name: value for name, value in said.items() if value is not None}


def resumed(options: SftOptions, saved: dict[str, Any], given: dict[str, Any]) -> SftConfig:
    """What a run has `saved`, but for what is `given` of `_FREE`.

    Raises ValueError, naming them, for other options that are not what the run was begun with.
    """
    new = {"minutes": options.run.minutes, "passes": options.run.passes, "tokenizer": options.model.tokenizer}
    told = [f"--{name} {value}" for name, value in new.items() if value is not None]
    if told:
        raise ValueError(
            f"{', '.join(told)}: for runs that begin, and this one is resumed, with its own tokenizer and number of "
            "steps: leave that out (--steps gives it another end)"
        )
    shape = ModelConfig(**saved["model"])
    config = SftConfig(**{**saved, "model": shape, "betas": tuple(saved["betas"])})
    begun = config.to_dict()
    if config.start is None:
        begun |= {"layers": shape.num_hidden_layers, "hidden": shape.hidden_size}
    changed = [
        f"--{name} was {begun.get(name)!r} and is now {value!r}"
        for name, value in {**given, **shape_of(options.model)}.items()
        if name not in _FREE and begun.get(name) != value
    ]
    if changed:
        raise ValueError(
            f"the run in {options.run.out} was begun with other settings: {'; '.join(changed)}. Leave that out, or "
            "begin another run in another --out"
        )
    return replace(config, **{name: given[name] for name in _FREE if name in given})


def whole_path(model: str | Path | None) -> str | None:
    """The whole path of a model that is there, so that it is found from any folder; a name of the hub as it is."""
    if model is None:
        return None
    return str(Path(model).resolve() if Path(model).exists() else model)


def saved_settings(out: Path) -> dict[str, Any]:
    """`config.json` of a run's folder. Raises ValueError, naming it, when it is broken."""
    return read_json(out / "config.json")
