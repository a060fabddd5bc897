"""Reads a checkpoint folder: config, tokenizer, weights, each checked for what ranking needs.

transformers fills weights that a checkpoint lacks with random numbers, makes an empty tokenizer where there is none,
and reports it in a log. Here these are errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import SettingError, UnsupportedModelError
from .arguments import as_source
from .compatibility import check_adapter, check_kind, check_model_type, check_supported, is_multimodal
from .files import check_json, check_weights, incomplete, read_json
from .hub import download
from .quiet import logger, quiet
from .settings import ModelSettings

_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken", "tekken.json")
# Where multimodal checkpoints keep the weights of their text model, and where that model looks for them.
_TEXT_WEIGHTS = {
    r"^(model\.)?language_model\.model\.": "model.",
    r"^(model\.)?language_model\.lm_head\.": "lm_head.",
    r"^(model\.)?language_model\.": "model.",
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a folder holds. `config` is that of `lm`: the text model's, where the checkpoint is multimodal.

    `lm` is None when it was read without weights.
    """

    folder: Path
    config: Any
    settings: ModelSettings
    tokenizer: Any
    lm: Any


def read_checkpoint(model: str | Path, dtype: torch.dtype | None) -> Checkpoint:
    """A folder's, or a hub name's, config, tokenizer and weights (as `dtype`, on the CPU; None: without them).

    Raises FileNotFoundError when it, or a file of it, is not there; UnsupportedModelError for what is not a causal
    language model or lacks weights of one; ValueError for a damaged file. All name the file or the checkpoint.
    """
    source = as_source(model)
    assert source is not None
    with quiet():
        # The small files first: what will be refused is refused before its weights are downloaded.
        folder = _small_files(source)
        config = _read_config(folder)
        settings = ModelSettings.read(getattr(config, "rranker", None), folder / "config.json")
        tokenizer = _read_tokenizer(folder)
        text = config.text_config if is_multimodal(config) else config
        _check_vocabulary(folder, text, tokenizer)
        if dtype is None:
            return Checkpoint(folder, text, settings, tokenizer, None)
        if isinstance(source, str):
            folder = download(source, weights=True)
        lm = _read_weights(folder, text, dtype, _TEXT_WEIGHTS if text is not config else None)
    _check_finite(folder, lm)
    return Checkpoint(folder, text, settings, tokenizer, lm)


def read_config(model: str | Path) -> Any:
    """transformers' config of a checkpoint that the engine supports. Raises as `read_checkpoint` does."""
    source = as_source(model)
    assert source is not None
    with quiet():
        return _read_config(_small_files(source))


def _small_files(source: str | Path) -> Path:
    """A folder with config and tokenizer: the checkpoint's own, or the one they were downloaded to."""
    return download(source, weights=False) if isinstance(source, str) else source


def _read_config(folder: Path) -> Any:
    from transformers import AutoConfig

    path = folder / "config.json"
    if not path.is_file():
        check_adapter(folder)
        raise incomplete(folder)
    check_model_type(read_json(path), path)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except MemoryError:
        raise
    except Exception as error:  # config classes check their fields with errors of their own
        raise ValueError(f"{path} does not describe a model that can be built: {error}") from error
    check_kind(config, folder)
    check_supported(config.text_config if is_multimodal(config) else config)
    return config


def _read_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # the tokenizers library raises plain Exceptions
        check_json(folder)
        if not any(any(folder.glob(pattern)) for pattern in _VOCABULARIES):
            raise _without_tokenizer(folder) from error
        raise ValueError(f"the tokenizer in {folder} cannot be read: {error}") from error
    # Where a tokenizer's files are missing, transformers makes one that knows special tokens only.
    if not set(tokenizer.get_vocab()) - set(tokenizer.get_added_vocab()):
        raise _without_tokenizer(folder)
    return tokenizer


