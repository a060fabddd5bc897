"""GGUF files, as llama.cpp writes them: config, tokenizer and weights, read by transformers, checked for what it skips.

transformers has `gguf` parse a file's metadata for each of the three, and build a table of tensor names for every
module of the model; that is two thirds of the time. Here `gguf` does both once (`_once`). transformers' own parser, of
which the tokenizer is made, reads the metadata as well; it is fast, and left as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

from ..errors import UnsupportedModelError
from .files import refuse_pointer
from .gguf_facts import check_facts, check_tokenizer_kind, set_pre_tokenizer, set_window
from .gguf_rope import FACTORS, set_scaled_rope
from .quantised import forget_quantiser

SUFFIX = ".gguf"
_STAND_INS = Lock()  # held while the `gguf` module has some: it belongs to the process
_LONG = ("GGUF.", "tokenizer.ggml.token", "tokenizer.ggml.merges", "tokenizer.ggml.scores")
_CONVERT = (
    "Use the model's checkpoint folder in place of the GGUF file (config.json, tokenizer, *.safetensors)"
)


def is_gguf(source: str | Path) -> bool:
    """Whether a source that `as_source` found is a GGUF file."""
    return isinstance(source, Path) and source.suffix.lower() == SUFFIX and source.is_file()


class GGUFFile:
    """One GGUF file, its header read.

    Raises ImportError, naming the extra, when a package is missing; ValueError when the file is damaged;
    UnsupportedModelError for what cannot be run from it as it was meant.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._understood = set[str]()  # tensors that became settings of the config
        self._reader = _read_header(path)
        # transformers takes a Llama of the name "mistral" for another architecture, whose tensors gguf has no names of.
        self._reader.fields.pop("general.name", None)
        architecture = self._fact("general.architecture")
        _check_architecture(path, architecture)
        self.facts = {
            name.removeprefix(f"{architecture}."): self._fact(name)
            for name in self._reader.fields
            if not name.startswith(_LONG)
        }
        """Metadata by name, the architecture's own without its prefix; what has an entry a token is left out."""
        if (parts := self.facts.get("split.count") or 1) > 1:
            raise UnsupportedModelError(
                f"{path} is one of {parts} parts of a model: put them together with "
                "`llama-gguf-split --merge` and give the result"
            )

    def config(self) -> Any:
        """transformers' config. Raises UnsupportedModelError for settings that transformers would leave out."""
        from transformers import AutoConfig

        with _once(self.path, self._reader):
            config = AutoConfig.from_pretrained(self.path.parent, gguf_file=self.path.name)
        check_facts(self.path, self.facts, config)
        set_window(self.path, self.facts, config)
        for tensor in self._reader.tensors:
            if tensor.name == FACTORS and set_scaled_rope(config, tensor.data):
                self._understood = {FACTORS}
        return config

    def tokenizer(self) -> Any:
        """The file's own tokenizer; files beside it are not read. Raises what `check_tokenizer_kind` raises."""
        from transformers import PreTrainedTokenizerFast

        check_tokenizer_kind(self.path, self.facts)
        tokenizer = PreTrainedTokenizerFast(gguf_file=self.path.name, name_or_path=str(self.path.parent))
        set_pre_tokenizer(tokenizer, self.facts)
        return tokenizer

    def weights(self, config: Any, dtype: torch.dtype) -> tuple[Any, dict[str, Any]]:
        """The model, dequantised to `dtype`, and transformers' report.

        Raises UnsupportedModelError for a type of block that the `gguf` package does not read, and for tensors that
        transformers would leave out.
        """
        from transformers import AutoModelForCausalLM

        with _once(self.path, self._reader):
            try:
                lm, report = AutoModelForCausalLM.from_pretrained(
                    self.path.parent,
                    gguf_file=self.path.name,
                    config=config,
                    dtype=dtype,
                    trust_remote_code=False,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,  # the report names them; the error that comes without it does not
                )
            except NotImplementedError as error:
                kinds = sorted({tensor.tensor_type.name for tensor in self._reader.tensors})
                raise UnsupportedModelError(
                    f"{self.path} cannot be read by the installed `gguf` package ({error}; its tensors are "
                    f"{', '.join(kinds)}): a newer one may (`pip install -U gguf`). {_CONVERT}"
                ) from error
            self._check_all_used(lm)
        forget_quantiser(lm)
        return lm, report

    def _check_all_used(self, lm: Any) -> None:
        from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, get_gguf_hf_weights_map

        processor = TENSOR_PROCESSORS.get(self._fact("general.architecture"))
        known = get_gguf_hf_weights_map(lm, _processor(processor, lm.config))
        names = [tensor.name for tensor in self._reader.tensors]
        unused = [name for name in names if name not in known and name not in self._understood]
        if unused:
            shown = f"{', '.join(unused[:3])}{', …' if len(unused) > 3 else ''}"
            raise UnsupportedModelError(
                f"{self.path} has tensors that transformers would leave out ({shown}): {type(lm).__name__} would "
                f"compute something else than was trained. {_CONVERT}"
            )

    def _fact(self, name: str) -> Any:
        field = self._reader.fields.get(name)
        return None if field is None else field.contents()


