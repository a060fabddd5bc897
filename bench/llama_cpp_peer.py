"""llama.cpp, by llama-cpp-python with its prompt cache, as a peer of `bench.side_by_side`.

`pip install llama-cpp-python` compiles it, which takes minutes; where it is missing its rows are left out.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

_CONTEXT = 4096


def llama_cpp_is_there() -> bool:
    """Whether llama-cpp-python is installed."""
    return find_spec("llama_cpp") is not None


class LlamaCpp:
    """A GGUF file on one thread. What a prompt has in common with the one before stays in the cache.

    `exact` holds keys and values in float32, as the other columns do; else they are llama.cpp's own float16.
    """

    def __init__(self, weights: Path, *, exact: bool) -> None:
        self._library: Any = importlib.import_module("llama_cpp")
        held = self._library.GGML_TYPE_F32 if exact else self._library.GGML_TYPE_F16
        self._lm: Any = self._library.Llama(
            str(weights),
            n_ctx=_CONTEXT,
            n_threads=1,
            n_threads_batch=1,
            type_k=held,
            type_v=held,
            verbose=False,
        )
        self.tokens = 0

    def logits(self, prompt: list[int]) -> torch.Tensor:
        """[V] behind a prompt."""
        before = self._lm.input_ids[: self._lm.n_tokens].tolist()
        same = [a == b for a, b in zip(before, prompt, strict=False)]
        common = same.index(False) if False in same else len(same)
        self.tokens += len(prompt) - min(common, len(prompt) - 1)
        next(self._lm.generate(prompt, temp=0.0))  # what its completions call; its one token is not evaluated
        row = self._library.llama_get_logits_ith(self._lm.ctx, -1)
        return torch.from_numpy(np.ctypeslib.as_array(row, shape=(self._lm.n_vocab(),)).copy())


def float32_gguf(weights: Path, cache: Path) -> Path:
    """A GGUF file with the same weights in float32, which is what every other column reads; made once, in `cache`."""
    import gguf

    path = cache / f"{weights.stem}-f32.gguf"
    if path.exists():
        return path
    read = gguf.GGUFReader(weights)
    with TemporaryDirectory(dir=cache) as folder:
        written = Path(folder) / path.name
        architecture = read.fields["general.architecture"].contents()
        writer = gguf.GGUFWriter(written, architecture)
        for name, field in read.fields.items():
            if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
                continue
            kind, *inner = field.types
            writer.add_key_value(name, field.contents(), kind, inner[-1] if inner else None)
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        for tensor in read.tensors:
            writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        written.rename(path)
    return path
