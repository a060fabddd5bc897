"""`python -m training.sft.from_language_model FOLDER OUT`: a causal language model as a ranking model to start from.

A pointer head takes the place of naming candidates by letters, so any number of them can be ranked, and the prompt is
the compact one: delimiters, and one token a question. Nothing is known of ranking at first: all of the head is zero.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import torch

from rranker.engine.encoders import is_encoder
from rranker.engine.errors import UnsupportedModelError
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.engine.loading.settings import AttentionMode
from rranker.prompts.compact import PAD, SPECIAL_TOKENS
from rranker.training import command
from rranker.training.options import run_command
from rranker.training.policy.ranking_model import PointerHead, RankingModel
from rranker.training.sft.checkpoint import dtype_of, save_model


def from_language_model(folder: str | Path) -> tuple[RankingModel, Any]:
    """The ranking model of a causal language model's checkpoint (fp32), and its tokenizer with the prompt's tokens.

    A new token starts as the mean of those that spell its name (`<|candidate|>`: candidate).
    Raises what `read_checkpoint` raises, UnsupportedModelError for an encoder and for what is a ranking model already.
    """
    checkpoint = read_checkpoint(folder, torch.float32)
    lm, tokenizer = checkpoint.lm, checkpoint.tokenizer
    if is_encoder(lm.config):
        raise UnsupportedModelError(
            f"{folder} holds {type(lm).__name__}, an encoder: {command('sft.from_encoder')} makes a ranker of it"
        )
    if checkpoint.settings.readout == "pointer":
        raise UnsupportedModelError(
            f"{folder} has a pointer head already: give it to {command('sft')} as --start"
        )
    known = tokenizer.get_vocab()
    fresh = [token for token in SPECIAL_TOKENS if token not in known]
    tokenizer.add_special_tokens({"additional_special_tokens": fresh}, replace_extra_special_tokens=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = PAD
    lm.resize_token_embeddings(max(len(tokenizer), lm.config.vocab_size), mean_resizing=False)
    tables = {id(w): w for w in (lm.get_input_embeddings().weight, lm.get_output_embeddings().weight)}
    with torch.no_grad():
        for token in fresh:
            spelled = tokenizer(token.strip("<|>"), add_special_tokens=False)["input_ids"]
            for table in tables.values():  # one where they are tied
                table[tokenizer.convert_tokens_to_ids(token)] = table[spelled].mean(0)
        head = PointerHead(lm.config.hidden_size, "last")
        head.w.zero_()
        head.W.zero_()
    return RankingModel(lm, head), tokenizer


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.sft.from_language_model`."""
    parser = argparse.ArgumentParser(prog=command("sft.from_language_model"), description=__doc__)
    parser.add_argument(
        "folder", help="a causal language model's checkpoint, its name on the hub, or a .gguf file"
    )
    parser.add_argument("out", type=Path, help="where the ranking model is written")
    parser.add_argument(
        "--attention",
        choices=get_args(AttentionMode),
        default="block",
        help="what a candidate sees, and is trained to see: the query and itself, or all that comes before it too "
        "(default: %(default)s)",
    )
    options = parser.parse_args(words)
    model, tokenizer = from_language_model(options.folder)
    save_model(model, tokenizer, options.out, options.attention, dtype=dtype_of(options.folder))
    print(f"wrote {options.out}", flush=True)


if __name__ == "__main__":
    run_command("sft.from_language_model", main)
