"""How an encoder was trained to compare texts: what sentence-transformers saves beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import UnsupportedModelError
from .arguments import as_source
from .files import parse_json, read_json
from .hub import download

CompareBy = Literal["mean", "cls"]
_MODULES, _PROMPTS = "modules.json", "config_sentence_transformers.json"
_OLD = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""How releases before 5.3 wrote `pooling_mode`: a flag each."""


@dataclass(frozen=True, slots=True)
class SentenceEncoding:
    """By which states texts are compared, and what stands before a query and before a document."""

    pooling: CompareBy = "mean"
    query_prompt: str = ""
    document_prompt: str = ""


def read_sentence_encoding(model: str | Path, pooling: CompareBy | None = None) -> SentenceEncoding:
    """Of a checkpoint's folder, or of a name on the hub; the defaults where sentence-transformers did not write it.

    `pooling`, where it is given, goes before what the files say of it, whatever they say.

    Raises UnsupportedModelError for vectors that are made in ways that a ranking model has not, ValueError for a
    damaged file, FileNotFoundError for a missing one, what `download` raises.
    """
    source = as_source(model)
    assert source is not None
    folder = download(source, weights=False) if isinstance(source, str) else source
    if not (folder / _MODULES).is_file():
        return SentenceEncoding(pooling or "mean")
    query, document = _prompts(folder)
    if pooling is None:
        if isinstance(source, str):
            download(source, weights=False, folder="*_Pooling")
        pooling = _pooling(folder)
    return SentenceEncoding(pooling, query, document)


def _pooling(folder: Path) -> CompareBy:
    path = folder / _MODULES
    modules = parse_json(path)
    if not isinstance(modules, list) or not all(isinstance(m, Mapping) and "type" in m for m in modules):
        raise ValueError(f"{path} must hold a list of modules, each with its `type`")
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Normalize"}:
        raise UnsupportedModelError(
            f"{path}: its vectors are made by {', '.join(kinds)}, and a ranking model compares pooled states as they "
            "are (Transformer, Pooling, Normalize): what another layer makes of them would be lost"
        )
    path = folder / str(modules[1].get("path", "1_Pooling")) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: {folder / _MODULES} says that it tells how states are pooled"
        )
    saved = read_json(path)
    mode = saved.get("pooling_mode", [name for flag, name in _OLD.items() if saved.get(flag)] or "mean")
    (only,) = mode if isinstance(mode, list) and len(mode) == 1 else (mode,)
    if only not in ("mean", "cls") or saved.get("include_prompt") is False:
        raise UnsupportedModelError(
            f"{path}: pooling {only!r}"
            + (" without the prompt's tokens" if saved.get("include_prompt") is False else "")
            + " is not what a ranking model can compare by ('mean' or 'cls', of all tokens)"
        )
    return "cls" if only == "cls" else "mean"


def _prompts(folder: Path) -> tuple[str, str]:
    path = folder / _PROMPTS
    saved: Any = read_json(path).get("prompts") if path.is_file() else None
    prompts = saved or {}
    if not isinstance(prompts, Mapping) or not all(isinstance(text, str) for text in prompts.values()):
        raise ValueError(f"{path}: `prompts` must be an object of texts, not {saved!r}")
    # The names that sentence-transformers' encode_query and encode_document look for, in their order.
    documents = [prompts[name] for name in ("document", "passage", "corpus") if name in prompts]
    return prompts.get("query", ""), documents[0] if documents else ""
