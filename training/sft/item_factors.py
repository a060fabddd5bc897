"""`python -m training.sft.item_factors FOLDER OUT`: a ranking model that knows items by name, too.

Who chose what says which items go together, of those that many chose; a title says a little of all. The vectors are
fitted to the histories of training users, or to a user's own (`--data`), in seconds, and nothing else is trained. How
much they count beside the text is the one number under which the choices of validation users are most likely.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rranker.data import INTERACTIONS, RankingExample, own_examples
from rranker.data.recommendation import recommendation_cases
from rranker.engine.errors import UnsupportedModelError
from rranker.engine.loading.files import read_json
from rranker.engine.loading.item_factors import save_item_factors
from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.item_factors import Floats, ItemFactors
from rranker.prompts import TEMPLATES
from rranker.training.examples.factors import Factorisation
from rranker.training.packing.batch import segments_of
from rranker.training.packing.layout import build_layout
from rranker.training.policy.ranking_model import RankingModel
from rranker.training.sft.checkpoint import list_format, load_model

DECAY = 0.9
"""What was chosen last counts most: of 20 items, the first counts a seventh of it."""
CANDIDATE_TOKENS, PREFIX_TOKENS, LISTS = 256, 512, 8
MOST = 3.0
"""The largest strength, of priors of standard deviation 1: texts hardly count any more, and logits stay moderate."""


@dataclass(frozen=True)
class Choices:
    """What a space is fitted to: histories of item texts, and lists of others that it is weighed on."""

    name: str
    histories: Sequence[Sequence[str]]
    cases: Sequence[RankingExample]


def public_histories(task: str) -> Choices:
    """Of the training users of `rec-movie`, `rec-music` or `rec-game`; lists of its validation users."""
    found = INTERACTIONS[task](None)
    histories = [[found.titles[item] for item in found.histories[user]] for user in found.train_users]
    uniform, popular = (recommendation_cases(found, "validation", s) for s in ("uniform", "popular"))
    return Choices(task, histories, [*uniform, *popular])


def own_histories(files: Sequence[Path], validation: Path | None) -> Choices:
    """Of a user's own rows whose query is a list: somebody's history, and `chosen_of` the candidates.

    Raises what `own_examples` raises, and ValueError where no history is left on either side.
    """
    rows, held_out = (
        [row for row in part if isinstance(row.query, list)] for part in own_examples(files, validation)
    )
    if not rows or not held_out:
        raise ValueError(
            f"{len(rows)} rows with a history as their query train and {len(held_out)} are held out: factors are "
            "fitted to the first and weighed on the second, so give more rows, or a --validation file"
        )
    histories = [[*row.query, *chosen_of(row)] for row in rows]
    return Choices("own", histories, held_out)


def chosen_of(row: RankingExample) -> list[str]:
    """The candidates that somebody chose: those above the least relevant, as only differences count."""
    least = min(row.relevance)
    return [text for text, relevance in zip(row.candidates, row.relevance, strict=True) if relevance > least]


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


def joined(before: ItemFactors | None, after: Sequence[ItemFactors]) -> ItemFactors:
    """All of them, each of `after` in a space of its own; whoever comes last has an item that several know.

    Raises ValueError for more than 256 spaces.
    """
    parts = [*([] if before is None else [before]), *after]
    width = max(part.factors.shape[1] for part in parts)
    known: dict[int, tuple[int, Floats]] = {}
    spaces = 0
    for part in parts:
        vectors = np.pad(part.factors, ((0, 0), (0, width - part.factors.shape[1])))
        numbers = part.spaces + spaces
        known |= dict(zip(part.keys.tolist(), zip(numbers.tolist(), vectors, strict=True), strict=True))
        spaces = int(numbers.max(initial=spaces - 1)) + 1
    keys = np.array(sorted(known), dtype=np.int64)
    held = [known[key] for key in keys.tolist()]
    left, numbers = np.unique([number for number, _ in held], return_inverse=True)
    if len(left) > 256:
        raise ValueError(
            f"{len(left)} sets of histories: a model keeps 256 at most, start from one with fewer"
        )
    return ItemFactors(keys, numbers, np.stack([vector for _, vector in held]), parts[-1].decay)


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


def add_item_factors(folder: Path, out: Path, factors: ItemFactors) -> None:
    """Writes the checkpoint of `folder` with these factors to `out`; nothing else changes.

    What was calibrated of histories no longer holds, and is left out.
    """
    shutil.copytree(folder, out)
    save_item_factors(factors, out)
    config = read_json(out / "config.json")
    kept = {t: c for t, c in (config["rranker"].get("calibration") or {}).items() if t != "recommendation"}
    config["rranker"]["calibration"] = kept or None
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.sft.item_factors`."""
    parser = argparse.ArgumentParser(prog="python -m training.sft.item_factors", description=__doc__)
    parser.add_argument("folder", type=Path, help="a ranking model that was made of an encoder")
    parser.add_argument("out", type=Path, help="where the ranking model is written")
    parser.add_argument(
        "--data", nargs="+", type=Path, help="your own rows, .jsonl or .parquet, in place of the public"
    )
    parser.add_argument(
        "--validation", type=Path, help="rows to weigh by (default: a tenth of the histories)"
    )
    parser.add_argument("--tasks", nargs="+", choices=list(INTERACTIONS), default=list(INTERACTIONS))
    parser.add_argument("--size", type=int, default=Factorisation.size, help="numbers a vector (default: 64)")
    options = parser.parse_args(words)
    if options.out.exists():
        parser.error(f"{options.out} is there already: name a new folder")
    try:
        if options.data is None:
            choices = [public_histories(task) for task in options.tasks]
        else:
            choices = [own_histories(options.data, options.validation)]
        model, tokenizer = load_model(options.folder), read_tokenizer(options.folder)
        factors, rows = fit_item_factors(model, tokenizer, choices, Factorisation(size=options.size))
    except (ValueError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")
    add_item_factors(options.folder, options.out, factors)
    print("| histories | items | lists | strength | MRR, text | MRR, items | MRR, both |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    print("\n".join(rows))
    print(f"wrote {options.out}", flush=True)


if __name__ == "__main__":
    main()
