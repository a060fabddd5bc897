"""Adapter folders, as peft saves them: base and adapter are one model, the one that merging them by hand makes."""

from __future__ import annotations

import builtins
import json
import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers as t

from rranker import Ranker, UnsupportedModelError
from rranker.engine.loading.checkpoint import read_checkpoint, read_config
from tests.support.checkpoints import cut, edit, save_checkpoint, small_tokenizer, write
from tests.support.encoders import tiny_encoder

QUERY = "which fox answers the query?"
TEXTS = ["the quick brown fox", "a lazy dog", "passages by how well", "the items next", "oldest first"]
KINDS = {
    "lora": lambda: peft.LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    "rslora": lambda: peft.LoraConfig(r=4, use_rslora=True, target_modules=["q_proj", "down_proj"]),
    "dora": lambda: peft.LoraConfig(
        r=4, use_dora=True, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"
    ),
    "with a head of its own": lambda: peft.LoraConfig(
        r=4, target_modules=["q_proj"], modules_to_save=["lm_head"], task_type="CAUSAL_LM"
    ),
    "loha": lambda: peft.LoHaConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    "ia3": lambda: peft.IA3Config(
        target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"], task_type="CAUSAL_LM"
    ),
}


def adapt(base: Path, folder: Path, config: Any) -> Path:
    """An adapter of `base` whose weights are random, not the nothing that they are when training begins."""
    torch.manual_seed(1)
    adapted = peft.get_peft_model(t.AutoModelForCausalLM.from_pretrained(base), config)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def lora(sound_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapt(sound_checkpoint, tmp_path_factory.mktemp("lora"), KINDS["lora"]())


@pytest.fixture
def copy(lora: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(lora, tmp_path / "adapter"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_ranks_as_its_merged_model(
    sound_checkpoint: Path, tmp_path: Path, kind: str, dtype: torch.dtype
) -> None:
    folder = adapt(sound_checkpoint, tmp_path / "adapter", KINDS[kind]())
    plain = t.AutoModelForCausalLM.from_pretrained(sound_checkpoint, dtype=dtype)
    merged = peft.PeftModel.from_pretrained(plain, folder).merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    small_tokenizer().save_pretrained(tmp_path / "merged")
    rounds = []
    for model in (folder, tmp_path / "merged", sound_checkpoint):
        with Ranker(model, dtype=dtype) as ranker:
            rounds.append(ranker.rank(QUERY, TEXTS).rounds)
    assert rounds[0] == rounds[1]
    assert rounds[0] != rounds[2]


def test_the_adapters_own_tokenizer_goes_before_its_bases(sound_checkpoint: Path, copy: Path) -> None:
    assert read_checkpoint(copy, None).tokenizer.chat_template == small_tokenizer().chat_template
    tokenizer = small_tokenizer()
    tokenizer.chat_template = "of its own {{ messages[0]['content'] }}"
    tokenizer.save_pretrained(copy)
    assert read_checkpoint(copy, None).tokenizer.chat_template == tokenizer.chat_template
    assert read_config(copy).to_dict() == read_config(sound_checkpoint).to_dict()


def on_the_hub(cache: Path, monkeypatch: pytest.MonkeyPatch, **folders: Path) -> None:
    """Folders of `some-org`, laid out as `hf download` leaves them, offline."""
    revision = "0" * 40
    for name, folder in folders.items():
        repository = cache / f"models--some-org--{name}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(revision)
        shutil.copytree(folder, repository / "snapshots" / revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))


def test_an_adapter_and_its_base_are_found_by_their_names_on_the_hub(
    sound_checkpoint: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit("adapter_config.json", base_model_name_or_path="some-org/base")(copy)
    on_the_hub(tmp_path, monkeypatch, base=sound_checkpoint, adapter=copy)
    with Ranker("some-org/adapter", dtype="float32") as one, Ranker(copy, dtype="float32") as other:
        assert one.rank(QUERY, TEXTS).rounds == other.rank(QUERY, TEXTS).rounds


def test_a_base_that_is_not_there_is_named_with_the_cure(copy: Path) -> None:
    edit("adapter_config.json", base_model_name_or_path="/home/somebody/models/base")(copy)
    with pytest.raises(FileNotFoundError, match="needs its base model") as error:
        Ranker(copy)
    for part in (str(copy), "/home/somebody/models/base", "Set base_model_name_or_path in"):
        assert part in str(error.value)


@pytest.mark.parametrize("name", [None, ""])
def test_an_adapter_that_names_no_base_is_refused(copy: Path, name: str | None) -> None:
    edit("adapter_config.json", base_model_name_or_path=name)(copy)
    with pytest.raises(ValueError, match="does not name its base model: set base_model_name_or_path"):
        Ranker(copy)


OTHER_BASES = {
    "other shapes": ("qwen3", {"intermediate_size": 96}, "size mismatch"),
    "fewer layers": ("qwen3", {"num_hidden_layers": 2, "layer_types": None}, "in one of them only"),
    "more layers": ("qwen3", {"num_hidden_layers": 4, "layer_types": None}, "in one of them only"),
    "other modules": ("phi3", {}, "size mismatch"),
}


@pytest.mark.parametrize("case", OTHER_BASES)
def test_another_base_than_it_was_trained_on_is_refused(copy: Path, tmp_path: Path, case: str) -> None:
    architecture, changes, why = OTHER_BASES[case]
    tokenizer = small_tokenizer()
    other = tmp_path / "other"
    if changes:
        config = t.AutoConfig.for_model(**{**read_config(read_config_of(copy)).to_dict(), **changes})
        t.AutoModelForCausalLM.from_config(config).save_pretrained(other)
        tokenizer.save_pretrained(other)
    else:
        save_checkpoint(other, architecture, tokenizer)
    edit("adapter_config.json", base_model_name_or_path=str(other))(copy)
    with pytest.raises(UnsupportedModelError, match=f"was trained on another model.*({why})") as error:
        Ranker(copy)
    assert str(copy) in str(error.value)
    assert str(other) in str(error.value)


def read_config_of(folder: Path) -> str:
    return str(json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"])


@pytest.mark.parametrize("where", ["a folder", "the hub"])
def test_an_adapter_of_an_adapter_is_refused_by_name(
    copy: Path, lora: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_the_hub(tmp_path, monkeypatch, first=lora)
    base = "some-org/first" if where == "the hub" else str(lora)
    edit("adapter_config.json", base_model_name_or_path=base)(copy)
    for read in (read_config, Ranker):
        with pytest.raises(UnsupportedModelError, match=r"is an adapter itself.*merge_and_unload") as error:
            read(copy)
        assert f"the base of the adapter in {copy}, {base}, is" in str(error.value)


@pytest.mark.parametrize("where", ["a folder", "the hub"])
def test_an_adapter_that_names_itself_is_refused_by_name(
    copy: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "some-org/adapter" if where == "the hub" else str(copy)
    edit("adapter_config.json", base_model_name_or_path=name)(copy)
    on_the_hub(tmp_path, monkeypatch, adapter=copy)
    for read in (read_config, Ranker):
        with pytest.raises(UnsupportedModelError, match="set base_model_name_or_path in") as error:
            read(name)
        assert f"names itself ({name}) as its base" in str(error.value)


def test_a_classifiers_adapter_is_refused(copy: Path) -> None:
    edit("adapter_config.json", task_type="SEQ_CLS")(copy)
    with pytest.raises(UnsupportedModelError, match="an adapter for SEQ_CLS"):
        Ranker(copy)


@pytest.mark.parametrize("dtype", [None, torch.float32], ids=["read without weights", "read"])
def test_an_encoders_adapter_is_refused(tmp_path: Path, dtype: torch.dtype | None) -> None:
    base, tokenizer = tmp_path / "base", small_tokenizer()
    tiny_encoder("bert", vocab_size=len(tokenizer)).save_pretrained(base)
    tokenizer.save_pretrained(base)
    config = peft.LoraConfig(r=4, target_modules=["query"])
    peft.get_peft_model(t.AutoModel.from_pretrained(base), config).save_pretrained(tmp_path / "adapter")
    with pytest.raises(UnsupportedModelError, match=r"is of an encoder.*merge it where it was trained"):
        read_checkpoint(tmp_path / "adapter", dtype)


def test_a_learned_prompt_cannot_be_merged(sound_checkpoint: Path, tmp_path: Path) -> None:
    config = peft.PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")
    folder = adapt(sound_checkpoint, tmp_path / "adapter", config)
    with pytest.raises(UnsupportedModelError, match="PROMPT_TUNING, which cannot be merged"):
        Ranker(folder)


def test_a_folder_with_a_model_and_an_adapter_is_refused(copy: Path, sound_checkpoint: Path) -> None:
    shutil.copy(sound_checkpoint / "model.safetensors", copy)
    shutil.copy(sound_checkpoint / "config.json", copy)
    with pytest.raises(ValueError, match=r"holds a model and an adapter.*a folder of its own"):
        Ranker(copy)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (cut("adapter_model.safetensors", 500), "damaged or was not copied to its end"),
        (
            lambda folder: (folder / "adapter_model.safetensors").unlink(),
            r"missing.*pickled ones are not read",
        ),
        (write("adapter_config.json", "{"), "not valid JSON"),
        (edit("adapter_config.json", peft_type="NEW_KIND"), "cannot be read by the installed peft"),
    ],
)
def test_damaged_adapters_are_named(copy: Path, change: Any, says: str) -> None:
    change(copy)
    with pytest.raises((ValueError, FileNotFoundError), match=says) as error:
        Ranker(copy)
    assert str(copy) in str(error.value)


def test_merging_is_silent(lora: Path, recwarn: pytest.WarningsRecorder) -> None:
    read_checkpoint(lora, torch.float32)
    assert [str(warning.message) for warning in recwarn] == []


def test_without_peft_the_extra_is_named(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "peft":
            raise ModuleNotFoundError("No module named 'peft'")
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'rranker\[peft\]'"):
        Ranker(copy)


def test_what_was_merged_can_be_trained(lora: Path) -> None:
    lm = read_checkpoint(lora, torch.float32).lm
    assert all(parameter.requires_grad for parameter in lm.parameters())
