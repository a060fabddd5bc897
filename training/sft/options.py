"""The command line of `python -m training.sft`, and the settings it makes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rranker.engine.files import read_json
from rranker.training.policy.model_config import ModelConfig
from rranker.training.sft.config import SftConfig


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m training.sft",
        description="Supervised training of the small ranker: block attention (or causal), a pointer head.",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/sft"))
    parser.add_argument(
        "--minutes", type=float, default=40.0, help="sets the number of steps by measured speed"
    )
    parser.add_argument("--steps", type=int, help="the number of steps itself; with --resume, a new end")
    parser.add_argument("--stop-at", type=int, help="a step to stop at, as if interrupted there")
    parser.add_argument("--lr", type=float, default=SftConfig.lr)
    parser.add_argument("--layers", type=int, default=ModelConfig.num_hidden_layers)
    parser.add_argument("--hidden", type=int, default=ModelConfig.hidden_size, help="a multiple of 64")
    parser.add_argument(
        "--weights",
        nargs="+",
        metavar="SOURCE=SHARE",
        help="the whole mixture: sources left out are not drawn",
    )
    parser.add_argument("--uniform", type=float, help="share of lists with uniform negatives (default: 0.5)")
    parser.add_argument("--early", type=float, help="share of histories of at most 40 items (default: 0)")
    parser.add_argument("--tokens", type=int, default=SftConfig.tokens, help="per micro-batch, at most")
    parser.add_argument("--accumulate", type=int, default=SftConfig.accumulate)
    parser.add_argument("--optimizer", choices=("adamw", "muon"), default=SftConfig.optimizer)
    parser.add_argument("--attention", choices=("block", "causal"), default=SftConfig.attention)
    parser.add_argument(
        "--precision",
        choices=("bf16", "fp32"),
        help="of the layers (default: bf16 where the CPU multiplies it)",
    )
    parser.add_argument("--save-every", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer folder, instead of training one")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from OUT/state.pt with OUT's settings, but for --steps, --weights, --uniform and --early",
    )
    options = parser.parse_args(words)
    if options.resume and not (options.out / "state.pt").exists():
        parser.error(f"there is nothing to resume in {options.out}: it has no state.pt")
    return options


def shares(entries: Sequence[str]) -> dict[str, float]:
    """`["movies=0.2", …]` → {"movies": 0.2, …}. Raises ValueError for an entry that is not name=number."""
    pairs = [entry.partition("=") for entry in entries]
    return {name: float(share) for name, _, share in pairs}


def configured(options: argparse.Namespace, saved: dict[str, Any] | None = None) -> SftConfig:
    """What the options say, over what a run to resume has `saved`. The model's shape waits for the vocabulary."""
    given: dict[str, Any] = {
        "steps": options.steps,
        "uniform": options.uniform,
        "early": options.early,
        "weights": options.weights and shares(options.weights),
    }
    given = {name: value for name, value in given.items() if value is not None}
    if saved is not None:
        shape = {"model": ModelConfig(**saved["model"]), "betas": tuple(saved["betas"])}
        return SftConfig(**{**saved, **shape, **given})
    names = ("lr", "tokens", "accumulate", "optimizer", "attention", "precision", "seed")
    chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return SftConfig(**given, **chosen)


def saved_settings(out: Path) -> dict[str, Any]:
    """`config.json` of a run's folder. Raises ValueError, naming it, when it is broken."""
    return read_json(out / "config.json")
