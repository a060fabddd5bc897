"""Reads a checkpoint of any kind: config, tokenizer, weights, each checked for what ranking needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from rranker.item_factors import ItemFactors

from ..encoders import is_encoder, position_offset
from ..errors import UnsupportedModelError
from .adapter_embeddings import MERGE_IT
from .adapters import base_of, is_adapter, merge_adapter, refuse_adapter
from .arguments import as_source
from .compatibility import check_kind, check_model_type, check_supported, is_multimodal, text_config
from .files import incomplete, read_json
from .gguf import GGUFFile, is_gguf
from .hub import download
from .item_factors import FACTORS_FILE, load_item_factors
from .quantised import check_quantised
from .quiet import quiet
from .settings import ModelSettings
from .tokenizer import check_vocabulary, has_tokenizer, read_tokenizer
from .weights import check_finite, check_report, read_weights


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint holds. `config` is that of `lm`: the text model's, where the checkpoint is multimodal.

    `folder` is where it lies. `lm` is None when it was read without weights. `item_factors`: what it knows of items by
    name, where it does.
    """

    folder: Path
    config: Any
    settings: ModelSettings
    tokenizer: Any
    lm: Any
    item_factors: ItemFactors | None = None

    @property
    def context(self) -> int | None:
        """Positions the model was made for; None when its config does not say."""
        positions = getattr(self.config, "max_position_embeddings", None)
        if positions is None or not is_encoder(self.config):
            return positions
        from transformers import AutoModel

        lm = self.lm
        if lm is None:
            with torch.device("meta"):  # its shape without its weights
                lm = AutoModel.from_config(self.config)
        return int(positions) - position_offset(lm)


def read_checkpoint(model: str | Path, dtype: torch.dtype | None) -> Checkpoint:
    """Config, tokenizer and weights of a folder, a hub name, a GGUF file or an adapter merged into its base.

    Weights are of `dtype`, on the CPU; None: without them.

    Raises FileNotFoundError when it, or a file of it, is not there; UnsupportedModelError for what is neither a
    causal language model nor an encoder, or lacks weights of one; ValueError for a damaged file; ImportError, naming
    the extra, when a package is missing. All name the file or the checkpoint.
    """
    source = as_source(model)
    assert source is not None
    return _read(source, dtype)


def _read(source: str | Path, dtype: torch.dtype | None, adapter: Path | None = None) -> Checkpoint:
    """`read_checkpoint`, of the base of `adapter` where there is one."""
    with quiet():
        if is_gguf(source):
            return _read_gguf(Path(source), dtype)
        # The small files first: what will be refused is refused before its weights are downloaded.
        folder = _small_files(source, adapter)
        if is_adapter(folder):
            return _read_adapted(source, folder, dtype)
        config = _read_config(folder)
        settings = ModelSettings.read(getattr(config, "rranker", None), folder / "config.json")
        tokenizer = read_tokenizer(folder)
        text = text_config(config)
        check_vocabulary(folder, text, tokenizer)
        factors = _item_factors(folder, settings)
        if dtype is None:
            return Checkpoint(folder, text, settings, tokenizer, None, factors)
        if isinstance(source, str):
            folder = download(source, weights=True)
        lm = read_weights(folder, text, dtype, within_multimodal=text is not config)
    check_finite(folder, lm)
    return Checkpoint(folder, text, settings, tokenizer, lm, factors)


def read_config(model: str | Path) -> Any:
    """transformers' config of a checkpoint that the engine supports. Raises as `read_checkpoint` does."""
    source, adapter = as_source(model), None
    assert source is not None
    with quiet():
        while not is_gguf(source):
            folder = _small_files(source, adapter)
            if not is_adapter(folder):
                return _read_config(folder)
            source, adapter = base_of(folder), folder
        return _gguf_config(GGUFFile(Path(source)))


def _small_files(source: str | Path, adapter: Path | None) -> Path:
    """A folder with config and tokenizer: the checkpoint's own, or the one they were downloaded to.

    Raises UnsupportedModelError when it is to be the base of `adapter`, and is an adapter.
    """
    folder = download(source, weights=False) if isinstance(source, str) else source
    if adapter is not None:
        refuse_adapter(source, folder, adapter)
    return folder


def _read_config(folder: Path) -> Any:
    from transformers import AutoConfig

    path = folder / "config.json"
    if not path.is_file():
        raise incomplete(folder)
    check_model_type(read_json(path), path)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except MemoryError:
        raise
    except Exception as error:  # config classes check their fields with errors of their own
        raise ValueError(f"{path} does not describe a model that can be built: {error}") from error
    check_kind(config, folder)
    check_supported(text_config(config))
    check_quantised(config, folder, multimodal=is_multimodal(config))
    return config


def _item_factors(folder: Path, settings: ModelSettings) -> ItemFactors | None:
    """Those beside the weights. Raises ValueError where they do not go with the model."""
    factors = load_item_factors(folder)
    if factors is not None and settings.pooling == "last":
        raise ValueError(
            f"{folder} holds {FACTORS_FILE}, which is weighed against similarities to the query, and this model reads "
            f"{settings.pooling!r} states alone: take the file away"
        )
    return factors


def _read_gguf(path: Path, dtype: torch.dtype | None) -> Checkpoint:
    file = GGUFFile(path)
    config, tokenizer, lm = _gguf_config(file), file.tokenizer(), None
    check_vocabulary(path, config, tokenizer)
    if dtype is not None:
        lm, report = file.weights(config, dtype)
        check_report(path, lm, report)
        check_finite(path, lm)
    return Checkpoint(path.parent, config, ModelSettings(), tokenizer, lm)


def _gguf_config(file: GGUFFile) -> Any:
    config = file.config()
    check_kind(config, file.path)
    check_supported(config)
    return config


def _read_adapted(source: str | Path, folder: Path, dtype: torch.dtype | None) -> Checkpoint:
    base = _read(base_of(folder), dtype, adapter=folder)
    if is_encoder(base.config):
        raise UnsupportedModelError(
            f"the adapter in {folder} is of an encoder ({base.folder}); those of causal language models alone "
            f"are merged here: {MERGE_IT}"
        )
    tokenizer = read_tokenizer(folder) if has_tokenizer(folder) else base.tokenizer
    settings = replace(base.settings, calibration=None)  # fitted on other weights
    if dtype is None:  # how many tokens it knows, the adapter's weights say
        return Checkpoint(base.folder, base.config, settings, tokenizer, None, base.item_factors)
    if isinstance(source, str):
        folder = download(source, weights=True)
    lm = merge_adapter(folder, base.lm)
    check_vocabulary(
        folder, lm.config, tokenizer, f"tokens were added whose embeddings are not in the adapter: {MERGE_IT}"
    )
    check_finite(folder, lm)
    return Checkpoint(base.folder, lm.config, settings, tokenizer, lm, base.item_factors)
