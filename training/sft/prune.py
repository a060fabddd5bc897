"""`python -m training.sft.prune FOLDER OUT`: a ranking model without the vocabulary entries that no text can become.

BERT's vocabularies hold a thousand reserved entries, `[unused0]` and on: rows of the embedding that are never read.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rranker.engine.errors import UnsupportedModelError
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.prompts.encoding import TextEncoder
from rranker.training import command
from rranker.training.options import run_command
from rranker.training.sft.checkpoint import dtype_of, load_model, save_model

_RESERVED = re.compile(r"\[unused\d+\]")


def prune(folder: str | Path, out: str | Path) -> int:
    """Writes the model of `folder` into `out`; it ranks the same to the last bit, settings and calibration included.

    Returns how many entries are gone.

    Raises UnsupportedModelError for a tokenizer that is not WordPiece, what `load_model` raises.
    """
    model, tokenizer = load_model(folder), read_tokenizer(Path(folder))
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    if described["model"]["type"] != "WordPiece":
        raise UnsupportedModelError(
            f"{folder}: only WordPiece vocabularies have reserved entries, this is {described['model']['type']}"
        )
    reserved = [token for token in described["model"]["vocab"] if _RESERVED.fullmatch(token)]
    encoded = TextEncoder(tokenizer).user_batch(reserved)
    vocabulary = tokenizer.get_vocab()
    gone = {vocabulary[t] for t, ids in zip(reserved, encoded, strict=True) if vocabulary[t] not in ids}
    kept = [row for row in range(model.lm.config.vocab_size) if row not in gone]
    place = {old: new for new, old in enumerate(kept)}
    _keep_rows(model.lm, kept)
    if model.lm.config.pad_token_id is not None:
        model.lm.config.pad_token_id = place[model.lm.config.pad_token_id]
    settings = read_checkpoint(folder, None).settings
    save_model(model, tokenizer, out, settings=settings, dtype=dtype_of(folder))
    (Path(out) / "tokenizer.json").write_text(
        json.dumps(_moved(described, place), ensure_ascii=False), encoding="utf-8"
    )
    return len(gone)


def _keep_rows(lm: Any, kept: list[int]) -> None:
    words = lm.get_input_embeddings()
    fewer = nn.Embedding(len(kept), words.embedding_dim, dtype=words.weight.dtype)
    with torch.no_grad():
        fewer.weight.copy_(words.weight[kept])
    lm.set_input_embeddings(fewer)
    lm.config.vocab_size = len(kept)


def _moved(described: dict[str, Any], place: dict[int, int]) -> dict[str, Any]:
    """A tokenizer.json whose entries have their new numbers."""
    vocabulary = described["model"]["vocab"]
    described["model"]["vocab"] = {t: place[i] for t, i in vocabulary.items() if i in place}
    for token in described["added_tokens"]:
        token["id"] = place[token["id"]]
    for token in (described["post_processor"] or {}).get("special_tokens", {}).values():
        token["ids"] = [place[i] for i in token["ids"]]
    return described


def main(words: Sequence[str] | None = None) -> None:
    """The command line of `python -m training.sft.prune`."""
    parser = argparse.ArgumentParser(prog=command("sft.prune"), description=__doc__)
    parser.add_argument("folder", type=Path, help="a ranking model made of an encoder")
    parser.add_argument("out", type=Path, help="where the smaller one is written")
    options = parser.parse_args(words)
    print(f"wrote {options.out}, {prune(options.folder, options.out)} entries less", flush=True)


if __name__ == "__main__":
    run_command("sft.prune", main)
