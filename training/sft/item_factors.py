"""`python -m training.sft.item_factors FOLDER OUT`: a ranking model that knows items by name, too.

Who chose what says which items go together, of those that many chose; a title says a little of all. The vectors are
fitted to the histories of training users, or to a user's own (`--data`), in seconds, and nothing else is trained. How
much they count beside the text is the one number under which the choices of validation users are most likely. Once
relevance is calibrated on those, too, `--refit` fits the vectors to everybody.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rranker.data import INTERACTIONS, RankingExample
from rranker.engine.errors import UnsupportedModelError
from rranker.engine.loading.files import read_json
from rranker.engine.loading.item_factors import load_item_factors, save_item_factors
from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.item_factors import Floats, ItemFactors
from rranker.prompts import TEMPLATES
from rranker.training import command
from rranker.training.examples.factors import Factorisation
from rranker.training.options import in_range, run_command
from rranker.training.packing.batch import segments_of
from rranker.training.packing.layout import build_layout
from rranker.training.policy.ranking_model import RankingModel
from rranker.training.sft.checkpoint import list_format, load_model
from rranker.training.sft.choices import Choices, own_histories, public_histories
from rranker.training.sft.item_spaces import joined, refitted

DECAY = 0.9
"""What was chosen last counts most: of 20 items, the first counts a seventh of it."""
CANDIDATE_TOKENS, PREFIX_TOKENS, LISTS = 256, 512, 8
COLUMNS = "| histories | items | lists | strength | MRR, text | MRR, items | MRR, both |"
REFIT_COLUMNS = "| histories | people | held out before | new items |"
MOST = 3.0
"""The largest strength, of priors of standard deviation 1: texts hardly count any more, and logits stay moderate."""


@torch.no_grad()
def text_logits(model: RankingModel, tokenizer: Any, cases: Sequence[RankingExample]) -> list[Floats]:
    """What the model says of each case's candidates by their texts alone, asked for the best: [candidates] each."""
    rendered = list_format(model, tokenizer)
    found = list[Floats]()
    for first in range(0, len(cases), LISTS):
        part = cases[first : first + LISTS]
        segments = segments_of(rendered, part, CANDIDATE_TOKENS, PREFIX_TOKENS, model.attends.context)
        everybody = [torch.ones(1, len(s.candidates), dtype=torch.bool) for s in segments]
        select = rendered.suffix(TEMPLATES[part[0].task], "select")
        layout = build_layout(segments, [select] * len(part), everybody, model.attends)
        fitness = model.fitness(model.hidden(layout), layout)[:, 0]
        found += [row[: len(s.candidates)].numpy() for row, s in zip(fitness, segments, strict=True)]
    return found


def nats(logits: Sequence[Floats], cases: Sequence[RankingExample]) -> float:
    """How unlikely the choices are under a softmax of the logits, on the mean of the cases."""
    losses = []
    for row, case in zip(logits, cases, strict=True):
        gains = np.asarray(case.relevance) - min(case.relevance)
        shares = gains / gains.sum()
        highest = row.max()
        losses.append(highest + np.log(np.exp(row - highest).sum()) - shares @ row)
    return float(np.mean(losses))


def mrr(logits: Sequence[Floats], cases: Sequence[RankingExample]) -> float:
    """Mean reciprocal rank of the best, by these logits; who ties stands in the middle of those that do.

    In the order of the file, where the chosen may come first, ties of items that are not known would win.
    """
    found = []
    for row, case in zip(logits, cases, strict=True):
        best = row[np.asarray(case.relevance) == max(case.relevance)].max()
        found.append(1 / ((row > best).sum() + ((row == best).sum() + 1) / 2))
    return float(np.mean(found))


def strength_of(texts: Sequence[Floats], priors: Sequence[Floats], cases: Sequence[RankingExample]) -> float:
    """How much priors count where texts count 1, from 0 to `MOST`, under which the cases' choices are most likely.

    A temperature is fitted with it, as texts alone may be too sure of themselves.
    """
    from scipy.optimize import minimize

    def loss(weights: np.ndarray) -> float:
        pairs = zip(texts, priors, strict=True)
        return nats([weights[0] * (text + weights[1] * prior) for text, prior in pairs], cases)

    found = minimize(loss, np.ones(2), method="L-BFGS-B", bounds=[(0.0, None), (0.0, MOST)])
    return float(found.x[1])


def weighed(factors: ItemFactors, given: Choices, texts: Sequence[Floats]) -> tuple[ItemFactors, str]:
    """The factors with the strength under which the cases' choices are most likely, and a row that says what it does.

    `texts`: `text_logits` of the cases. Raises ValueError when no item of the cases is known.
    """
    cases = given.cases
    priors = [factors.prior(case.query, case.candidates) for case in cases]
    scale = float(np.std(np.concatenate(priors)))
    if not scale:
        raise ValueError(
            f"{given.name}: the held-out lists hold no item that was fitted: nothing could be weighed"
        )
    priors = [prior / scale for prior in priors]
    strength = strength_of(texts, priors, cases)
    both = [text + strength * prior for text, prior in zip(texts, priors, strict=True)]
    row = (
        f"| {given.name} | {len(factors.keys)} | {len(cases)} | {strength:.2f} | {mrr(texts, cases):.3f} | "
        f"{mrr(priors, cases):.3f} | {mrr(both, cases):.3f} |"
    )
    scaled = (factors.factors * (strength / scale) ** 0.5).astype(np.float32)
    return ItemFactors(factors.keys, factors.spaces, scaled, factors.decay), row


