"""`rranker info`: what would rank here, and why."""

from __future__ import annotations

import json
import platform
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rranker import __version__
from rranker.cli.errors import command, results
from rranker.cli.loading import load_ranker
from rranker.cli.settings import Device, Dtype, Layout, Method, Model
from rranker.cli.tables import print_table

if TYPE_CHECKING:
    import torch

_EXTRAS = {
    "serve": ("fastapi", "uvicorn", "prometheus_client"),
    "train": ("trl", "datasets", "yaml"),
    "gguf": ("gguf",),
    "peft": ("peft",),
    "openai": ("openai",),
    "ray": ("ray",),
    "langchain": ("langchain_core", "langchain_classic"),
    "llama-index": ("llama_index",),
    "haystack": ("haystack",),
    "pyterrier": ("pyterrier",),
    "mteb": ("mteb",),
    "rerankers": ("rerankers",),
    "triton": ("triton",),
    "flashinfer": ("flashinfer",),
}


@command
def info(
    model: Model = None,
    device: Device = None,
    dtype: Dtype = None,
    method: Method = None,
    layout: Annotated[Layout, typer.Option("--format", "-f", help="What to write.")] = Layout.table,
) -> None:
    """Load a model and say where it runs, in which type, how it ranks, and why."""
    with load_ranker(model=model, device=device, dtype=dtype, method=method) as ranker:
        loaded = ranker.model
        lm, settings = loaded.lm, loaded.settings
        held = next(lm.parameters())
        seconds = ranker.load_seconds
        facts: dict[str, Any] = {
            "rranker": __version__,
            "python": platform.python_version(),
            **_versions(),
            "device": str(held.device),
            "device, why": _why_device(device, held.device),
            "dtype": str(lm.dtype).removeprefix("torch."),
            "dtype, why": _why_dtype(dtype, held.device, lm.dtype),
            "model": loaded.name,
            "class": type(lm).__name__,
            "context": loaded.context,
            "method": method or settings.method or "by template (docs/pretrained.md)",
            "method, why": _why_method(method, settings.method),
            "attention": settings.attention,
            "readout": settings.readout,
            "calibrated for": ", ".join(settings.calibration or ()) or "nothing",
            "items known by name": 0 if loaded.item_factors is None else len(loaded.item_factors.keys),
            "seconds to load": round(sum(seconds.values()), 2),
            "extras": ", ".join(name for name, needs in _EXTRAS.items() if all(map(find_spec, needs)))
            or "none",
        }
    with results():
        if layout is Layout.json:
            print(json.dumps(facts))
        else:
            print_table(
                ["what", "here"],
                [[name, _shown(value)] for name, value in facts.items()],
                left=("what", "here"),
            )


def _versions() -> dict[str, str]:
    import torch
    import transformers

    return {
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
        "platform": sys.platform,
    }


def _why_device(asked: str | None, device: torch.device) -> str:
    import torch

    if asked is not None:
        return "asked for"
    if device.type == "cuda":
        return f"the first of {torch.cuda.device_count()} GPUs: {torch.cuda.get_device_name(device)}"
    return "torch sees no GPU" if torch.version.cuda else "torch sees no GPU: it was built without CUDA"


def _why_dtype(asked: str | None, device: torch.device, dtype: torch.dtype) -> str:
    import torch

    from rranker.engine.hardware import runs_well

    if asked is not None:
        return "asked for" if runs_well(device, dtype) else "asked for; emulated here, and slow"
    if dtype == torch.bfloat16:
        return f"this {device.type.upper()} multiplies bfloat16"
    return f"this {device.type.upper()} would emulate bfloat16"


def _why_method(asked: str | None, trained: str | None) -> str:
    if asked is not None:
        return "asked for"
    return (
        "what measured best for models not trained to rank"
        if trained is None
        else "what the model was trained for"
    )


def _shown(value: Any) -> str:
    if value is None:
        return "not said"
    return f"{value:,}" if isinstance(value, int) else str(value)
