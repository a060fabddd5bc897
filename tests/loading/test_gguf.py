"""GGUF files: what is loaded equals the checkpoint they were written from, to the last bit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
import transformers as t
from transformers import modeling_gguf_pytorch_utils

from bench.pretrained_models import smollm2_gguf
from rranker import Ranker
from rranker.engine.loading.checkpoint import read_checkpoint, read_config
from rranker.engine.loading.gguf_facts import set_window
from rranker.engine.onednn import PackedLinear
from tests.support.checkpoints import small_tokenizer
from tests.support.gguf_files import F32, Q4_1, Q8_0, tiny_llama, write_gguf

QUERY = "which fox answers the query?"
TEXTS = ["the quick brown fox", "a lazy dog", "passages by how well", "the items next", "oldest first"]
AWKWARD = [
    "",
    "  two spaces  and 19  x",
    "abc1def 2.50, 1234567890",
    "naïve café 日本語 🙂 ½ ² 12½",
    "a\tb\r\n\n\n c",
    "<|im_start|>user\n<think></think><|im_end|>",
    "it's we'll DON'T I'M",
    "…—\u00a0\u200b\u202e",
]


def same_weights(one: Any, other: Any) -> bool:
    ones, others = one.state_dict(), other.state_dict()
    return ones.keys() == others.keys() and all(torch.equal(ones[name], others[name]) for name in ones)


@pytest.fixture(scope="module", params=[F32, Q4_1, Q8_0], ids=lambda kind: kind.name)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A GGUF file, and the checkpoint folder it was written from."""
    root, tokenizer = tmp_path_factory.mktemp("gguf"), small_tokenizer()
    lm = tiny_llama(tokenizer, tie_word_embeddings=request.param == Q8_0)
    lm.tie_weights()
    file = write_gguf(root / "model.gguf", lm, tokenizer, kind=request.param)
    lm.save_pretrained(root / "folder")
    tokenizer.save_pretrained(root / "folder")
    return file, root / "folder"


def test_weights_are_those_of_the_checkpoint(pair: tuple[Path, Path]) -> None:
    file, folder = pair
    for dtype in (torch.float32, torch.bfloat16):
        read, whole = read_checkpoint(file, dtype), read_checkpoint(folder, dtype)
        assert read.lm.dtype == dtype
        assert same_weights(read.lm, whole.lm)
        assert not read.lm.training or not whole.lm.training


