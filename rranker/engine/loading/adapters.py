"""Adapters (LoRA and its relatives): merged into their base model's weights at load, so that ranking costs no more."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ..errors import UnsupportedModelError
from .adapter_embeddings import fit_vocabulary, untie
from .arguments import as_source
from .files import INDEX, WEIGHTS, check_tensors, read_json

CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter. Raises ValueError when it holds a model as well."""
    if not (folder / CONFIG).is_file():
        return False
    if any((folder / name).is_file() for name in (WEIGHTS, INDEX)):
        raise ValueError(
            f"{folder} holds a model and an adapter ({CONFIG}), and it is not clear which is meant: move the adapter "
            "to a folder of its own"
        )
    return True


def base_of(folder: Path) -> str | Path:
    """The checkpoint that an adapter changes, as its config names it.

    Raises UnsupportedModelError for an adapter that is not of a causal language model, or that none of its base's
    weights can hold; FileNotFoundError when the base is not there; ImportError when peft is missing.
    """
    path = folder / CONFIG
    entries = read_json(path)
    _import_peft(folder)
    task, kind = entries.get("task_type"), entries.get("peft_type")
    if task not in (None, "CAUSAL_LM"):
        raise UnsupportedModelError(
            f"{folder} holds an adapter for {task}; rranker needs one of a causal language model (CAUSAL_LM)"
        )
    name = entries.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise ValueError(
            f"{path} does not name its base model: set base_model_name_or_path to a checkpoint folder or a hub name"
        )
    try:
        base = as_source(name)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"the adapter in {folder} ({kind}) needs its base model: {error}. Set base_model_name_or_path in {path} to "
            "the base's folder or hub name"
        ) from error
    assert base is not None
    return base


def refuse_adapter(base: str | Path, folder: Path, adapter: Path) -> None:
    """Raises UnsupportedModelError where `base`, of the adapter in `adapter`, is one itself; it lies in `folder`."""
    if not is_adapter(folder):
        return
    if folder.resolve() == adapter.resolve():
        raise UnsupportedModelError(
            f"the adapter in {adapter} names itself ({base}) as its base: set base_model_name_or_path in "
            f"{adapter / CONFIG} to the folder or hub name of the model that it was trained on"
        )
    raise UnsupportedModelError(
        f"the base of the adapter in {adapter}, {base}, is an adapter itself: merge that one first (peft's "
        "`merge_and_unload`, then `save_pretrained`)"
    )


def merge_adapter(folder: Path, lm: Any) -> Any:
    """`lm` with the folder's adapter merged into its weights, and with the tokens that it was trained with.

    peft freezes what it adapts; once merged, the weights can be trained as those of any model.

    Raises FileNotFoundError or ValueError for missing or damaged weights, UnsupportedModelError for an adapter that
    does not fit `lm`, or that cannot be merged.
    """
    peft = _import_peft(folder)
    path = folder / ADAPTER_WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: it holds the adapter's weights (pickled ones are not read)"
        )
    check_tensors(path)
    try:
        config = peft.PeftConfig.from_pretrained(str(folder))
    except Exception as error:  # of its classes' own
        raise ValueError(f"{folder / CONFIG} cannot be read by the installed peft: {error}") from error
    config.inference_mode = True
    if config.is_prompt_learning:
        raise _not_mergeable(folder, config)
    said_again = fit_vocabulary(path, lm)
    with warnings.catch_warnings():
        # Of deprecated names that peft uses, and of what is an error here (below).
        warnings.filterwarnings("ignore", module=r"peft|transformers")
        try:
            adapted = peft.PeftModelForCausalLM(lm, config)
            report = adapted.load_adapter(str(folder), "default")
        except (ValueError, RuntimeError) as error:
            lines = [line.strip() for line in str(error).splitlines()]
            why = next((line for line in lines if "mismatch" in line), lines[0])
            raise _other_base(folder, lm, why) from error
    wrong = sorted({*report.missing_keys, *report.unexpected_keys} - said_again)
    if wrong:
        raise _other_base(folder, lm, f"{len(wrong)} weights are in one of them only, such as {wrong[0]}")
    if not hasattr(adapted.base_model, "merge_and_unload"):
        raise _not_mergeable(folder, config)
    untie(lm)
    return adapted.merge_and_unload().requires_grad_(True)


def _import_peft(folder: Path) -> Any:
    try:
        import peft
    except ImportError as error:
        raise ImportError(
            f"{folder} holds an adapter; loading it needs the peft package: pip install 'rranker[peft]' ({error})"
        ) from error
    return peft


def _other_base(folder: Path, lm: Any, why: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"the adapter in {folder} does not fit its base ({type(lm).__name__} of {lm.name_or_path or 'a GGUF file'}): "
        f"it was trained on another model. {why}"
    )


def _not_mergeable(folder: Path, config: Any) -> UnsupportedModelError:
    kind = getattr(config.peft_type, "value", config.peft_type)
    return UnsupportedModelError(
        f"the adapter in {folder} is of the kind {kind}, which cannot be merged into its base's weights; rranker ranks "
        "with merged weights only (LoRA and its relatives)"
    )
