"""`python -m training.sft.late_interaction FOLDER OUT`: a ranking model that compares the query's tokens, too.

Mean states lose what a text says in passing. Late interaction (ColBERT, arXiv 2004.12832) asks of each token of the
query how like it a candidate's most similar token is: the encoder's own states, so nothing has to be learnt first. How
far a query wants that is learnt after, by `training.sft --learn late`: searches do, histories ask for other titles.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rranker.engine.errors import UnsupportedModelError
from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.training.policy.ranking_model import RankingModel
from rranker.training.sft.checkpoint import load_model, save_model

WEIGHT = 160.0
"""Half of it counts at first: four times what the cosine of mean states does in a new head."""


def with_late_interaction(model: RankingModel, weight: float = WEIGHT) -> RankingModel:
    """The model with the new term, half open for every query.

    Raises UnsupportedModelError for a head that reads no mean states, or has the term.
    """
    if model.head.pooling != "mean" or model.head.late is not None:
        raise UnsupportedModelError(
            "late interaction is added to a head that reads mean states (an encoder's), once: this one reads the last "
            "token's, or has it already"
        )
    model.head.interact(weight)
    return model


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.sft.late_interaction`."""
    parser = argparse.ArgumentParser(prog="python -m training.sft.late_interaction", description=__doc__)
    parser.add_argument("folder", type=Path, help="a ranking model that was made of an encoder")
    parser.add_argument("out", type=Path, help="where the ranking model is written")
    parser.add_argument(
        "--weight", type=float, default=WEIGHT, help="of a gate that is open (default: %(default)s)"
    )
    options = parser.parse_args(words)
    model = with_late_interaction(load_model(options.folder), options.weight)
    save_model(model, read_tokenizer(options.folder), options.out)
    print(f"wrote {options.out}", flush=True)


if __name__ == "__main__":
    main()
