"""Small GGUF files, written by the `gguf` package from a tiny Llama as llama.cpp's converter would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from tests.support.architectures import tiny_model

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
F32, Q4_1, Q8_0 = (gguf.GGMLQuantizationType[name] for name in ("F32", "Q4_1", "Q8_0"))


def tiny_llama(tokenizer: Any, **changes: Any) -> Any:
    """Rows of 64: whole blocks, where they are quantised."""
    return tiny_model("llama", vocab_size=len(tokenizer), hidden_size=64, head_dim=16, **changes)


def write_gguf(
    path: Path,
    lm: Any,
    tokenizer: Any,
    *,
    kind: gguf.GGMLQuantizationType = F32,
    architecture: str = "llama",
    facts: dict[str, Any] | None = None,
    extra: dict[str, np.ndarray] | None = None,
) -> Path:
    """Writes `lm` and `tokenizer`; matrices in blocks of `kind`, to whose values `lm`'s own are rounded.

    `facts` (strings, whole numbers or floats; None leaves one out) and `extra` tensors go before what is written of
    themselves. Skips where transformers is older than the extra `gguf` asks for.
    """
    pytest.importorskip("transformers.integrations.gguf", reason="the extra gguf needs a newer transformers")
    config, writer = lm.config, gguf.GGUFWriter(path, architecture)
    said: dict[str, Any] = {
        f"{architecture}.context_length": config.max_position_embeddings,
        f"{architecture}.block_count": config.num_hidden_layers,
        f"{architecture}.embedding_length": config.hidden_size,
        f"{architecture}.feed_forward_length": config.intermediate_size,
        f"{architecture}.attention.head_count": config.num_attention_heads,
        f"{architecture}.attention.head_count_kv": config.num_key_value_heads,
        f"{architecture}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        f"{architecture}.rope.dimension_count": config.head_dim,
        f"{architecture}.rope.freq_base": config.rope_parameters["rope_theta"],
        f"{architecture}.vocab_size": config.vocab_size,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        **(facts or {}),
    }
    for name, value in said.items():
        if value is None:
            continue
        add = {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32}[type(value)]
        add(name, value)
    _write_tokenizer(writer, tokenizer)
    for name, tensor in _llama_tensors(lm, kind):
        writer.add_tensor(name, tensor, raw_dtype=kind if tensor.dtype == np.uint8 else None)
    for name, array in (extra or {}).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any) -> None:
    import json

    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    added = tokenizer.added_tokens_decoder
    kinds = [
        NORMAL if place not in added else CONTROL if added[place].special else USER_DEFINED
        for place in range(len(tokens))
    ]
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _llama_tensors(lm: Any, kind: gguf.GGMLQuantizationType) -> list[tuple[str, np.ndarray]]:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, lm.config.num_hidden_layers)
    heads = {"q_proj": lm.config.num_attention_heads, "k_proj": lm.config.num_key_value_heads}
    tensors = []
    for name, parameter in lm.named_parameters():
        values = parameter.detach().numpy()
        if values.ndim > 1 and kind != F32:
            blocks = gguf.quants.quantize(values, kind)
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(gguf.quants.dequantize(blocks, kind)))
            values = blocks
        count = next((count for part, count in heads.items() if part in name), None)
        if count is not None:  # llama.cpp turns pairs of neighbours, transformers the two halves of a head
            halves = values.reshape(count, 2, values.shape[0] // count // 2, *values.shape[1:])
            values = halves.swapaxes(1, 2).reshape(values.shape)
        tensors.append((names.get_name(name, (".weight",)), np.ascontiguousarray(values)))
    return tensors
