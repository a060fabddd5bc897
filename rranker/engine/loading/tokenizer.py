"""A checkpoint's tokenizer, checked: transformers makes an empty one where its files are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import UnsupportedModelError
from .files import check_json, read_json

_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken", "tekken.json")
_GENERAL = ("TokenizersBackend", "PreTrainedTokenizerFast")
"""Classes that no family of models owns: as transformers 5 calls it, and as it was called before."""


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a vocabulary."""
    return any(any(folder.glob(pattern)) for pattern in _VOCABULARIES)


def read_tokenizer(folder: Path) -> Any:
    """transformers' tokenizer of a checkpoint folder.

    Raises FileNotFoundError when there is none, ValueError, naming the file, for a damaged one.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    reader = PreTrainedTokenizerFast if _of_no_family(folder) else AutoTokenizer
    try:
        tokenizer = reader.from_pretrained(folder, trust_remote_code=False)
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # the tokenizers library raises plain Exceptions
        check_json(folder)
        if not has_tokenizer(folder):
            raise _without_tokenizer(folder) from error
        raise ValueError(f"the tokenizer in {folder} cannot be read: {error}") from error
    # Where a tokenizer's files are missing, transformers makes one that knows special tokens only.
    if not set(tokenizer.get_vocab()) - set(tokenizer.get_added_vocab()):
        raise _without_tokenizer(folder)
    return tokenizer


def _of_no_family(folder: Path) -> bool:
    """Whether all there is to know of a tokenizer stands in its tokenizer.json.

    Of some families transformers' AutoTokenizer makes one from the vocabulary alone, and splits text as that family
    does, also where a tokenizer of another kind was saved beside the model.
    """
    if not (folder / "tokenizer.json").is_file() or not (folder / "tokenizer_config.json").is_file():
        return False
    return read_json(folder / "tokenizer_config.json").get("tokenizer_class") in _GENERAL


def _without_tokenizer(folder: Path) -> FileNotFoundError:
    return FileNotFoundError(
        f"{folder} has no tokenizer: it needs tokenizer.json (or another vocabulary file) beside the weights, as "
        "`tokenizer.save_pretrained` writes it"
    )


def check_vocabulary(
    source: Path | str,
    config: Any,
    tokenizer: Any,
    cause: str = "tokens were added without `resize_token_embeddings`",
) -> None:
    """Raises UnsupportedModelError when `tokenizer` writes tokens that the model of `config` does not know.

    `cause`: how that can come about, other than by a tokenizer of another model.
    """
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
            f"the tokenizer of {source} has ids up to {largest}, but the model knows {config.vocab_size} tokens "
            f"(`vocab_size` in config.json): it belongs to another model, or {cause}"
        )
