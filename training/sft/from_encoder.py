"""`python -m training.sft.from_encoder FOLDER OUT`: an encoder of texts (MiniLM, …) as a ranking model to start from.

At first its fitness is a scaled cosine between the state of the query and that of each candidate, as the encoder's own
training compared texts. Where sentence-transformers saved it, its files say by which pooling, and behind which prompts
("query: "); elsewhere they are means without prompts, unless options say more. What tells candidates apart beyond that
begins at zero. Candidates attend to the query, as softly as `--context-bias` says: an encoder that has only seen texts
alone is confused by more.
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
from rranker.engine.loading.sentence_encoder import CompareBy, read_sentence_encoding
from rranker.prompts.compact import SUFFIXES
from rranker.training import command
from rranker.training.options import run_command
from rranker.training.policy.ranking_model import PointerHead, RankingModel
from rranker.training.sft.checkpoint import dtype_of, save_model

CONTEXT_BIAS = -2.0
"""What a candidate's scores of the query's tokens are lowered by (nats)."""


def from_encoder(
    folder: str | Path,
    context_bias: float = CONTEXT_BIAS,
    *,
    pooling: CompareBy | None = None,
    query_prompt: str | None = None,
    document_prompt: str | None = None,
) -> tuple[RankingModel, Any]:
    """The ranking model of an encoder's checkpoint (fp32), and its tokenizer with the suffixes' tokens.

    `folder` may be a name on the Hugging Face hub. `pooling` and the prompts None: what `read_sentence_encoding` says.

    Raises what `read_checkpoint` and `read_sentence_encoding` raise, UnsupportedModelError for what is no encoder, has
    no mask token, or is a ranking model already.
    """
    checkpoint = read_checkpoint(folder, torch.float32)
    lm, tokenizer = checkpoint.lm, checkpoint.tokenizer
    if not is_encoder(lm.config):
        raise UnsupportedModelError(f"{folder} holds {type(lm).__name__}, which is not an encoder")
    if checkpoint.settings.readout == "pointer":
        raise UnsupportedModelError(
            f"{folder} has a pointer head already: give it to {command('sft')} as --start"
        )
    if tokenizer.mask_token_id is None:
        raise UnsupportedModelError(
            f"the tokenizer in {folder} has no `mask_token`, which the suffixes start as"
        )
    said = read_sentence_encoding(folder, pooling)
    prompts = (
        said.query_prompt if query_prompt is None else query_prompt,
        said.document_prompt if document_prompt is None else document_prompt,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(SUFFIXES.values())})
    lm.resize_token_embeddings(max(len(tokenizer), lm.config.vocab_size), mean_resizing=False)
    head = PointerHead(lm.config.hidden_size, said.pooling)
    with torch.no_grad():
        words = lm.get_input_embeddings().weight
        for token in SUFFIXES.values():
            words[tokenizer.convert_tokens_to_ids(token)] = words[tokenizer.mask_token_id]
        head.w.zero_()
        head.W.zero_()
    return RankingModel(lm, head, context_bias, prompts=prompts), tokenizer


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.sft.from_encoder`."""
    parser = argparse.ArgumentParser(prog=command("sft.from_encoder"), description=__doc__)
    parser.add_argument(
        "folder", help="an encoder's checkpoint, as BertModel is saved, or its name on the hub"
    )
    parser.add_argument("out", type=Path, help="where the ranking model is written")
    parser.add_argument(
        "--context-bias",
        type=float,
        default=CONTEXT_BIAS,
        help="added to attention scores between segments (default: %(default)s)",
    )
    parser.add_argument(
        "--pooling",
        choices=get_args(CompareBy),
        help="texts are compared by the mean of their tokens' states, or by their first one's (default: what its files "
        "say, else mean)",
    )
    for name, what in (("query", "a query"), ("document", "a candidate")):
        parser.add_argument(
            f"--{name}-prompt",
            help=f"what it was trained to find before {what} (default: what its files say)",
        )
    options = parser.parse_args(words)
    model, tokenizer = from_encoder(
        options.folder,
        options.context_bias,
        pooling=options.pooling,
        query_prompt=options.query_prompt,
        document_prompt=options.document_prompt,
    )
    save_model(model, tokenizer, options.out, dtype=dtype_of(options.folder))
    query, document = model.prompts
    print(
        f"wrote {options.out}: pooling {model.head.pooling}, query prompt {query!r}, document prompt {document!r}",
        flush=True,
    )


if __name__ == "__main__":
    run_command("sft.from_encoder", main)
