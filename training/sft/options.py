"""The command line of `python -m training.sft`, and the settings it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from rranker.engine.hardware import best_device, warn_if_emulated
from rranker.engine.loading.files import read_json
from rranker.engine.loading.model import DEFAULT_MODEL
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
from rranker.training.sft.config import SftConfig, best_precision

OWN_LR = 2e-4
"""What a model that ranks already learns other data by."""
MINUTES, PASSES = 40.0, 10.0
"""Of a run that says nothing of its length: passes where own data alone are learnt from."""


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
        "go on from OUT/state.pt with OUT's settings, but for --steps, --weights, --uniform and --early",
    )


@dataclass
class ModelOptions:
    """The shape of a new model, or an old one."""

    layers: int = option(ModelConfig.num_hidden_layers, "transformer layers", least=1)
    hidden: int = option(ModelConfig.hidden_size, "a multiple of 64", least=64)
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
    """What a step does. A resumed run keeps its own."""

    lr: float | None = option(None, f"peak (default: {SftConfig.lr:g}, and {OWN_LR:g} with --data)", above=0)
    tokens: int = option(SftConfig.tokens, "per micro-batch, at most", least=1)
    accumulate: int = option(SftConfig.accumulate, "micro-batches a step", least=1)
    optimizer: str = option(SftConfig.optimizer, "of the layers' matrices", ("adamw", "muon"))
    attention: str | None = option(
        None, "what a candidate sees (default: as `start` has it; block of a new model)", ("block", "causal")
    )
    method: str = option(
        SftConfig.method,
        "which question a language model without a pointer head learns to answer",
        TRAINABLE,
    )
    lora_rank: int = option(
        SftConfig.lora_rank,
        "of such a model: train adapters of this rank in place of all weights (peft); 0: all weights",
        least=0,
    )
    anchor: float = option(
        SftConfig.anchor,
        "share of what is wanted of passages that the start itself says, so that it is not unlearnt",
        least=0,
    )
    precision: str | None = option(
        None, "of the layers (default: bf16 where the device multiplies it)", ("bf16", "fp32")
    )
    save_dtype: str | None = option(None, SAVED_AS, SAVE_DTYPES)
    seed: int = option(SftConfig.seed, "of weights and batches", least=0)


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
            prog="python -m training.sft",
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
    has_state = (options.run.out / "state.pt").exists()
    if options.run.resume and not has_state:
        raise ValueError(f"there is nothing to resume in {options.run.out}: it has no state.pt")
    if has_state and not options.run.resume:  # interrupted, it would be resumed from the other run's weights
        raise FileExistsError(
            f"{options.run.out} has the state of a run already: go on with it by --resume, give another --out, or "
            "delete the folder"
        )
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
    """What the options say, over what a run to resume has `saved`. The model's shape waits for the vocabulary."""
    given: dict[str, Any] = {"steps": options.run.steps, **asdict(options.data)}
    given["weights"] = given["weights"] and shares(given["weights"])
    if options.data.data is not None:  # whole paths: a run may be resumed from another folder
        given["data"] = [str(path.resolve()) for path in options.data.data]
    if options.data.validation is not None:
        given["validation"] = str(options.data.validation.resolve())
    given["teacher"] = whole_path(given["teacher"])
    given = {name: value for name, value in given.items() if value is not None}
    chosen = {name: value for name, value in asdict(options.step).items() if value is not None}
    device = training_device(options.run)
    chosen.setdefault("precision", best_precision(device))
    if (saved or chosen)["precision"] == "bf16":
        warn_if_emulated(device, torch.bfloat16, "precision")
    if saved is not None:
        shape = {"model": ModelConfig(**saved["model"]), "betas": tuple(saved["betas"])}
        return SftConfig(**{**saved, **shape, **given})
    start = options.model.start
    if "data" in given:
        chosen, given, start = (
            {"lr": OWN_LR, **chosen},
            {"weights": {OWN: 1.0}, **given},
            start or DEFAULT_MODEL,
        )
    config = SftConfig(**given, **chosen, start=whole_path(start))
    if options.run.passes is not None and set(config.weights) != {OWN}:
        raise ValueError(
            f"--passes {options.run.passes:g} counts how often rows of --data are seen, and this run learns from "
            f"{', '.join(config.weights)}: give --steps or --minutes"
        )
    return config


def whole_path(model: str | Path | None) -> str | None:
    """The whole path of a model that is there, so that it is found from any folder; a name of the hub as it is."""
    if model is None:
        return None
    return str(Path(model).resolve() if Path(model).exists() else model)


def saved_settings(out: Path) -> dict[str, Any]:
    """`config.json` of a run's folder. Raises ValueError, naming it, when it is broken."""
    return read_json(out / "config.json")
