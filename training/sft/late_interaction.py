"""`python -m training.sft.late_interaction FOLDER OUT`: a ranking model that compares the query's tokens, too.

Mean states lose what a text says in passing. Late interaction (ColBERT, arXiv 2004.12832) asks of each token of the
query how like it a candidate's most similar token is: of the encoder's own states, so nothing is trained. Which queries
want that is known by kind: searches do, histories ask for titles that share no word with them. The gate is a logistic
regression of that on the mean states of training queries. With `--feedback`, the candidate that matches the query best
is compared with the others, too; a model that has late interaction already gets that alone.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from rranker.data import RankingExample
from rranker.engine.errors import UnsupportedModelError
from rranker.engine.loading.pointer_head import FEEDBACK, HEAD_FILE
from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.prompts import TEMPLATES
from rranker.training import command
from rranker.training.examples.sources import HISTORIES, PASSAGES, Sources
from rranker.training.options import in_range, run_command
from rranker.training.packing.batch import shortened
from rranker.training.packing.layout import build_text_layout
from rranker.training.policy.ranking_model import RankingModel
from rranker.training.sft.checkpoint import dtype_of, list_format, load_model, save_model

WEIGHT = 80.0
"""Four times what the cosine of mean states counts in a new head."""
OPEN, CLOSED = PASSAGES, (*HISTORIES, "routing")
"""The sources whose queries want it, and those whose do not."""
QUERIES, TOKENS = 800, 256
"""Of each source, and of each query, at most."""
DECAY = 1e-6


def queries_of(sources: Sources, name: str, rng: np.random.Generator) -> list[RankingExample]:
    """`QUERIES` training queries of a source, in the words that ask them; their candidates do not matter."""
    if name in HISTORIES:
        histories = sources.histories(name)
        return [histories.window(rng, histories.length(rng)).ranking for _ in range(QUERIES)]
    if name == "routing":
        return [sources.routing.draw(rng).ranking for _ in range(QUERIES)]
    texts = [t.query for t in sources.topics] if name == "trecdl" else [q.text for q in sources.asked(name)]
    chosen = rng.permutation(len(texts))[:QUERIES]
    return [RankingExample("passage", texts[i], None, [], [], f"{name}-{i}") for i in chosen]


@torch.no_grad()
def mean_states(model: RankingModel, tokenizer: Any, cases: Sequence[RankingExample]) -> Tensor:
    """[cases, D], fp32: of the queries alone, as they open a prompt."""
    rendered = list_format(model, tokenizer)
    prefixes = [rendered.prefix(TEMPLATES[case.task], case.instruction, case.query) for case in cases]
    texts = [shortened(prefix, TOKENS, model.attends.context) for prefix in prefixes]
    states = []
    for first in range(0, len(texts), 16):
        layout = build_text_layout(texts[first : first + 16], model.attends)
        states.append(layout.text_states(model.hidden(layout), model.head.pooling))
    return torch.cat(states)


def fit_gate(states: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """`gate` [D] and `gate_bias` [1] by which `LateInteraction` tells states [B, D] by `wanted` [B], 1 or 0."""
    gate = torch.zeros(states.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    directions = normalize(states, dim=-1)
    optimizer = torch.optim.LBFGS([gate, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = binary_cross_entropy_with_logits(directions @ gate + bias, wanted) + DECAY * (gate @ gate)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return gate.detach(), bias.detach()


def check_head(model: RankingModel) -> None:
    """Raises UnsupportedModelError where late interaction cannot be added to the model's head."""
    if model.head.pooling == "last" or model.head.late is not None:
        raise UnsupportedModelError(
            "late interaction is added to a head that compares states with the query's (an encoder's), once: this one "
            "does not, or has it already"
        )


def with_late_interaction(
    model: RankingModel,
    tokenizer: Any,
    opened: Sequence[RankingExample],
    closed: Sequence[RankingExample],
    weight: float = WEIGHT,
) -> RankingModel:
    """The model with late interaction of this weight for queries like `opened`, and hardly any for those like `closed`.

    Raises what `check_head` raises.
    """
    check_head(model)
    head = model.head
    states = mean_states(model, tokenizer, [*opened, *closed])
    wanted = torch.cat([torch.ones(len(opened)), torch.zeros(len(closed))])
    gate, bias = fit_gate(states, wanted)
    head.interact(weight)
    assert head.gate is not None
    assert head.gate_bias is not None
    with torch.no_grad():
        head.gate.copy_(gate)
        head.gate_bias.copy_(bias)
    return model


def write_feedback(folder: Path, out: Path, share: float) -> None:
    """Writes the checkpoint of `folder` to `out`, with feedback of this share in its late interaction.

    Its calibration holds: late interaction is no part of relevance.
    """
    head = load_file(folder / HEAD_FILE)
    shutil.copytree(folder, out)
    save_file(head | {FEEDBACK: torch.tensor([share])}, out / HEAD_FILE)


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.sft.late_interaction`."""
    parser = argparse.ArgumentParser(prog=command("sft.late_interaction"), description=__doc__)
    parser.add_argument("folder", type=Path, help="a ranking model that was made of an encoder")
    parser.add_argument("out", type=Path, help="a new folder, where the ranking model is written")
    parser.add_argument(
        "--weight", type=in_range(float, above=0), help=f"choose it on validation (default: {WEIGHT:g})"
    )
    parser.add_argument(
        "--feedback",
        type=in_range(float, least=0),
        help="how much what the best candidate says counts beside the query, in lists of a hundred: choose it on "
        "validation (default: nothing)",
    )
    options = parser.parse_args(words)
    if options.out.exists():
        parser.error(f"{options.out} is there already: name a new folder")
    model = load_model(options.folder)
    if options.feedback is not None and model.head.late is not None:
        if options.weight is not None:
            parser.error(f"{options.folder} has late interaction, whose weight stays: leave --weight out")
        write_feedback(options.folder, options.out, options.feedback)
        print(f"wrote {options.out}", flush=True)
        return
    check_head(model)
    sources, rng = Sources(), np.random.default_rng(0)
    opened, closed = (
        [q for name in names for q in queries_of(sources, name, rng)] for names in (OPEN, CLOSED)
    )
    tokenizer = read_tokenizer(options.folder)
    model = with_late_interaction(model, tokenizer, opened, closed, options.weight or WEIGHT)
    if options.feedback is not None:
        model.head.feed_back(options.feedback)
    save_model(model, tokenizer, options.out, dtype=dtype_of(options.folder))
    late = model.head.late
    assert late is not None
    for name, cases in (("open", opened), ("closed", closed)):
        strengths = late.strength(mean_states(model, tokenizer, cases), search=False).detach()
        median = float(strengths.median())
        print(f"{name}: median strength by the gate {median:.1f} of {len(cases)} queries", flush=True)
    print(f"wrote {options.out}", flush=True)


if __name__ == "__main__":
    run_command("sft.late_interaction", main)
