"""Whole tiny models with fused kernels say what they say without; what is fused, and what is put back."""

from __future__ import annotations

import copy
from collections import Counter
from types import MethodType

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rranker import Ranker
from rranker.engine.attention import attention_backend
from rranker.engine.engine import Engine
from rranker.engine.errors import SettingError
from rranker.engine.fused import fuse, fuse_judged, unfuse, unfused, wants_fused
from rranker.engine.loading.objects import ModelAndTokenizer
from rranker.engine.runner import ModelRunner
from rranker.engine.self_check import self_check
from tests.support.architectures import tiny_model
from tests.support.checkpoints import small_tokenizer
from tests.support.engine_steps import close, one_step, opened, problem
from tests.support.interpreter import patch_casts
from tests.support.launches import counted_launches

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SUBSETS = [(0, 1, 2, 3), (0, 2, 3), (0, 2)]
SIZES = {"n": 4, "longest": 5, "prefix": 5, "suffix": 2}  # the interpreter takes its time for each row
# Per layer: what a step that only asks questions launches, of Llama in bfloat16.
OPERATORS = {"linear": 7, "mul": 9, "add": 6, "to": 4, "pow": 2, "mean": 2, "rsqrt": 2, "cat": 2, "neg": 2}
KERNELS = {"linear": 7, "add_norm_kernel": 2, "rotary_kernel": 1, "gate_kernel": 1, "attention_kernel": 1}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def model(name, **changes):
    """With norms whose weights are not all alike."""
    lm = tiny_model(name, **changes)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in lm.base_model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) / 4)
    return lm.to(DEVICE)


def runner(lm, backend="reference"):  # whose attention the interpreter does not slow down
    return ModelRunner(lm, attention_backend(backend), slots=1024)


