"""Embeddings of adapters: more tokens than the base has, and changes to what a tied head shares."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from ..errors import UnsupportedModelError

MERGE_IT = (
    "merge it where it was trained (peft's `merge_and_unload`, then `save_pretrained` of model and tokenizer) and load "
    "the merged folder"
)
"""What always helps."""
_PREFIX = "base_model.model."
_WHOLE = r"(?:\.modules_to_save|\.original_module|(?:\.token_adapter)?\.base_layer)?\.weight"
"""Behind a module's name: its whole weight, not what is added to it."""


def fit_vocabulary(path: Path, lm: Any) -> set[str]:
    """Gives `lm` as many tokens as the embeddings in an adapter's file have, which are still to be loaded.

    Returns the weights in the file that say again what others do: of enlarged embeddings, peft saves some twice, and
    has no place for the second. Raises UnsupportedModelError when the file lacks some that the new tokens need.
    """
    from safetensors import safe_open

    ends = lm.get_input_embeddings(), lm.get_output_embeddings()
    names = [name for end in ends for name, module in lm.named_modules() if module is end]
    tied, held = ends[0].weight is ends[1].weight, dict[str, int]()
    with safe_open(path, "pt") as file:
        keys = set(file.keys())
        for name in names:
            whole = [key for key in keys if re.fullmatch(re.escape(_PREFIX + name) + _WHOLE, key)]
            if whole:
                held[name] = file.get_slice(whole[0]).get_shape()[0]
    size, had = max(held.values(), default=0), ends[0].weight.shape[0]
    if held and size != had:
        lacking = [name for name in (names[:1] if tied else names) if held.get(name) != size]
        if lacking and size > had:
            raise UnsupportedModelError(
                f"the adapter in {path.parent} was trained with {size} tokens, of which its base has {had}, and does "
                f"not hold {lacking[0]} of the others: {MERGE_IT}"
            )
        lm.resize_token_embeddings(size, mean_resizing=False)
    again = {key for key in keys if key.endswith(".modules_to_save.weight")}
    again = {key for key in again if key.replace(".modules_to_save.", ".") in keys}
    return again | ({f"{_PREFIX}{names[-1]}.token_adapter.trainable_tokens_delta"} if tied else set())


def untie(lm: Any) -> None:
    """Gives the head weights of its own where they are the embeddings', and adapters change one of the two.

    `lm` has its adapters' layers in it. Merged into weights that are shared, they would change both.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    def base_of(layer: Any) -> Any:
        return layer.get_base_layer() if isinstance(layer, BaseTunerLayer) else layer

    ends = lm.get_input_embeddings(), lm.get_output_embeddings()
    words, head = map(base_of, ends)
    if words.weight is head.weight and any(isinstance(end, BaseTunerLayer) for end in ends):
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        lm.config.tie_word_embeddings = False
