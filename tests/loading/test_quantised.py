"""Quantised checkpoints: plain weights where they can be had, else refused by name before any weight is read."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t
from safetensors.torch import load_file, save_file

from rranker import Ranker, UnsupportedModelError
from rranker.engine.loading.checkpoint import read_checkpoint
from tests.support.architectures import tiny_model
from tests.support.checkpoints import edit, save_checkpoint, small_tokenizer, weights

QUERY = "which fox answers the query?"
TEXTS = ["the quick brown fox", "a lazy dog", "passages by how well", "the items next", "oldest first"]


def fp8(folder: Path, size: int) -> dict[str, torch.Tensor]:
    """Turns a folder's projections to FP8 in square blocks, as published ones are; returns what they then mean."""
    held, meant = load_file(folder / "model.safetensors"), dict[str, torch.Tensor]()
    for name, weight in list(held.items()):
        meant[name] = weight
        if "proj" not in name:
            continue
        rows, columns = weight.shape
        scales = torch.zeros(-(-rows // size), -(-columns // size))
        quantised, meant[name] = torch.empty_like(weight).to(torch.float8_e4m3fn), torch.empty_like(weight)
        for i in range(scales.shape[0]):
            for j in range(scales.shape[1]):
                block = slice(i * size, (i + 1) * size), slice(j * size, (j + 1) * size)
                scales[i, j] = weight[block].abs().max() / 448
                quantised[block] = (weight[block] / scales[i, j]).to(torch.float8_e4m3fn)
                meant[name][block] = quantised[block].float() * scales[i, j]
        held |= {name: quantised, f"{name}_scale_inv": scales}
    save_file(held, folder / "model.safetensors", metadata={"format": "pt"})
    edit("config.json", quantization_config={"quant_method": "fp8", "weight_block_size": [size, size]})(
        folder
    )
    return meant


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fp8_is_read_as_plain_weights(tmp_path: Path, dtype: torch.dtype) -> None:
    save_checkpoint(tmp_path, "qwen3", small_tokenizer(), hidden_size=64, intermediate_size=96)
    meant = fp8(tmp_path, 32)
    lm = read_checkpoint(tmp_path, dtype).lm
    assert lm.dtype == dtype
    assert lm.state_dict().keys() == meant.keys()
    assert all(torch.equal(weight, meant[name].to(dtype)) for name, weight in lm.state_dict().items())
    lm.save_pretrained(tmp_path / "plain")
    assert "quantization_config" not in json.loads((tmp_path / "plain/config.json").read_text())
    small_tokenizer().save_pretrained(tmp_path / "plain")
    with Ranker(tmp_path, dtype=dtype) as one, Ranker(tmp_path / "plain", dtype=dtype) as other:
        assert one.rank(QUERY, TEXTS).rounds == other.rank(QUERY, TEXTS).rounds


def test_fp8_blocks_that_do_not_divide_a_matrix_are_refused(folder: Path) -> None:
    fp8(folder, 32)
    with pytest.raises(UnsupportedModelError, match=r"blocks of 32x32 that do not divide model\.layers.*48"):
        Ranker(folder)


def test_fp8_without_its_scales_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "qwen3", small_tokenizer(), hidden_size=64, intermediate_size=96)
    fp8(tmp_path, 32)
    weights(model__layers__1__mlp__up_proj__weight_scale_inv=None)(tmp_path)
    with pytest.raises(
        UnsupportedModelError, match=r"lacks the scales of model\.layers\.1\.mlp\.up_proj\.weight"
    ):
        Ranker(tmp_path)


REFUSED = {
    "GPTQ": {"quant_method": "gptq", "bits": 4},
    "AWQ": {"quant_method": "awq", "bits": 4},
    "torchao": {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig"}}},
    "compressed-tensors": {"quant_method": "compressed-tensors", "format": "int-quantized"},
    "MXFP4": {"quant_method": "mxfp4"},
    "hqq": {"quant_method": "hqq"},
    "a-new-one": {"quant_method": "a-new-one"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused_by_name_before_weights_are_read(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    edit("config.json", quantization_config=REFUSED[name])(folder)
    with pytest.raises(UnsupportedModelError, match=f"is quantised by {name} .*model.dequantize") as error:
        Ranker(folder)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize(
    "entries", [{"quant_method": "bitsandbytes", "load_in_4bit": True}, {"load_in_8bit": True}]
)
def test_bitsandbytes_names_its_package_where_it_is_missing(
    folder: Path, entries: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "bitsandbytes":
            raise ModuleNotFoundError("No module named 'bitsandbytes'")
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    (folder / "model.safetensors").unlink()
    edit("config.json", quantization_config=entries)(folder)
    with pytest.raises(
        ImportError, match=r"quantised by bitsandbytes; .*pip install accelerate bitsandbytes"
    ):
        Ranker(folder)


@pytest.mark.parametrize(
    "entries", [{"load_in_8bit": True}, {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}]
)
def test_bitsandbytes_is_read_as_plain_weights(tmp_path: Path, entries: dict[str, Any]) -> None:
    pytest.importorskip("bitsandbytes")
    save_checkpoint(tmp_path / "plain", "llama", small_tokenizer(), hidden_size=64, head_dim=16)
    quantised = t.AutoModelForCausalLM.from_pretrained(
        tmp_path / "plain", quantization_config=t.BitsAndBytesConfig(**entries)
    )
    quantised.save_pretrained(tmp_path / "quantised")
    small_tokenizer().save_pretrained(tmp_path / "quantised")
    with pytest.raises(UnsupportedModelError, match=r"`model\.dequantize\(\)` it first"):
        Ranker(quantised, tokenizer=small_tokenizer())
    lm = read_checkpoint(tmp_path / "quantised", torch.float32).lm
    theirs = quantised.dequantize(dtype=torch.float32).state_dict()
    plain = tiny_model("llama", vocab_size=len(small_tokenizer()), hidden_size=64, head_dim=16).state_dict()
    for name, weight in lm.state_dict().items():
        assert torch.equal(weight, theirs[name]), name
        torch.testing.assert_close(weight, plain[name], atol=0.15, rtol=0)
    with Ranker(tmp_path / "quantised", dtype="float32") as ranker:
        assert sorted(ranker.rank(QUERY, TEXTS).order) == list(range(5))