def fit_item_factors(
    model: RankingModel, tokenizer: Any, choices: Sequence[Choices], how: Factorisation
) -> tuple[ItemFactors, list[str]]:
    """Factors of all `choices` beside those that the model has, and a row of a table for each.

    Raises UnsupportedModelError for a model that compares no states with the query's, what `Factorisation.fit` and
    `weighed` raise.
    """
    if model.head.pooling == "last":
        raise UnsupportedModelError(
            "item factors are weighed against an encoder's scores: this model's head reads last states"
        )
    fitted, rows = list[ItemFactors](), list[str]()
    for given in choices:
        keys, vectors = how.fit(given.histories)
        factors = ItemFactors(keys, np.zeros(len(keys), dtype=np.int64), vectors, DECAY)
        factors, row = weighed(factors, given, text_logits(model, tokenizer, given.cases))
        fitted.append(factors)
        rows.append(row)
    return joined(model.item_factors, fitted), rows


def refit_item_factors(
    before: ItemFactors | None, choices: Sequence[Choices], how: Factorisation
) -> tuple[ItemFactors, list[str]]:
    """The model's factors with the spaces of `choices` fitted to everybody, and a row of a table for each.

    Raises ValueError for a model without factors, and what `refitted` raises.
    """
    if before is None:
        raise ValueError("this model knows no items: fit them first, without --refit")
    rows = list[str]()
    for given in choices:
        known, before = len(before.keys), refitted(before, given, how)
        people = len(given.histories), len(given.held_out)
        rows.append(f"| {given.name} | {people[0]} | {people[1]} | {len(before.keys) - known} |")
    return before, rows


def write_item_factors(folder: Path, out: Path, factors: ItemFactors, keep_calibration: bool = False) -> None:
    """Writes the checkpoint of `folder` with these factors to `out`; nothing else changes.

    What was calibrated of histories no longer holds where priors are new, and is left out unless it is to be kept.
    """
    shutil.copytree(folder, out)
    save_item_factors(factors, out)
    if keep_calibration:
        return
    config = read_json(out / "config.json")
    kept = {t: c for t, c in (config["rranker"].get("calibration") or {}).items() if t != "recommendation"}
    config["rranker"]["calibration"] = kept or None
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.sft.item_factors`."""
    parser = argparse.ArgumentParser(prog=command("sft.item_factors"), description=__doc__)
    parser.add_argument("folder", type=Path, help="a ranking model that was made of an encoder")
    parser.add_argument("out", type=Path, help="where the ranking model is written")
    parser.add_argument(
        "--data", nargs="+", type=Path, help="your own rows, .jsonl or .parquet, in place of the public"
    )
    parser.add_argument(
        "--validation", type=Path, help="rows to weigh by (default: a tenth of the histories)"
    )
    parser.add_argument(
        "--tasks", nargs="+", choices=list(INTERACTIONS), help="the public ones to fit (default: all)"
    )
    size = in_range(int, least=1)
    parser.add_argument(
        "--size", type=size, default=Factorisation.size, help="numbers a vector (default: 64)"
    )
    parser.add_argument(
        "--refit",
        action="store_true",
        help="fit the items that FOLDER knows again to everybody, held-out people, too; all else stays",
    )
    options = parser.parse_args(words)
    if options.data is not None and options.tasks is not None:
        parser.error("--data is fitted in place of the public histories: leave --tasks out")
    if options.data is None and options.validation is not None:
        parser.error("the public histories have held-out people of their own: leave --validation out")
    if options.out.exists():
        parser.error(f"{options.out} is there already: name a new folder")
    if options.data is None:
        choices = [public_histories(task) for task in options.tasks or INTERACTIONS]
    else:
        choices = [own_histories(options.data, options.validation)]
    how = Factorisation(size=options.size)
    if options.refit:
        head = REFIT_COLUMNS
        factors, rows = refit_item_factors(load_item_factors(options.folder), choices, how)
    else:
        head = COLUMNS
        model, tokenizer = load_model(options.folder), read_tokenizer(options.folder)
        factors, rows = fit_item_factors(model, tokenizer, choices, how)
    write_item_factors(options.folder, options.out, factors, keep_calibration=options.refit)
    print("\n".join([head, "|---" + "|---:" * (head.count("|") - 2) + "|", *rows]))
    print(f"wrote {options.out}", flush=True)


if __name__ == "__main__":
    run_command("sft.item_factors", main)
