"""GGUF files that cannot be ranked with as they were meant: errors that name cause and cure."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rranker import Ranker, UnsupportedModelError
from rranker.engine.loading.arguments import as_source
from rranker.engine.loading.gguf_facts import check_tokenizer_kind
from tests.support.checkpoints import small_tokenizer
from tests.support.gguf_files import tiny_llama, write_gguf


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = small_tokenizer()
    return write_gguf(tmp_path_factory.mktemp("gguf") / "model.gguf", tiny_llama(tokenizer), tokenizer)


def test_several_files_in_a_folder_are_named(tmp_path: Path, file: Path) -> None:
    for name in ("b.gguf", "a.gguf"):
        (tmp_path / name).write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match=r"holds 2 GGUF files: give the path of one, such as '.*a\.gguf'"):
        Ranker(tmp_path)


def test_a_missing_file_is_not_looked_up_on_the_hub() -> None:
    with pytest.raises(FileNotFoundError, match=r"no model 'misspelt\.gguf'"):
        as_source("misspelt.gguf")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is not a GGUF file"),
        (b"PK\x03\x04 a zip", r"is not a GGUF file: it begins with b'PK"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"GGUF", "damaged or was not copied to its end"),
    ],
)
def test_what_is_no_gguf_file_is_named(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=says) as error:
        Ranker(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("kept", [30, 200, 5000, -1])
def test_a_file_that_was_cut_is_damaged(tmp_path: Path, file: Path, kept: int) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"damaged or was not copied to its end \([\d,]+ bytes\)"):
        Ranker(path)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an architecture": ({"architecture": "plamo"}, "does not read GGUF files of the architecture 'plamo'"),
    "a part": ({"facts": {"split.count": 3}}, r"one of 3 parts.*llama-gguf-split --merge"),
    "scaled positions": (
        {"facts": {"llama.rope.scaling.type": "yarn"}},
        r"says rope\.scaling\.type = yarn, which transformers leaves out.*checkpoint folder",
    ),
    "frequencies by no known rule": (
        {"extra": {"rope_freqs.weight": np.linspace(1, 3, 8, dtype=np.float32)}},
        r"tensors that transformers would leave out \(rope_freqs\.weight\).*checkpoint folder",
    ),
    "a bias": (
        {"extra": {"blk.0.attn_q.bias": np.ones(64, np.float32)}},
        r"would leave out \(blk\.0\.attn_q\.bias\)",
    ),
    "a way to split text": (
        {"facts": {"tokenizer.ggml.pre": "deepseek-llm"}},
        "splits text by the rule 'deepseek-llm'",
    ),
    "no way to split text": (
        {"facts": {"tokenizer.ggml.pre": None}},
        r"by which rule it splits text \(tokenizer\.ggml\.pre is missing\).*again with a newer llama\.cpp",
    ),
    "no certain way to split text": (
        {"facts": {"tokenizer.ggml.pre": "default"}},
        r"tokenizer\.ggml\.pre is default\).*again with a newer llama\.cpp",
    ),
    "windows of no known width": (
        {"architecture": "gemma3"},
        r"how wide the sliding window of its layers is \(attention\.sliding_window\).*newer llama\.cpp",
    ),
    "a kind of tokenizer": ({"facts": {"tokenizer.ggml.model": "rwkv"}}, "a tokenizer of the kind 'rwkv'"),
    "missing layers": (
        {"facts": {"llama.block_count": 4}},
        r"lacks weights of LlamaForCausalLM.*layers\.3\.",
    ),
    "other shapes": (
        {"facts": {"llama.feed_forward_length": 96}},
        r"do not fit its metadata: model\.layers.*is \[\d+, 64\]|\[64, \d+\]",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_transformers_would_get_wrong_is_refused(tmp_path: Path, case: str) -> None:
    changes, says = REFUSED[case]
    tokenizer = small_tokenizer()
    path = write_gguf(tmp_path / "model.gguf", tiny_llama(tokenizer), tokenizer, **changes)
    with pytest.raises(UnsupportedModelError, match=says) as error:
        Ranker(path)
    assert str(path) in str(error.value)


def test_gpt_2_itself_may_leave_its_way_to_split_text_unsaid(tmp_path: Path) -> None:
    facts = {"tokenizer.ggml.model": "gpt2", "general.architecture": "gpt2"}
    check_tokenizer_kind(tmp_path / "model.gguf", facts)
    with pytest.raises(UnsupportedModelError, match="by which rule it splits text"):
        check_tokenizer_kind(tmp_path / "model.gguf", {**facts, "general.architecture": "llama"})


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_a_missing_package_names_the_extra(file: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}")
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=rf"pip install -U 'rranker\[gguf\]'.*{package}"):
        Ranker(file)
