"""Checkpoints whose files are missing or damaged: the file is named, and what is wrong with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rranker import Ranker, UnsupportedModelError
from rranker.engine.errors import SettingError
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.engine.loading.pointer_head import HEAD_FILE
from tests.support.checkpoints import (
    TINY_START,
    cut,
    edit,
    sharded,
    weights,
    without_a_shard,
    write,
)

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


DAMAGED = {
    "config, broken": (write("config.json", '{"a": 1,\n "b": }'), r"config\.json .*at line 2, column 7"),
    "config, empty": (write("config.json", ""), r"config\.json is not valid JSON"),
    "config, binary": (lambda f: (f / "config.json").write_bytes(b'{"a": "\xff"}'), r"config\.json .*UTF-8"),
    "config, a list": (write("config.json", "[]"), r"config\.json must hold a JSON object, not list"),
    "config, a wrong value": (edit("config.json", hidden_size="big"), r"config\.json .*'hidden_size'"),
    "tokenizer, broken": (write("tokenizer.json", "{\n"), r"tokenizer\.json is not valid JSON.*line 2"),
    "tokenizer, pointer": (write("tokenizer.json", POINTER), r"tokenizer\.json is a git-lfs pointer"),
    "tokenizer config, broken": (write("tokenizer_config.json", "{,}"), r"tokenizer_config\.json is not"),
    "weights, pointer": (write("model.safetensors", POINTER), r"model\.safetensors is a git-lfs pointer"),
    "weights, cut at the end": (cut("model.safetensors", -100), r"model\.safetensors is damaged or was not"),
    "weights, cut at the start": (cut("model.safetensors", 100), r"model\.safetensors .*\(100 bytes\)"),
    "weights, empty": (cut("model.safetensors", 0), r"model\.safetensors is damaged"),
    "index, broken": (
        lambda f: (sharded(f), write("model.safetensors.index.json", "{")(f)),
        r"index\.json is not valid JSON",
    ),
    "index, without a map": (
        lambda f: (sharded(f), write("model.safetensors.index.json", "{}")(f)),
        r"index\.json names no weights",
    ),
    "NaN": (
        weights(model__norm__weight=torch.full((48,), torch.nan)),
        r"weights contain NaN \(model\.norm\.weight",
    ),
    "infinite": (weights(model__norm__weight=torch.full((48,), torch.inf)), r"weights are infinite"),
    "settings, not an object": (edit("config.json", rranker=["block"]), r"config\.json: `rranker` must be"),
    "settings, a wrong value": (
        edit("config.json", rranker={"attention": "diagonal"}),
        r"config\.json: under `rranker`, attention must be one of causal, block, not 'diagonal'",
    ),
    "settings, a wrong number": (
        edit("config.json", rranker={"max_candidate_tokens": "many"}),
        r"config\.json: under `rranker`, max_candidate_tokens must be",
    ),
    "settings, a new format": (edit("config.json", rranker={"format": 9}), r"config\.json: .*format is 9"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_named(folder: Path, case: str) -> None:
    change, says = DAMAGED[case]
    change(folder)
    with pytest.raises(ValueError, match=says) as error:
        Ranker(folder, dtype="float32")
    assert not isinstance(error.value, UnsupportedModelError)
    assert str(folder) in str(error.value)


MISSING = {
    "all of the tokenizer": lambda f: [path.unlink() for path in f.glob("*token*")],
    "the vocabulary": lambda f: (f / "tokenizer.json").unlink(),
    "a shard": without_a_shard,
}


@pytest.mark.parametrize("case", MISSING)
def test_a_missing_file_is_named(folder: Path, case: str) -> None:
    MISSING[case](folder)
    says = r"model-00002-of-\d+\.safetensors is missing" if case == "a shard" else "has no tokenizer"
    with pytest.raises(FileNotFoundError, match=says):
        Ranker(folder)


def test_shards_are_read(folder: Path, sound_checkpoint: Path) -> None:
    sharded(folder)
    one, other = (
        read_checkpoint(folder, torch.float32).lm,
        read_checkpoint(sound_checkpoint, torch.float32).lm,
    )
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


HEADS = {
    "too narrow": ({"w": torch.ones(32), "W": torch.ones(32, 32)}, r"w \[128\].*not W \[32, 32\], w \[32\]"),
    "W missing": (
        {"w": torch.ones(128)},
        r"it must hold W \[128, 128\], w \[128\] \(pooling is \'last\'\), not w \[128\]",
    ),
    "other names": ({"weight": torch.ones(128), "bias": torch.ones(1)}, r"not bias \[1\], weight \[128\]"),
    "NaN": (
        {"w": torch.full((128,), torch.nan), "W": torch.ones(128, 128)},
        "w holds numbers that are not finite",
    ),
}


@pytest.mark.parametrize("case", HEADS)
def test_a_pointer_head_that_does_not_fit_is_named(tmp_path: Path, case: str) -> None:
    folder = Path(shutil.copytree(TINY_START, tmp_path / "model"))
    head, says = HEADS[case]
    save_file(head, folder / HEAD_FILE)
    with pytest.raises(ValueError, match=rf"pointer_head\.safetensors.*{says}"):
        Ranker(folder)
    cut(HEAD_FILE, -4)(folder)
    with pytest.raises(ValueError, match=r"pointer_head\.safetensors is damaged"):
        Ranker(folder)


def test_numbers_too_large_for_float16_are_called_so(folder: Path) -> None:
    weights(model__norm__weight=torch.full((48,), 2e5))(folder)
    with pytest.raises(SettingError, match=r"overflows in float16.*'bfloat16' or 'float32'"):
        Ranker(folder, dtype="float16")
    assert len(Ranker(folder, dtype="float32").rank("which?", ["the fox", "the dog"])) == 2
    # These weights fit float16; what they compute does not.
    weights(model__norm__weight=torch.full((48,), 6e4))(folder)
    with pytest.raises(SettingError, match=r"overflows in float16, its logits are not finite.*'float32'"):
        Ranker(folder, dtype="float16")
