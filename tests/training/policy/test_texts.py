"""Texts of rollouts: what `generate` writes under greedy decoding; drawn, what training's probabilities say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as t

from rranker.engine.generation import Sampling
from rranker.training.policy.texts import engine_writes, write_texts
from rranker.training.policy.token_logprobs import answer_scored
from tests.support.generation_reference import generated

PROMPTS = [[5, 9, 12, 3, 30, 8], [5, 9, 12, 3, 30, 8], [7, 7, 21], [40, 2, 40, 2, 11]]
MOST = 24


@pytest.fixture
def lm() -> Any:
    torch.manual_seed(0)
    config = t.Qwen2Config(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.3, eos_token_id=None, bos_token_id=None,
    )  # fmt: skip
    return t.Qwen2ForCausalLM(config).train()


def written(lm: Any, ends: list[int], **settings: Any) -> list[list[int]]:
    usual = {"most": MOST, "sampling": Sampling(), "seeds": range(len(PROMPTS)), "slots": 1000}
    return write_texts(lm, PROMPTS, ends=ends, **{**usual, **settings})


def test_greedy_texts_are_those_of_generate_to_the_end_that_is_written(lm: Any) -> None:
    with torch.no_grad():
        expected = [generated(lm, prompt, MOST, []) for prompt in PROMPTS]
    assert written(lm, []) == expected
    end = expected[2][5]
    cut = [text[: text.index(end) + 1] if end in text else text for text in expected]
    assert written(lm, [end]) == cut
    assert cut[2][-1] == end
    assert len(cut[2]) < MOST


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_drawn_texts_follow_the_probabilities_that_training_scores(lm: Any, top_p: float) -> None:
    texts = written(lm, [], sampling=Sampling(0.8, top_p))
    assert texts[0] != texts[1]  # one prompt, two draws
    assert texts == written(lm, [], sampling=Sampling(0.8, top_p))
    scored = lm.eval()
    answer_scored(scored, 0.8, shared=True)
    for number, (prompt, text) in enumerate(zip(PROMPTS, texts, strict=True)):
        ids = torch.tensor([prompt + text])
        with torch.no_grad():
            logps, _ = scored(input_ids=ids, attention_mask=torch.ones_like(ids), scored=MOST)
            logits = scored(ids).logits[0, len(prompt) - 1 : -1]
        everyone = (logits / 0.8).softmax(-1).double()
        draws = np.random.default_rng([0, number]).random(MOST)
        for place, (token, draw) in enumerate(zip(text, draws, strict=True)):
            assert everyone[place, token].log().item() == pytest.approx(logps[0, place].item(), abs=1e-4)
            if top_p == 1.0:  # the token is where the draw points in the sum of all
                below = everyone[place, :token].sum().item()
                assert below - 1e-5 <= draw <= below + everyone[place, token].item() + 1e-5
            else:
                better = everyone[place][everyone[place] > everyone[place, token]].sum().item()
                assert better < top_p + 1e-6


def test_the_model_is_left_as_it_was(lm: Any) -> None:
    before = lm.config._attn_implementation
    assert engine_writes(lm)
    written(lm, [])
    assert lm.training
    assert lm.config._attn_implementation == before
    ids = torch.tensor([PROMPTS[0]])
    lm(ids, labels=ids).loss.backward()
    assert lm.get_input_embeddings().weight.grad.abs().sum() > 0


def test_a_model_that_the_engine_does_not_reproduce_is_left_to_others() -> None:
    config = t.Gemma2Config(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8,
    )  # fmt: skip
    assert not engine_writes(t.Gemma2ForCausalLM(config))
