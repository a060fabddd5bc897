"""Hugging Face folders from disk through `Ranker("path")`, hub names through `from_pretrained`, and refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from rranker import Ranker, UnsupportedModelError
from rranker.engine.loading.settings import ModelSettings
from rranker.prompts import PASSAGE
from tests.support.architectures import CONFIGS
from tests.support.checkpoints import TINY_START, save_checkpoint, small_tokenizer
from tests.support.toy_tokenizers import CHAT_TEMPLATE, train

QUERY = "which fox answers the query?"
TEXTS = ["the quick brown fox", "a lazy dog", "passages by how well", "the items next", "oldest first"]


@pytest.fixture(scope="module")
def bytewise() -> Any:
    """A token a byte: text encoded piece by piece equals text encoded whole."""
    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens.train_from_iterator(
        [], trainers.BpeTrainer(vocab_size=259, special_tokens=special, initial_alphabet=alphabet)
    )
    wrapped = t.PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="<|im_end|>")
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return small_tokenizer()


def by_hand(folder: Path, alive: list[int]) -> list[float]:
    """The identifier logits of one round, from the whole prompt as a chat user would write it."""
    tokenizer, lm = t.AutoTokenizer.from_pretrained(folder), t.AutoModelForCausalLM.from_pretrained(folder)
    lines = "".join(f"[{'ABCDE'[i]}] {TEXTS[i]}\n" for i in alive)
    content = f"{PASSAGE.instruction}\n\nQuery: {QUERY}\n\nPassages:\n{lines}"
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer(prompt + "The least relevant passage: [", return_tensors="pt").input_ids
    with torch.no_grad():
        logits = lm(ids).logits[0, -1]
    return [float(logits[tokenizer.convert_tokens_to_ids("ABCDE"[i])]) for i in alive]


def test_a_chat_checkpoint_says_what_its_own_chat_template_and_forward_say(
    tmp_path: Path, bytewise: Any
) -> None:
    folder = save_checkpoint(tmp_path, "qwen2", bytewise)
    with Ranker(folder, dtype="float32", relayout="keep", method="iranker") as ranker:
        ranking = ranker.rank(QUERY, TEXTS, task="passage")
    assert len(ranking.rounds) == 4
    for played in ranking.rounds:
        alive = list(played.alive)
        assert alive == sorted(alive)  # `given` keeps the input order
        expected = torch.tensor(by_hand(folder, alive)).softmax(0)
        torch.testing.assert_close(torch.tensor(played.probabilities), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("architecture", CONFIGS)
def test_every_architecture_loads_from_its_folder_and_ranks(
    tmp_path: Path, tokenizer: Any, architecture: str
) -> None:
    folder = save_checkpoint(tmp_path, architecture, tokenizer)
    for attention in ("causal", "block"):
        with Ranker(folder, dtype="float32", method="iranker", attention_mode=attention) as ranker:  # type: ignore[arg-type]
            assert sorted(ranker.rank(QUERY, TEXTS).order) == list(range(5))


def test_a_folder_without_a_chat_template_works_too(tmp_path: Path, tokenizer: Any) -> None:
    bare = t.PreTrainedTokenizerFast(tokenizer_object=train(), bos_token="<|endoftext|>")
    folder = save_checkpoint(tmp_path, "llama", bare)
    with Ranker(str(folder)) as ranker:
        assert sorted(ranker.rank(["the fox", "the dog"], TEXTS).order) == list(range(5))
        assert sorted(ranker.rank(QUERY, TEXTS * 8, task="routing").order) == list(range(40))


def test_a_hub_name_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError) as error:
        Ranker("some-org/some-model")
    for word in ("some-org/some-model", "no such folder", "hf download", "bundled"):
        assert word in str(error.value)


def test_a_hub_name_goes_through_the_hub_cache(
    tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint laid out as `hf download` leaves it is found by its name, offline."""
    revision = "0" * 40
    repository = tmp_path / "models--some-org--some-model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    save_checkpoint(repository / "snapshots" / revision, "qwen3", tokenizer)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path), raising=False)
    with Ranker("some-org/some-model") as ranker:
        assert sorted(ranker.rank(QUERY, TEXTS).order) == list(range(5))


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "pointer_head.safetensors"])
def test_an_incomplete_folder_says_what_is_missing(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(TINY_START, folder)
    (folder / missing).unlink()
    with pytest.raises(FileNotFoundError, match=r"safetensors"):
        Ranker(folder)


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(TINY_START, folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="pickled weights are not read"):
        Ranker(folder)


def test_the_old_name_of_the_prompt_format_is_still_read(tmp_path: Path) -> None:
    path = TINY_START / "config.json"
    present = json.loads(path.read_text())["rranker"]
    before = {"dialect" if name == "prompt_format" else name: value for name, value in present.items()}
    assert before != present
    settings = ModelSettings.read(before, path)
    assert settings == ModelSettings.read(present, path)
    assert settings.prompt_format == "compact"
    with pytest.raises(ValueError, match=r"config\.json: .*'prompt_format' is given twice.*'dialect'"):
        ModelSettings.read({**present, "dialect": "text"}, path)
    with pytest.raises(ValueError, match=r"config\.json: .*prompt_format must be one of text, compact"):
        ModelSettings.read({"dialect": "klingon"}, path)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pooling_goes_with_a_pointer_in_block_attention(pooling: Any) -> None:
    pointed = {"attention": "block", "readout": "pointer"}
    assert ModelSettings(pooling=pooling, **pointed).pooling == pooling
    for change in ({"attention": "causal"}, {"readout": "identifier"}):
        with pytest.raises(
            ValueError, match=f"pooling '{pooling}' goes with attention 'block' and readout 'pointer'"
        ):
            ModelSettings(pooling=pooling, **{**pointed, **change})
    with pytest.raises(ValueError, match="pooling must be one of last, mean, cls, not 'max'"):
        ModelSettings(pooling="max", **pointed)


def test_prompts_go_with_an_encoders_format() -> None:
    prompts = {"query_prompt": "query: ", "document_prompt": "passage: "}
    assert ModelSettings(prompt_format="encoder", **prompts).prompts == ("query: ", "passage: ")
    with pytest.raises(
        ValueError, match="query_prompt 'query: ' goes with prompt_format 'encoder', not with 'text'"
    ):
        ModelSettings(**prompts)
    with pytest.raises(ValueError, match="document_prompt must be a text, not 3"):
        ModelSettings(prompt_format="encoder", document_prompt=3)  # type: ignore[arg-type]


def test_unknown_settings_in_a_checkpoint_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(TINY_START, folder)
    config = json.loads((folder / "config.json").read_text())
    config["rranker"]["telepathy"] = True
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"unknown entries .* telepathy"):
        Ranker(folder)


