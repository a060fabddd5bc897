"""A checkpoint's weights, checked: transformers fills those that are missing with random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..encoders import is_encoder
from ..errors import SettingError, UnsupportedModelError
from .files import check_weights
from .quantised import ask_for_plain_weights, dequantised
from .quiet import logger

# Where multimodal checkpoints keep the weights of their text model, and where that model looks for them.
_TEXT_WEIGHTS = {
    r"^(model\.)?language_model\.model\.": "model.",
    r"^(model\.)?language_model\.lm_head\.": "lm_head.",
    r"^(model\.)?language_model\.": "model.",
    r"^model\.text_model\.": "model.",
}


def read_weights(folder: Path, config: Any, dtype: torch.dtype, *, within_multimodal: bool) -> Any:
    """The causal language model, or the encoder, of a checkpoint folder, as `dtype`, on the CPU.

    `within_multimodal`: the folder holds it among other parts. Raises what `check_weights` and `check_report` raise.
    """
    from transformers import AutoModel, AutoModelForCausalLM

    check_weights(folder)
    ask_for_plain_weights(config, folder)
    kind = AutoModel if is_encoder(config) else AutoModelForCausalLM
    lm, report = kind.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # the report names them; the error that comes without it does not
        key_mapping=_TEXT_WEIGHTS if within_multimodal else None,
    )
    if getattr(lm, "pooler", None) is not None:  # what classifiers read of an encoder's first token
        lm.pooler = None
        report["missing_keys"] = {name for name in report["missing_keys"] if not name.startswith("pooler.")}
    check_report(folder, lm, report)
    return dequantised(lm, dtype)


def check_report(source: Path, lm: Any, report: dict[str, Any]) -> None:
    """Raises UnsupportedModelError for a model that is not, to its last weight, what the checkpoint holds.

    `report` is what transformers says of its loading.
    """
    kind = type(lm).__name__
    if report["error_msgs"]:
        raise ValueError(
            f"the weights in {source} cannot be read: {'; '.join(map(str, report['error_msgs']))}"
        )
    if report["mismatched_keys"]:
        name, held, wanted = sorted(report["mismatched_keys"])[0]
        described = "metadata" if source.is_file() else "config.json"
        raise UnsupportedModelError(
            f"the weights in {source} do not fit its {described}: {name} is {list(held)}, where the config describes "
            f"{list(wanted)} ({len(report['mismatched_keys'])} such weights)"
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise UnsupportedModelError(
            f"the checkpoint in {source} lacks weights of {kind}: {_some(missing)}. They would be random numbers, and "
            "so would the rankings"
        )
    # Weights that the model's own modules have no place for: it would compute something else than was trained. Those of
    # other modules (a value head, a vision tower) are not needed.
    extra, own = sorted(report["unexpected_keys"]), {name for name, _ in lm.named_modules() if name}
    unused = [name for name in extra if _belongs(name, own)]
    if unused:
        raise UnsupportedModelError(
            f"the checkpoint in {source} has weights that {kind} has no place for: {_some(unused)}. Its config.json "
            "describes another model than was trained"
        )
    if extra:
        logger.info("%s holds weights that are not needed to rank: %s", source, _some(extra))


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


def check_finite(source: Path | str, lm: Any) -> None:
    """Raises ValueError for weights that are not finite (SettingError where float16 made them so)."""
    for name, weight in lm.named_parameters():
        low, high = weight.detach().aminmax()
        if torch.isnan(low) or torch.isnan(high):
            raise ValueError(f"weights contain NaN ({name} of the checkpoint in {source}): they are damaged")
        if torch.isinf(low) or torch.isinf(high):
            if lm.dtype == torch.float16:
                raise SettingError(
                    f"the checkpoint in {source} overflows in float16 ({name}): use dtype='bfloat16' or 'float32'"
                )
            raise ValueError(f"weights are infinite ({name} of the checkpoint in {source}): they are damaged")
