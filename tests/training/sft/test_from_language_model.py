"""A ranking model made of a causal language model: what it starts as, how it trains, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as t
from safetensors.torch import load_file

from rranker import Ranker, UnsupportedModelError
from rranker.engine.loading.settings import AttentionMode
from rranker.prompts.compact import SPECIAL_TOKENS, CompactFormat
from rranker.prompts.encoding import TextEncoder
from rranker.training.packing.batch import training_batch
from rranker.training.sft import train
from rranker.training.sft.checkpoint import load_model, save_model
from rranker.training.sft.config import SftConfig
from rranker.training.sft.from_language_model import from_language_model, main
from rranker.training.sft.options import configured, parse
from rranker.training.sft.run import first_model
from tests.support.checkpoints import TINY_START, save_checkpoint, small_tokenizer
from tests.support.encoders import save_encoder
from tests.support.rounds import order_by_rounds
from tests.support.toy_examples import WORDS, make_case, make_example

MODES: tuple[AttentionMode, ...] = ("block", "causal")


@pytest.fixture(scope="module", params=["llama", "qwen2", "granite"])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny language model as published: tied embeddings or not."""
    folder = tmp_path_factory.mktemp(request.param)
    tied = {"tie_word_embeddings": request.param == "llama"}
    return save_checkpoint(folder, request.param, small_tokenizer(), **tied)


def test_new_tokens_start_as_what_their_names_are_spelled_by(published: Path) -> None:
    model, tokenizer = from_language_model(published)
    before = t.AutoModelForCausalLM.from_pretrained(published)
    known = t.AutoTokenizer.from_pretrained(published)
    for old, new in (
        (before.get_input_embeddings(), model.lm.get_input_embeddings()),
        (before.get_output_embeddings(), model.lm.get_output_embeddings()),
    ):
        assert torch.equal(new.weight[: len(old.weight)], old.weight)
        for token in SPECIAL_TOKENS:
            spelled = known(token.strip("<|>"), add_special_tokens=False)["input_ids"]
            expected = old.weight[spelled].mean(0)
            torch.testing.assert_close(new.weight[tokenizer.convert_tokens_to_ids(token)], expected)
    text = known("the quick brown fox", return_tensors="pt")["input_ids"]
    assert torch.equal(tokenizer("the quick brown fox", return_tensors="pt")["input_ids"], text)
    assert (tokenizer.pad_token, tokenizer.eos_token) == (known.pad_token, known.eos_token)
    assert not any(p.abs().max() for p in model.head.parameters())


@pytest.mark.parametrize("attention", MODES)
def test_the_folder_says_what_it_is(published: Path, tmp_path: Path, attention: AttentionMode) -> None:
    main([str(published), str(tmp_path), "--attention", attention])
    mark = json.loads((tmp_path / "config.json").read_text())["rranker"]
    said = (mark["attention"], mark["readout"], mark["prompt_format"], mark["pooling"], mark["method"])
    assert said == (attention, "pointer", "compact", "last", "iranker")
    assert set(load_file(tmp_path / "pointer_head.safetensors")) == {"w", "W"}
    config = configured(parse(["--out", str(tmp_path / "run"), "--start", str(tmp_path)]))
    assert torch.equal(first_model(config).lm.lm_head.weight, load_model(tmp_path).lm.lm_head.weight)
    with Ranker(tmp_path) as ranker:  # nobody is preferred yet
        (first, *_) = ranker.rank("which one?", ["a fox", "a dog", "the lazy one"]).rounds
    assert np.ptp(first.probabilities) == 0


@pytest.mark.parametrize("attention", MODES)
def test_it_trains_and_the_engine_ranks_as_the_training_forward_does(
    published: Path, tmp_path: Path, attention: AttentionMode
) -> None:
    model, tokenizer = from_language_model(published)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    prompt_format = CompactFormat(TextEncoder(tokenizer))

    def make(step: int) -> list[tuple[str, Any]]:
        rng = np.random.default_rng(step)
        examples = [make_example(rng, 5) for _ in range(4)]
        sizes = {"candidate_tokens": 24, "prefix_tokens": 48, "budget": 4096}
        return [("made", training_batch(prompt_format, examples, rng, attention=attention, **sizes))]

    config = SftConfig(
        steps=6, warmup=1, lr=3e-3, precision="fp32", optimizer="adamw", attention=attention, lm_weight=0.0
    )
    train(config, tmp_path, model, tokenizer, make)
    untrained = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    assert untrained <= {"lm.lm_head.weight"}  # which no question reads, unless it is the embeddings' too
    trained, rng = load_model(tmp_path / "final"), np.random.default_rng(1)
    with Ranker(tmp_path / "final", dtype="float32", relayout="keep") as ranker:
        for n in (1, 2, 7):
            case = make_case(rng, n)
            expected = order_by_rounds(trained, prompt_format, case, attention)
            assert ranker.rank(case.query, case.candidates, task=case.task).order == expected


def test_what_is_no_language_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"BertModel, an encoder: .*from_encoder makes a ranker"):
        from_language_model(save_encoder(tmp_path, words=WORDS))
    with pytest.raises(UnsupportedModelError, match=r"has a pointer head already: .* as --start"):
        from_language_model(TINY_START)


@pytest.mark.pretrained
def test_smollm2_keeps_its_words(smollm2: Path) -> None:
    model, tokenizer = from_language_model(smollm2)
    before = t.AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    text = "Which passage answers the query, and which does not?"
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    assert torch.equal(ids, t.AutoTokenizer.from_pretrained(smollm2)(text, return_tensors="pt")["input_ids"])
    with torch.no_grad():
        model.lm.set_attn_implementation("sdpa")
        torch.testing.assert_close(
            model.lm(ids).logits[..., : before.config.vocab_size], before(ids).logits, atol=1e-4, rtol=1e-4
        )


def test_prompts_longer_than_a_sliding_window_are_refused(tmp_path: Path) -> None:
    """Shorter ones are ranked as the engine ranks them."""
    save_checkpoint(tmp_path / "published", "gemma3", small_tokenizer(), sliding_window=96)
    model, tokenizer = from_language_model(tmp_path / "published")
    torch.nn.init.normal_(model.head.w)
    save_model(model, tokenizer, tmp_path / "ranker")
    prompt_format, loaded = CompactFormat(TextEncoder(tokenizer)), load_model(tmp_path / "ranker")
    case = make_case(np.random.default_rng(0), 5)
    with Ranker(tmp_path / "ranker", dtype="float32") as ranker:
        ranking = ranker.rank(case.query, case.candidates, task=case.task)
    assert ranking.order == order_by_rounds(loaded, prompt_format, case)
    longer = replace(case, query="which one? " * 20)
    with pytest.raises(ValueError, match=r"positions, and the model's layers see the last 96 alone"):
        order_by_rounds(loaded, prompt_format, longer)