_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}
REFUSED = {
    "soft caps": (lambda v: t.Gemma2Config(vocab_size=v, **_SMALL, head_dim=8), "soft-caps"),
    "sinks": (
        lambda v: t.GptOssConfig(
            vocab_size=v,
            **_SMALL,
            head_dim=8,
            num_local_experts=2,
            num_experts_per_tok=1,
            rope_parameters=None,
        ),
        "sinks",
    ),
    "recurrent hybrid": (
        lambda v: t.BambaConfig(
            vocab_size=v, **_SMALL, attn_layer_indices=[1], mamba_n_heads=4, mamba_d_head=16
        ),
        "recurrent",
    ),
    "parallel recurrence": (
        lambda v: t.FalconH1Config(vocab_size=v, **_SMALL, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8),
        "recurrent",
    ),
    "convolutions": (lambda v: t.Lfm2Config(vocab_size=v, **_SMALL, full_attn_idxs=[1]), "recurrent"),
    "dynamic rope": (
        lambda v: t.LlamaConfig(
            vocab_size=v,
            **_SMALL,
            rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
        ),
        "dynamic RoPE",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_engine_cannot_reproduce_is_refused_at_load(
    tmp_path: Path, tokenizer: Any, case: str
) -> None:
    make, word = REFUSED[case]
    t.AutoModelForCausalLM.from_config(make(len(tokenizer)), dtype=torch.float32).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match=word):
        Ranker(tmp_path)