def said(lm, attention="causal"):
    """Logits of three rounds: the first step stores keys, the second asks over them."""
    run, segments = runner(lm), problem(3, **SIZES)
    session = opened(run, lm, segments, attention)
    return [one_step(run, lm, session, SUBSETS[:1])[0], *one_step(run, lm, session, SUBSETS[1:])]


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("llama", {"LlamaRMSNorm": 7, "LlamaMLP": 3, "LlamaAttention": 3, "LlamaDecoderLayer": 3}),
        ("qwen3", {"Qwen3RMSNorm": 13, "Qwen3MLP": 3, "Qwen3Attention": 3, "Qwen3DecoderLayer": 3}),
        ("gemma", {"GemmaRMSNorm": 7, "GemmaMLP": 3, "GemmaAttention": 3, "GemmaDecoderLayer": 3}),
        # sandwich norms; norms behind, in fp32; a residual that is scaled; experts in place of an MLP
        ("gemma3", {"Gemma3RMSNorm": 19, "Gemma3MLP": 3, "Gemma3Attention": 3}),
        ("olmo2", {"Olmo2RMSNorm": 13, "Olmo2MLP": 3, "Olmo2Attention": 3}),
        ("granite", {"GraniteRMSNorm": 7, "GraniteMLP": 3, "GraniteAttention": 3}),
        ("mixtral", {"MixtralRMSNorm": 7, "MixtralAttention": 3, "MixtralDecoderLayer": 3}),
    ],
)
def test_a_fused_model_says_what_it_says_unfused(name, classes):
    lm = model(name)
    expected = said(lm)
    assert fuse(lm) == Counter(classes)
    for one, other in zip(said(lm), expected, strict=True):
        close(one, other)
    assert unfuse(lm) == Counter(classes)
    assert all(np.array_equal(one, other) for one, other in zip(said(lm), expected, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_the_bits_are_nearly_all_the_same(dtype, monkeypatch):
    patch_casts(monkeypatch)
    lm = model("qwen3").to(dtype)
    expected = np.concatenate(said(lm, "block"))
    fuse(lm)
    error = np.abs(np.concatenate(said(lm, "block")) - expected).max() / np.abs(expected).max()
    assert error < 4 * torch.finfo(dtype).eps


@pytest.mark.skipif(torch.cuda.is_available(), reason="what is interpreted is counted")
@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize(("fused", "launches"), [(False, OPERATORS), (True, KERNELS)])
def test_launches_of_a_layer(fused, launches, stores, monkeypatch):
    counts = []
    for layers in (2, 3):  # whose difference is one layer
        lm = model("llama", num_hidden_layers=layers).bfloat16()
        if fused:
            fuse(lm)
        run = runner(lm, "triton")
        session = opened(run, lm, problem(3, n=3), "causal")
        if not stores:  # the first step stores keys, the second asks
            one_step(run, lm, session, [(0, 1, 2)])
        with counted_launches(monkeypatch) as names:
            one_step(run, lm, session, [(0, 1)])
        counts.append(names)
    difference = counts[1] - counts[0]
    others = {"write_kernel": 1} if stores else {}
    if not fused:
        others |= {"silu": 1, "attention_kernel": 1}
    assert difference == Counter({**launches, **others})
    assert difference.total() == (12 if fused else 38) + stores


def test_a_copy_of_a_fused_model_is_fused_and_its_own():
    lm = model("llama")
    fuse(lm)
    other = copy.deepcopy(lm)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.5)
    found = said(other)
    methods = [vars(m)["forward"] for m in other.modules() if "forward" in vars(m)]
    assert len(methods) == 16
    assert {id(method.__self__) for method in methods} <= {id(module) for module in other.modules()}
    unfuse(other)
    for one, expected in zip(found, said(other), strict=True):
        close(one, expected)


def test_outside_of_inference_mode_the_models_own_forward_runs():
    lm = model("llama")
    ids = torch.arange(9, device=DEVICE)[None]
    fuse(lm)
    lm.set_attn_implementation("eager")
    loss = lm(input_ids=ids, labels=ids).loss
    loss.backward()
    with unfused(lm):
        assert torch.equal(lm(input_ids=ids, labels=ids).loss, loss)
    assert all(parameter.grad is not None for parameter in lm.parameters())


def test_names_and_weights_are_what_they_were():
    lm = model("qwen3")
    before = {name: id(tensor) for name, tensor in lm.state_dict(keep_vars=True).items()}
    kinds = [type(module) for module in lm.modules()]
    fuse(lm)
    assert {name: id(tensor) for name, tensor in lm.state_dict(keep_vars=True).items()} == before
    assert [type(module) for module in lm.modules()] == kinds


def test_whatever_stands_in_a_matrix_place_is_called():
    lm = model("llama")
    calls = []
    mlp = lm.base_model.layers[1].mlp
    mlp.up_proj.register_forward_hook(lambda *_: calls.append(1))
    fuse(lm)
    assert "forward" in vars(mlp)
    said(lm)
    assert len(calls) == 2  # one a pass


def test_adapters_inside_of_fused_modules_count():
    peft = pytest.importorskip("peft")
    lm = model("llama")
    targets = ["gate_proj", "up_proj", "down_proj", "q_proj"]
    adapted = peft.get_peft_model(lm, peft.LoraConfig(target_modules=targets, r=2, init_lora_weights=False))
    adapted.eval()
    expected = said(lm)
    assert fuse(lm)["LlamaMLP"] == 3
    for one, other in zip(said(lm), expected, strict=True):
        close(one, other)
    with adapted.disable_adapter():
        assert np.abs(said(lm)[0] - expected[0]).max() > 0.01


def test_modules_that_do_something_else_are_left_alone():
    lm = model("llama")
    first, second, third = lm.base_model.layers
    # a forward of somebody else's, a hook on a norm whose addition would be fused, an activation that no kernel knows
    first.mlp.forward = MethodType(lambda module, x: module.down_proj(module.up_proj(x)), first.mlp)
    second.post_attention_layernorm.register_forward_hook(lambda module, args, out: out * 2)
    third.mlp.act_fn = torch.nn.Mish()
    expected = said(lm)
    assert fuse(lm) == {"LlamaRMSNorm": 6, "LlamaMLP": 1, "LlamaAttention": 3, "LlamaDecoderLayer": 2}
    for one, other in zip(said(lm), expected, strict=True):
        close(one, other)


def test_the_load_check_judges_and_names_what_failed(monkeypatch):
    from rranker.kernels.gate import kernel as gate

    lm = model("llama")
    run = runner(lm)
    monkeypatch.setattr(gate, "gate", lambda left, right, activation: left * right)
    with pytest.warns(UserWarning, match="fused kernels of LlamaMLP do not"):
        assert not fuse_judged(lm, lambda: self_check(lm, run, "causal"))
    assert not [module for module in lm.modules() if "forward" in vars(module)]
    monkeypatch.undo()
    assert fuse_judged(lm, lambda: self_check(lm, run, "causal"))["LlamaMLP"] == 3


def test_a_loaded_engine_is_fused_where_it_is_asked_for():
    lm = model("llama")
    given = ModelAndTokenizer(lm, small_tokenizer())
    setting = {"attention_backend": "triton", "kv_cache_tokens": 256}
    assert Engine.load(given, fused_kernels=True, **setting).fused.total() == 16
    assert not Engine.load(given, fused_kernels=False, **setting).fused
    assert not [
        module for module in lm.modules() if "forward" in vars(module)
    ]  # the model given stays as it was


@pytest.mark.slow
@pytest.mark.pretrained
def test_a_public_checkpoint_ranks_the_same_fused(smollm2):
    """Its first layers, which the interpreter has time for."""
    lm, tokenizer = AutoModelForCausalLM.from_pretrained(smollm2), AutoTokenizer.from_pretrained(smollm2)
    lm.model.layers, lm.config.num_hidden_layers = lm.model.layers[:3], 3
    found = []
    for fused in (False, True):
        ranker = Ranker(lm.eval(), tokenizer=tokenizer, method="query_likelihood", fused_kernels=fused)
        ranking = ranker.rank("who wrote Emma?", ["Jane Austen wrote it.", "Bees do."])
        found.append(({c.index: c.score for c in ranking}, ranker._scorer.engine.fused.total()))
    (expected, none), (scores, modules) = found
    assert (none, modules) == (
        0,
        3 * 5 + 1,
    )  # a layer: two norms, an MLP, attention, itself; and the last norm
    assert scores == pytest.approx(expected, abs=1e-4)


def test_the_default_is_by_device(monkeypatch):
    assert not wants_fused(None, torch.device("cpu"))
    assert wants_fused(None, torch.device("cuda"))
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(SettingError, match="CUDA and ROCm, not on cpu"):
        wants_fused(True, torch.device("cpu"))
