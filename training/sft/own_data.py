"""The rows of a user's own data that a run can learn from, checked before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rranker.data import RankingExample, own_examples
from rranker.engine.loading.checkpoint import Checkpoint
from rranker.methods import method_class
from rranker.training.examples.own import CANDIDATE_TOKENS
from rranker.training.policy.prompts import Prompts
from rranker.training.sft.config import SftConfig

SHOWN = 3
"""Reasons that are told of the rows that are left out."""


def own_rows(config: SftConfig, begun: Checkpoint) -> tuple[list[RankingExample], list[RankingExample]]:
    """What of `config.data` trains and what is held out, as `own_examples` says.

    Pointer heads are trained on texts that are cut. Other language models are asked in whole prompts: rows whose
    prompt does not fit are left out of the training, which is printed. Raises ValueError when none is left.
    """
    rows, held_out = own_examples(config.data or [], config.validation)
    if begun.settings.readout == "pointer":
        return rows, held_out
    settings = replace(begun.settings, attention=config.attention)
    prompts = Prompts(begun.tokenizer, settings, begun.context, max_candidate=CANDIDATE_TOKENS)
    kind = method_class(config.method).kind
    kept, reasons = list[RankingExample](), list[str]()
    for row in rows:
        try:
            prompts.segments(row, kind)
        except ValueError as error:
            reasons.append(f"{row.id}: {error}")
        else:
            kept.append(row)
    if not kept:
        raise ValueError(left_out("cannot be learnt from", reasons, len(rows)))
    if reasons:
        print(left_out("cannot be learnt from", reasons, len(rows)), flush=True)
    return kept, held_out


def left_out(why: str, reasons: Sequence[str], count: int) -> str:
    """How many of `count` rows are left out, and the first reasons, a line each."""
    head = f"{len(reasons)} of {count} rows {why} and are left out"
    if len(reasons) > SHOWN:
        head += f", here are the first {SHOWN}"
    return "\n".join([f"{head}:", *(f"  {reason}" for reason in reasons[:SHOWN])])
