"""An encoder's packed forward must be its dense-mask forward, values and gradients, and say what the engine says."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from rranker.data import RankingExample
from rranker.prompts.encoder import EncoderFormat
from rranker.prompts.encoding import TextEncoder
from rranker.training.examples.example import Example
from rranker.training.packing.batch import ListBatch, training_batch
from rranker.training.packing.layout import Attends, build_text_layout
from rranker.training.policy.ranking_model import PointerHead, RankingModel
from rranker.training.sft.loss import ranking_loss, targets, worst_targets
from tests.support.encoders import tiny_encoder, wordpiece
from tests.support.packing_reference import reference_mask
from tests.support.toy_examples import WORDS, make_example


@pytest.fixture(scope="module")
def encoder_format() -> EncoderFormat:
    tokenizer = wordpiece(WORDS)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|exclude|>", "<|select|>"]})
    return EncoderFormat(TextEncoder(tokenizer))


def make_model(name: str, prompt_format: EncoderFormat, seed: int = 0) -> RankingModel:
    """With a random head, so that every term counts."""
    lm = tiny_encoder(name, seed, vocab_size=len(prompt_format.encoder.tokenizer))
    return RankingModel(lm, PointerHead(lm.config.hidden_size, "mean"))


def make_batch(
    prompt_format: EncoderFormat, sizes: tuple[int, ...], seed: int, context_bias: float = 0.0
) -> ListBatch:
    rng = np.random.default_rng(seed)
    return training_batch(
        prompt_format,
        [make_example(rng, n) for n in sizes],
        rng,
        candidate_tokens=9,
        prefix_tokens=12,
        budget=10**6,
        attends=Attends(True, context_bias),
    )


def plain_fitness(model: RankingModel, hidden: torch.Tensor, layout: Any) -> torch.Tensor:
    """The formula, query by query and candidate by candidate."""
    head, rows = model.head, []
    for b in range(len(layout.prefix)):
        prefix = hidden[layout.prefix[b][layout.prefix_valid[b]]].mean(0)
        for suffix, alive in zip(layout.suffix[b], layout.alive[b], strict=True):
            row = []
            for rows_of, valid, lives in zip(
                layout.candidates[b], layout.candidates_valid[b], alive, strict=True
            ):
                state = hidden[rows_of[valid]].mean(0) if lives else prefix
                pointed = (head.w @ state + (head.W @ hidden[suffix]) @ state) / len(state) ** 0.5
                score = pointed + head.scale[0] * torch.cosine_similarity(prefix, state, dim=0)
                row.append(score if lives else score.detach() * 0 - torch.inf)
            rows.append(torch.stack(row))
    return torch.stack(rows).view(layout.alive.shape)


@pytest.mark.parametrize(("sizes", "bias"), [((5,), 0.0), ((3, 7, 2), 0.0), ((4, 1, 6), -2.0)])
@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_the_packed_forward_and_its_gradients_equal_the_dense_mask(
    encoder_format: EncoderFormat, name: str, sizes: tuple[int, ...], bias: float
) -> None:
    model, batch = make_model(name, encoder_format), make_batch(encoder_format, sizes, len(sizes), bias)
    layout, reference = batch.layout, copy.deepcopy(model)
    reference.lm.set_attn_implementation("eager")
    packed = model.hidden(layout)
    dense = reference.lm(
        input_ids=layout.ids[None],
        position_ids=layout.positions[None] + (2 if name == "roberta" else 0),
        attention_mask=reference_mask(layout),
    ).last_hidden_state[0]
    torch.testing.assert_close(packed, dense, atol=1e-5, rtol=1e-5)

    given = batch.relevance, batch.teacher_scores, batch.teacher_weight, layout.alive
    wanted = targets(*given), worst_targets(*given)
    found, expected = model.fitness(packed, layout), plain_fitness(reference, dense, layout)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    ranking_loss(found, *wanted).backward()
    ranking_loss(expected, *wanted).backward()
    for (parameter, one), other in zip(model.named_parameters(), reference.parameters(), strict=True):
        if parameter.startswith("lm.pooler"):
            continue
        assert one.grad is not None, parameter
        assert other.grad is not None, parameter
        torch.testing.assert_close(one.grad, other.grad, atol=2e-5, rtol=1e-3, msg=parameter)


def test_every_segment_starts_at_position_zero(encoder_format: EncoderFormat) -> None:
    layout = make_batch(encoder_format, (3, 6), 3).layout
    for rows, valid in (
        (layout.prefix, layout.prefix_valid),
        (layout.candidates, layout.candidates_valid),
    ):
        firsts, lengths = rows[..., 0][valid[..., 0]], valid.sum(-1)[valid[..., 0]]
        for first, length in zip(firsts.tolist(), lengths.tolist(), strict=True):
            assert layout.positions[first : first + length].tolist() == list(range(length))
    assert set(layout.positions[layout.suffix].flatten().tolist()) == {0}


def test_texts_that_stand_alone_are_encoded_as_by_transformers(encoder_format: EncoderFormat) -> None:
    model = make_model("bert", encoder_format)
    texts = [(2, 20, 31, 3), (2, 40, 3), (2, 50, 51, 52, 53, 3)]
    layout = build_text_layout(texts, Attends(True, -2.0))
    hidden = model.hidden(layout)
    states = layout.text_states(hidden, "mean")
    reference = copy.deepcopy(model.lm)
    reference.set_attn_implementation("eager")
    for text, state in zip(texts, states, strict=True):
        expected = reference(input_ids=torch.tensor([text])).last_hidden_state[0].mean(0)
        torch.testing.assert_close(state, expected, atol=1e-5, rtol=1e-5)
    query, others = (build_text_layout(some, Attends(True, -2.0)) for some in (texts[:1], texts[1:]))
    for weight in (None, 9.0):
        if weight is not None:
            model.head.interact(weight)
            torch.nn.init.normal_(model.head.gate)
        pairs = model.pair_fitness(query, others)
        for text, state, found in zip(texts[1:], states[1:], pairs[0], strict=True):
            expected = model.head.scale[0] * torch.cosine_similarity(states[0], state, dim=0)
            expected = expected + model.head.w @ state / len(state) ** 0.5
            if weight is not None:
                tokens = [
                    reference(input_ids=torch.tensor([ids])).last_hidden_state[0] for ids in (texts[0], text)
                ]
                alike = torch.cosine_similarity(tokens[0][1:-1, None], tokens[1][None], dim=-1).amax(1).mean()
                gate = (model.head.gate @ states[0] / states[0].norm()).sigmoid()
                expected = expected + weight * gate * alike
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_segment_is_cut_to_the_positions_that_the_encoder_has(encoder_format: EncoderFormat) -> None:
    model = make_model("bert", encoder_format)
    most = model.lm.config.max_position_embeddings
    assert model.attends.context == most
    text = " ".join(WORDS * 20)
    case = RankingExample("passage", text, "Read " + " ".join(WORDS), [text, "red"], [1.0, 0.0], "x")
    batch = training_batch(
        encoder_format,
        [Example(case, np.zeros(2), 0.0)],
        np.random.default_rng(0),
        candidate_tokens=10**4,
        prefix_tokens=10**4,
        budget=10**6,
        attends=model.attends,
    )
    assert int(batch.layout.positions.max()) == most - 1
    assert torch.isfinite(model.hidden(batch.layout)).all()