def test_the_tokenizer_writes_the_ids_of_the_checkpoints(pair: tuple[Path, Path]) -> None:
    read, whole = (read_checkpoint(source, None).tokenizer for source in pair)
    for text in AWKWARD:
        assert read(text)["input_ids"] == whole(text)["input_ids"], text
    assert read.chat_template == whole.chat_template
    assert (read.eos_token, read.pad_token) == (whole.eos_token, whole.pad_token)
    messages = [{"role": "user", "content": text} for text in AWKWARD]
    assert read.apply_chat_template(messages, tokenize=False) == whole.apply_chat_template(
        messages, tokenize=False
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rankings_are_those_of_the_checkpoint(pair: tuple[Path, Path], dtype: str) -> None:
    file, folder = pair
    with Ranker(file, dtype=dtype) as one, Ranker(folder, dtype=dtype) as other:
        assert one.rank(QUERY, TEXTS).rounds == other.rank(QUERY, TEXTS).rounds


def test_a_folder_with_one_gguf_file_stands_for_it(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("quantised")
    (tmp_path / "some.Q8_0.GGUF").write_bytes(pair[0].read_bytes())
    with Ranker(str(tmp_path), dtype="float32") as one, Ranker(str(pair[0]), dtype="float32") as other:
        assert one.rank(QUERY, TEXTS).rounds == other.rank(QUERY, TEXTS).rounds


def test_a_checkpoint_folder_that_also_holds_gguf_files_is_itself(pair: tuple[Path, Path]) -> None:
    copy = pair[1] / "copy.gguf"
    copy.write_bytes(b"GGUF, but damaged")
    assert read_checkpoint(pair[1], None).folder == pair[1]
    copy.unlink()


def test_files_beside_a_gguf_file_are_not_read(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(pair[0].read_bytes())
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "none of it"}')
    here, there = (read_checkpoint(file, None).tokenizer for file in (tmp_path / "model.gguf", pair[0]))
    assert here.get_vocab() == there.get_vocab()
    assert here.chat_template == there.chat_template


def test_what_was_loaded_can_be_saved_as_a_plain_checkpoint(pair: tuple[Path, Path], tmp_path: Path) -> None:
    read = read_checkpoint(pair[0], torch.float32)
    read.lm.save_pretrained(tmp_path)
    read.tokenizer.save_pretrained(tmp_path)
    assert same_weights(read_checkpoint(tmp_path, torch.float32).lm, read.lm)
    assert read_config(pair[0]).to_dict()["hidden_size"] == 64


def test_the_header_is_parsed_once_nothing_is_said_and_the_libraries_are_left_as_they_were(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    parsed: list[Any] = []
    begin = gguf.GGUFReader.__init__
    monkeypatch.setattr(
        gguf.GGUFReader, "__init__", lambda self, *rest: (parsed.append(rest), begin(self, *rest))[1]
    )
    before = gguf.GGUFReader, gguf.get_tensor_name_map, modeling_gguf_pytorch_utils.tqdm
    read_checkpoint(pair[0], torch.float32)
    assert len(parsed) == 1
    assert capfd.readouterr() == ("", "")
    assert (gguf.GGUFReader, gguf.get_tensor_name_map, modeling_gguf_pytorch_utils.tqdm) == before
    monkeypatch.setattr(logging.getLogger("rranker"), "level", logging.INFO)  # whoever asks sees the bar
    read_checkpoint(pair[0], torch.float32)
    assert "Converting" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["mistral", "Mistral 7B Instruct v0.3"])
def test_a_mistral_has_no_window_that_its_file_does_not_state(tmp_path: Path, name: str) -> None:
    """transformers takes the first name for Mistral v0.1, whose window of 4096 later ones do not have."""
    tokenizer = small_tokenizer()
    lm = tiny_llama(tokenizer)
    file = write_gguf(tmp_path / "m.gguf", lm, tokenizer, facts={"general.name": name})
    read = read_checkpoint(file, torch.float32)
    assert getattr(read.config, "sliding_window", None) is None
    assert same_weights(read.lm, lm)


def test_a_window_that_only_a_config_class_knows_is_taken_away(tmp_path: Path) -> None:
    config = t.MistralConfig()
    assert config.sliding_window == 4096
    set_window(tmp_path / "m.gguf", {"attention.sliding_window": 4096}, config)
    assert config.sliding_window == 4096
    set_window(tmp_path / "m.gguf", {}, config)
    assert config.sliding_window is None


@pytest.mark.parametrize("factor", [8.0, 32.0])
def test_the_scaled_positions_of_llama_3_come_back_as_its_settings(tmp_path: Path, factor: float) -> None:
    """In its GGUF files they are a tensor of factors: plain frequencies over scaled ones."""
    rope = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    tokenizer = small_tokenizer()
    lm = tiny_llama(tokenizer, rope_parameters=rope)
    plain = 500000.0 ** -(torch.arange(8) / 8)
    factors = (plain / lm.model.rotary_emb.inv_freq).numpy()
    assert factors.max() == pytest.approx(factor)
    file = write_gguf(tmp_path / "m.gguf", lm, tokenizer, extra={"rope_freqs.weight": factors})
    read = read_checkpoint(file, torch.float32)
    assert read.config.rope_parameters == pytest.approx(rope)
    ids = torch.randint(len(tokenizer), (1, 400), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(read.lm(input_ids=ids).logits, lm(input_ids=ids).logits)
    with Ranker(file, dtype="float32") as ranker:
        assert sorted(ranker.rank(QUERY, TEXTS).order) == list(range(5))


@pytest.mark.pretrained
def test_smollm2_packs_its_weights_and_ranks_as_its_folder_does(smollm2: Path) -> None:
    """The folder was written from the same file; `test_smollm2_is_what_transformers_reads` is independent of it."""
    with Ranker(smollm2_gguf()) as one, Ranker(smollm2) as other:
        packed = sum(isinstance(module, PackedLinear) for module in one.model.lm.modules())
        assert packed == (7 * 30 if one.model.lm.dtype == torch.bfloat16 else 0)
        assert one.rank(QUERY, TEXTS).rounds == other.rank(QUERY, TEXTS).rounds


@pytest.mark.pretrained
@pytest.mark.slow
def test_smollm2_is_what_transformers_reads(smollm2: Path) -> None:
    file = smollm2_gguf()
    plain = t.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    read = t.AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    assert same_weights(plain, read)
    theirs = t.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    ours = t.AutoTokenizer.from_pretrained(smollm2)
    assert theirs.get_vocab() == ours.get_vocab()
    assert theirs.chat_template == ours.chat_template
    question = ours.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
    )
    answer = read.generate(**question, max_new_tokens=8, do_sample=False)
    assert ours.decode(answer[0, question["input_ids"].shape[1] :], skip_special_tokens=True) == (
        "The capital of France is Paris."
    )


@pytest.mark.pretrained
def test_smollm2_splits_digits_one_by_one(smollm2: Path) -> None:
    """Its vocabulary was made so; spaces before a number stay together, which plain GPT-2 splitting takes apart."""
    tokenizer = t.AutoTokenizer.from_pretrained(smollm2)
    assert tokenizer.tokenize("  19 x") == ["ĠĠ", "1", "9", "Ġx"]
    assert tokenizer.tokenize("½ ² 12½")[-3:] == ["1", "2", "Â½"]
