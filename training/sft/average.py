"""`python -m training.sft.average BEFORE AFTER OUT --share 0.5`: weights between those before and after a training.

A training that teaches something new wears down what a pretrained model knew; between the two weights much of the new
is there already, and most of the old is there still (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.item_factors import ItemFactors
from rranker.training import command
from rranker.training.options import run_command
from rranker.training.policy.ranking_model import RankingModel
from rranker.training.sft.checkpoint import dtype_of, load_model, save_model


def average(before: RankingModel, after: RankingModel, share: float) -> RankingModel:
    """`before`, moved by `share` of the way to `after`, head and all; item factors stay where both have the same.

    How much items count was chosen for the weights that they came with: others than the same are left out. Raises
    ValueError when the models are not of one shape, or attend differently.
    """
    ours, theirs = ({n: p.shape for n, p in model.named_parameters()} for model in (before, after))
    if ours != theirs or (before.attends, before.prompts) != (after.attends, after.prompts):
        raise ValueError(
            "only a model and what a training made of it can be averaged: these two differ in shape or kind"
        )
    with torch.no_grad():
        for parameter, other in zip(before.parameters(), after.parameters(), strict=True):
            parameter.lerp_(other, share)
    if not same_items(before.item_factors, after.item_factors):
        before.item_factors = None
    return before


def same_items(one: ItemFactors | None, other: ItemFactors | None) -> bool:
    """Whether both know the same items by the same numbers, or neither any."""
    if one is None or other is None:
        return one is other
    pairs = ((one.keys, other.keys), (one.spaces, other.spaces), (one.factors, other.factors))
    return one.decay == other.decay and all(np.array_equal(a, b) for a, b in pairs)


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.sft.average`."""
    parser = argparse.ArgumentParser(prog=command("sft.average"), description=__doc__)
    parser.add_argument("before", type=Path, help="the ranking model that a training started from")
    parser.add_argument("after", type=Path, help="what it ended with")
    parser.add_argument("out", type=Path, help="where the model between them is written")
    parser.add_argument(
        "--share",
        type=float,
        default=0.5,
        help="how far to go, 0 to 1: choose it on validation (default: 0.5)",
    )
    options = parser.parse_args(words)
    if not 0 <= options.share <= 1:
        parser.error(f"--share lies between 0 and 1, not at {options.share}")
    attentions = {read_checkpoint(path, None).settings.attention for path in (options.before, options.after)}
    if len(attentions) > 1:
        parser.error(
            f"one of them attends in block mode, the other causally: {options.before}, {options.after}"
        )
    before, after = load_model(options.before), load_model(options.after)
    known = before.item_factors, after.item_factors
    between = average(before, after, options.share)
    if not same_items(*known):
        print(
            "item factors are left out, as the two models do not have the same: "
            f"`{command('sft.item_factors')}` adds them to the average"
        )
    dtype = torch.promote_types(dtype_of(options.before), dtype_of(options.after))
    save_model(between, read_tokenizer(options.after), options.out, attentions.pop(), dtype=dtype)
    print(f"wrote {options.out}", flush=True)


if __name__ == "__main__":
    run_command("sft.average", main)
