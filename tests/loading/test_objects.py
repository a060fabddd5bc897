"""A loaded model with its tokenizer: ranks as its checkpoint does, and is left as it was."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers as t
from torch import nn
from torch.nn.utils import prune

import rranker
from rranker import Ranker, UnsupportedModelError
from rranker.engine.engine import Engine
from rranker.engine.loading.objects import ModelAndTokenizer
from rranker.training.sft import from_encoder
from tests.support.architectures import CONFIGS, tiny_model
from tests.support.checkpoints import TINY_START, small_tokenizer
from tests.support.encoders import wordpiece

QUERY = "which fox answers the query?"
TEXTS = ["the quick brown fox", "a lazy dog", "passages by how well", "the items next", "oldest first"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return small_tokenizer()


@pytest.fixture
def lm(tokenizer: Any) -> Any:
    return tiny_model("qwen3", vocab_size=len(tokenizer))


@pytest.mark.parametrize(
    ("architecture", "dtype"),
    [  # no experts in bfloat16: a router that is nearly undecided may choose otherwise
        *((name, torch.float32) for name in ("qwen3", "gemma3", "mixtral")),
        *((name, torch.bfloat16) for name in ("qwen3", "gemma3")),
    ],
)
def test_it_ranks_as_its_checkpoint_does(
    tmp_path: Path, tokenizer: Any, architecture: str, dtype: torch.dtype
) -> None:
    model = tiny_model(architecture, vocab_size=len(tokenizer)).to(dtype)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with Ranker(model, tokenizer=tokenizer) as one, Ranker(tmp_path, dtype=dtype) as other:
        assert one.model.lm.dtype == dtype
        for method in ("iranker", "query_likelihood"):
            rounds = [ranker.rank(QUERY, TEXTS, method=method).rounds for ranker in (one, other)]
            if dtype == torch.float32:
                assert rounds[0] == rounds[1]
            else:  # a folder's weights may be packed, which rounds elsewhere
                first = [decisions[0].probabilities for decisions in rounds]
                assert first[0] == pytest.approx(first[1], abs=0.02)


@pytest.mark.parametrize("architecture", CONFIGS)
def test_the_model_is_left_as_it_was_while_the_ranker_is_open(tokenizer: Any, architecture: str) -> None:
    model = tiny_model(architecture, vocab_size=len(tokenizer)).train()
    ids = torch.arange(9)[None] + 5

    def state() -> tuple[Any, ...]:
        with torch.no_grad():
            logits = model.eval()(input_ids=ids).logits
        model.train()
        grads = [parameter.requires_grad for parameter in model.parameters()]
        return logits, grads, model.config.to_dict(), model.config._attn_implementation, [*model.modules()]

    before = state()
    with Ranker(model, tokenizer=tokenizer) as ranker:
        ranker.rank(QUERY, TEXTS)
        assert model.training
        assert not ranker.model.lm.training
        during = state()
        assert torch.equal(before[0], during[0])
        assert before[1:] == during[1:]


def test_weights_are_shared_not_copied(lm: Any, tokenizer: Any) -> None:
    with Ranker(lm, tokenizer=tokenizer) as ranker:
        own = dict(ranker.model.lm.named_parameters())
        assert all(parameter is own[name] for name, parameter in lm.named_parameters())
        before = ranker.rank(QUERY, TEXTS).rounds
        with torch.no_grad():
            lm.model.layers[0].self_attn.q_proj.weight.mul_(-1)
        assert ranker.rank(QUERY, TEXTS).rounds != before


def test_copies_and_pickles_rank_as_the_original(lm: Any, tokenizer: Any) -> None:
    ranker = Ranker(lm, tokenizer=tokenizer)
    expected = ranker.rank(QUERY, TEXTS).rounds
    shallow, deep, restored = copy.copy(ranker), copy.deepcopy(ranker), pickle.loads(pickle.dumps(ranker))
    for other in (shallow, deep, restored):
        assert other.rank(QUERY, TEXTS).rounds == expected
    weights = [other.model.lm.lm_head.weight.data_ptr() for other in (ranker, shallow, deep, restored)]
    assert weights[0] == weights[1]
    assert len({*weights}) == 3


def test_device_and_type_are_the_models_own(lm: Any, tokenizer: Any) -> None:
    with Ranker(lm, tokenizer=tokenizer, device="cpu", dtype="float32") as ranker:
        assert sorted(ranker.rank(QUERY, TEXTS).order) == list(range(5))
    with pytest.raises(ValueError, match=r"weights are torch\.float32: leave `dtype` out"):
        Ranker(lm, tokenizer=tokenizer, dtype="bfloat16")
    with pytest.raises(ValueError, match="dtype must be 'float32', 'bfloat16' or 'float16'"):
        Ranker(lm.to(torch.float64), tokenizer=tokenizer)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs two devices")
def test_another_device_than_the_models_is_refused(lm: Any, tokenizer: Any) -> None:
    with pytest.raises(ValueError, match=r"the model is on cpu: leave `device` out, or move it first"):
        Ranker(lm, tokenizer=tokenizer, device="cuda")


def test_an_engine_is_loaded_from_it_on_its_device(lm: Any, tokenizer: Any) -> None:
    engine = Engine.load(ModelAndTokenizer(lm, tokenizer), kv_cache_tokens=256)
    assert engine.runner.device == torch.device("cpu")
    assert engine.model is not None
    assert engine.model.tokenizer is tokenizer


def spread(lm: Any) -> Any:
    lm.lm_head.to("meta")
    return lm


def with_hooks(lm: Any) -> Any:
    from accelerate.hooks import AlignDevicesHook, add_hook_to_module

    add_hook_to_module(lm.model.layers[0], AlignDevicesHook(execution_device="cpu"))
    return lm


def pruned(lm: Any) -> Any:
    prune.random_unstructured(lm.model.layers[0].mlp.up_proj, "weight", 0.3)
    return lm


def wrapped(lm: Any) -> Any:
    outer = nn.Module()
    outer.module = lm
    return outer


def with_adapter(lm: Any) -> Any:
    return peft.get_peft_model(lm, peft.LoraConfig(target_modules=["q_proj"]))


def as_kind(name: str) -> Any:
    return lambda lm: getattr(t, name)(lm.config)


def recurrent(lm: Any) -> Any:
    return t.MambaForCausalLM(
        t.MambaConfig(vocab_size=lm.config.vocab_size, hidden_size=16, num_hidden_layers=1, state_size=4)
    )


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (spread, ValueError, r"spread over devices \(cpu, meta\).*whole model on one.*without device_map"),
        (with_hooks, ValueError, r"by `device_map`"),
        (pruned, UnsupportedModelError, r"layers.0.mlp.up_proj.weight of this .*prune.remove"),
        (wrapped, TypeError, r"not a Module: unwrap it \(`\.module`"),
        (with_adapter, TypeError, r"not a PeftModel: `merge_and_unload\(\)` it first"),
        (as_kind("Qwen3Model"), UnsupportedModelError, "a bare model without a language-model head"),
        (as_kind("Qwen3ForSequenceClassification"), UnsupportedModelError, "is a classifier"),
        (recurrent, UnsupportedModelError, "recurrent layers"),
    ],
)
def test_models_that_cannot_be_used_are_refused(
    lm: Any, tokenizer: Any, change: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Ranker(change(lm), tokenizer=tokenizer)


def test_one_trained_with_a_pointer_head_needs_its_folder() -> None:
    model = t.AutoModelForCausalLM.from_pretrained(TINY_START)
    with pytest.raises(UnsupportedModelError, match="give the checkpoint folder"):
        Ranker(model, tokenizer=t.AutoTokenizer.from_pretrained(TINY_START))


def test_a_tokenizer_is_needed_and_must_be_its_own(lm: Any, tokenizer: Any) -> None:
    with pytest.raises(TypeError, match=r"needs its tokenizer: Ranker\(model, tokenizer=tokenizer\)"):
        Ranker(lm)
    with pytest.raises(TypeError, match="tokenizer must be a transformers tokenizer, not a str"):
        Ranker(lm, tokenizer="owner/name")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedModelError, match="of this Qwen3ForCausalLM has ids up to"):
        Ranker(tiny_model("qwen3", vocab_size=100), tokenizer=tokenizer)
    with pytest.raises(TypeError, match="a checkpoint brings its own"):
        Ranker(tokenizer=tokenizer)


def test_the_short_way_says_to_make_a_ranker(lm: Any, tokenizer: Any) -> None:
    with pytest.raises(TypeError, match=r"make a `Ranker\(model, tokenizer=tokenizer\)`"):
        rranker.rank(QUERY, TEXTS, model=lm, tokenizer=tokenizer)


@pytest.mark.parametrize("given", ["auto", "balanced", {"": 0}, {"lm_head": "cpu"}, None])
def test_a_device_map_is_refused_in_any_form(given: Any) -> None:
    with pytest.raises(
        TypeError, match=r"no argument 'device_map': the engine runs a whole model on one device"
    ):
        Ranker(device_map=given)


@pytest.mark.parametrize("given", [["cuda:0", "cuda:1"], {"": 0}])
def test_several_devices_are_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="whole model on one device, and spreads none over several"):
        Ranker(device=given)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("torch_dtype", "it is called `dtype` here"),
        ("load_in_4bit", "not quantised while they are loaded"),
        ("trust_remote_code", "no code from checkpoints is run"),
        ("attn_implementation", "`attention_backend` chooses"),
    ],
)
def test_arguments_of_transformers_say_what_there_is_here(name: str, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        Ranker(**{name: True})


@pytest.mark.parametrize("kind", [t.BertModel, t.BertForSequenceClassification, t.BertForMaskedLM])
def test_what_is_said_of_an_encoder_leads_to_a_ranker(tmp_path: Path, kind: Any) -> None:
    """Each message names a step, of the loaded model and of its folder, and the last step ranks."""
    tokenizer = wordpiece(["fox", "dog"])
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    model = kind(t.BertConfig(vocab_size=len(tokenizer), **sizes))
    with pytest.raises(
        UnsupportedModelError, match=r"save.*FOLDER.*from_encoder FOLDER OUT`, and give OUT"
    ) as told:
        Ranker(model, tokenizer=tokenizer)
    assert ("model.base_model.save_pretrained(FOLDER)" in str(told.value)) == (kind is not t.BertModel)
    folder, saved, out = tmp_path / "folder", tmp_path / "saved", tmp_path / "out"
    model.base_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    if kind is not t.BertModel:
        with pytest.raises(
            UnsupportedModelError, match=r"AutoModel.from_pretrained\('.*saved'\).*FOLDER, its tok"
        ):
            Ranker(saved)
        t.AutoModel.from_pretrained(saved).save_pretrained(folder)
    with pytest.raises(UnsupportedModelError, match="from_encoder FOLDER OUT"):
        Ranker(folder)
    from_encoder.main([str(folder), str(out)])
    with Ranker(out) as ranker:
        assert sorted(ranker.rank("fox", ["a dog", "a fox"]).order) == [0, 1]
    with pytest.raises(UnsupportedModelError, match=r"pointer head, .* give the checkpoint folder in place"):
        Ranker(t.AutoModel.from_pretrained(out), tokenizer=t.AutoTokenizer.from_pretrained(out))