def _without_tokenizer(folder: Path) -> FileNotFoundError:
    return FileNotFoundError(
        f"{folder} has no tokenizer: it needs tokenizer.json (or another vocabulary file) beside the weights, as "
        "`tokenizer.save_pretrained` writes it"
    )


def _check_vocabulary(folder: Path, config: Any, tokenizer: Any) -> None:
    # transformers gives some tokenizers special tokens that the checkpoint never had. Only prompts' tokens count: text,
    # the beginning of a sequence, and what the chat template writes.
    written = str(tokenizer.chat_template)
    never = {
        place
        for place, token in tokenizer.added_tokens_decoder.items()
        if token.special and token.content != tokenizer.bos_token and token.content not in written
    }
    largest = max(place for place in tokenizer.get_vocab().values() if place not in never)
    if largest >= config.vocab_size:
        raise UnsupportedModelError(
            f"the tokenizer in {folder} has ids up to {largest}, but the model knows {config.vocab_size} tokens "
            "(`vocab_size` in config.json): it belongs to another model, or tokens were added without "
            "`resize_token_embeddings`"
        )


def _read_weights(folder: Path, config: Any, dtype: torch.dtype, renamed: dict[str, str] | None) -> Any:
    from transformers import AutoModelForCausalLM

    check_weights(folder)
    lm, report = AutoModelForCausalLM.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # the report names them; the error that comes without it does not
        key_mapping=renamed,
    )
    _check_report(folder, lm, report)
    return lm


def _check_report(folder: Path, lm: Any, report: dict[str, Any]) -> None:
    """Refuses a model that is not, to its last weight, what the checkpoint holds."""
    kind = type(lm).__name__
    if report["error_msgs"]:
        raise ValueError(
            f"the weights in {folder} cannot be read: {'; '.join(map(str, report['error_msgs']))}"
        )
    if report["mismatched_keys"]:
        name, held, wanted = sorted(report["mismatched_keys"])[0]
        raise UnsupportedModelError(
            f"the weights in {folder} do not fit its config.json: {name} is {list(held)}, where the config describes "
            f"{list(wanted)} ({len(report['mismatched_keys'])} such weights)"
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise UnsupportedModelError(
            f"the checkpoint in {folder} lacks weights of {kind}: {_some(missing)}. They would be random numbers, and "
            "so would the rankings"
        )
    # Weights that the model's own modules have no place for: it would compute something else than was trained. Those of
    # other modules (a value head, a vision tower) are not needed.
    extra, own = sorted(report["unexpected_keys"]), {name for name, _ in lm.named_modules() if name}
    unused = [name for name in extra if _belongs(name, own)]
    if unused:
        raise UnsupportedModelError(
            f"the checkpoint in {folder} has weights that {kind} has no place for: {_some(unused)}. Its config.json "
            "describes another model than was trained"
        )
    if extra:
        logger.info("%s holds weights that are not needed to rank: %s", folder, _some(extra))


def _belongs(name: str, modules: set[str]) -> bool:
    """Whether a weight's module, or the list of layers it would be in, is one of `modules`."""
    parents = name.split(".")[:-1]
    while parents and parents[-1].isdigit():
        parents.pop()
    return ".".join(parents) in modules or any(
        part.isdigit() and ".".join(parents[:place]) in modules for place, part in enumerate(parents)
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown}, … ({len(names)} in all)"


def _check_finite(folder: Path, lm: Any) -> None:
    for name, weight in lm.named_parameters():
        low, high = weight.detach().aminmax()
        if torch.isnan(low) or torch.isnan(high):
            raise ValueError(f"weights contain NaN ({name} of the checkpoint in {folder}): they are damaged")
        if torch.isinf(low) or torch.isinf(high):
            if lm.dtype == torch.float16:
                raise SettingError(
                    f"the checkpoint in {folder} overflows in float16 ({name}): use dtype='bfloat16' or 'float32'"
                )
            raise ValueError(f"weights are infinite ({name} of the checkpoint in {folder}): they are damaged")
