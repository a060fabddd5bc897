"""The item factors of several sets of histories in one model: each in a space of its own, added or fitted again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rranker.item_factors import ItemFactors
from rranker.training.examples.factors import Factorisation
from rranker.training.sft.choices import Choices


def joined(before: ItemFactors | None, after: Sequence[ItemFactors]) -> ItemFactors:
    """All of them, each of `after` in a space of its own; whoever comes last has an item that several know.

    Raises ValueError for more than 256 spaces.
    """
    parts, spaces = list[ItemFactors](), 0
    for part in [*([] if before is None else [before]), *after]:
        parts.append(replace(part, spaces=part.spaces + spaces))
        spaces = int(parts[-1].spaces.max(initial=spaces - 1)) + 1
    found = _merged(parts, after[-1].decay)
    left, numbers = np.unique(found.spaces, return_inverse=True)
    if len(left) > 256:
        raise ValueError(
            f"{len(left)} sets of histories: a model keeps 256 at most, start from one with fewer"
        )
    return replace(found, spaces=numbers)


def _merged(parts: Sequence[ItemFactors], decay: float) -> ItemFactors:
    """Every item of all parts, with its space and vector of the last part that has it."""
    width = max(part.factors.shape[1] for part in parts)
    last = parts[::-1]
    keys, places = np.unique(np.concatenate([part.keys for part in last]), return_index=True)
    spaces = np.concatenate([part.spaces for part in last])
    vectors = [np.pad(part.factors, ((0, 0), (0, width - part.factors.shape[1]))) for part in last]
    return ItemFactors(keys, spaces[places], np.concatenate(vectors)[places], decay)


def refitted(before: ItemFactors, given: Choices, how: Factorisation) -> ItemFactors:
    """The space that holds most of these histories' items, fitted again to everybody's, the held-out ones', too.

    For when all is chosen: what counts how much, and what relevance means, was told by people whom the factors did not
    know, and holds for new ones. The items that it had keep their mean square, so that priors stay as large. Other
    spaces, and their items, stay as they are. Raises ValueError when none of the items is known, and what
    `Factorisation.fit` raises.
    """
    keys, vectors = how.fit([*given.histories, *given.held_out])
    _, old, new = np.intersect1d(before.keys, keys, assume_unique=True, return_indices=True)
    if not len(old):
        raise ValueError(
            f"{given.name}: the model knows none of these items: fit them first, without --refit"
        )
    space = int(np.bincount(before.spaces[old]).argmax())
    old, new = old[before.spaces[old] == space], new[before.spaces[old] == space]
    scale = np.sqrt((before.factors[old] ** 2).sum() / (vectors[new] ** 2).sum())
    vectors = (vectors * scale).astype(np.float32)
    elsewhere = before.spaces != space
    others = replace(
        before,
        keys=before.keys[elsewhere],
        spaces=before.spaces[elsewhere],
        factors=before.factors[elsewhere],
    )
    again = ItemFactors(keys, np.full(len(keys), space), vectors, before.decay)
    return _merged([again, others], before.decay)