def _processor(kind: Any, config: Any) -> Any:
    from transformers.modeling_gguf_pytorch_utils import TensorProcessor

    return (kind or TensorProcessor)(config=config.to_dict())


def _read_header(path: Path) -> Any:
    try:
        import accelerate  # noqa: F401 (transformers reads GGUF weights with it)
        from gguf.gguf_reader import GGUFReader  # never the stand-in of a load in another thread
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{path} is a GGUF file; reading it needs gguf, accelerate and transformers 5.24 or newer: "
            f"pip install -U 'rranker[gguf]' ({error})"
        ) from error
    with path.open("rb") as file:
        start = file.read(64)
    refuse_pointer(path, start)
    if not start.startswith(b"GGUF"):
        raise ValueError(f"{path} is not a GGUF file: it begins with {start[:4]!r}, not b'GGUF'")
    try:
        return _plain_arrays(GGUFReader)(path)
    except MemoryError:
        raise
    except Exception as error:  # NumPy says what it likes of a header that does not add up
        raise ValueError(
            f"{path} is damaged or was not copied to its end ({path.stat().st_size:,} bytes): {error}. Copy or "
            "download it again"
        ) from error


def _plain_arrays(reader: Any) -> Any:
    """A GGUFReader that looks at the file through a plain array: slices of a `memmap` take three times as long."""

    class Reader(reader):  # type: ignore[misc]
        @property
        def data(self) -> Any:
            return self._data

        @data.setter
        def data(self, mapped: Any) -> None:
            self._data = mapped.view(np.ndarray)

    return Reader


def _check_architecture(path: Path, name: Any) -> None:
    from transformers import __version__
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    # transformers' own names, and llama.cpp's for the same.
    known = {*GGUF_SUPPORTED_ARCHITECTURES, "qwen2moe", "qwen3moe", "gpt-oss", "minimax-m2"}
    if name not in known:
        raise UnsupportedModelError(
            f"{path}: the installed transformers {__version__} does not read GGUF files of the architecture {name!r} "
            f"(but of {', '.join(sorted(known))}). {_CONVERT}"
        )


@contextmanager
def _once(path: Path, reader: Any) -> Iterator[None]:
    """Inside, whoever reads the file at `path` gets `reader`, and tables of tensor names are made once.

    transformers looks both up in the `gguf` module whenever it reads; the module belongs to all threads, so loads take
    turns. Whoever opens another file meanwhile, or this one to write, gets what they would get outside. The bar that
    transformers shows is under its own switch for bars, which it does not ask.
    """
    import gguf
    from transformers import modeling_gguf_pytorch_utils as weights
    from transformers.utils.logging import is_progress_bar_enabled

    with _STAND_INS:
        own_reader = gguf.GGUFReader

        def opened(asked: Any, mode: Any = "r") -> Any:
            same = mode == "r" and os.path.realpath(asked) == os.path.realpath(path)
            return reader if same else own_reader(asked, mode)

        stand_ins = [
            (gguf, "GGUFReader", opened),
            (gguf, "get_tensor_name_map", cache(gguf.get_tensor_name_map)),
        ]
        if hasattr(weights, "tqdm"):
            stand_ins.append((weights, "tqdm", partial(weights.tqdm, disable=not is_progress_bar_enabled())))
        own = [(module, name, getattr(module, name)) for module, name, _ in stand_ins]
        try:
            for module, name, stand_in in stand_ins:
                setattr(module, name, stand_in)
            yield
        finally:
            for module, name, value in own:
                setattr(module, name, value)
