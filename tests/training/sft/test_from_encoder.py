"""A ranking model made of an encoder: what it says before any training, how it trains, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as t
from safetensors.torch import load_file, save_file

from rranker import Ranker, UnsupportedModelError
from rranker.prompts.encoder import EncoderFormat
from rranker.prompts.encoding import TextEncoder
from rranker.training.packing.batch import training_batch
from rranker.training.sft import train
from rranker.training.sft.checkpoint import load_model, save_model
from rranker.training.sft.config import SftConfig
from rranker.training.sft.from_encoder import CONTEXT_BIAS, from_encoder, main
from rranker.training.sft.options import configured, parse
from rranker.training.sft.run import first_model
from tests.support.checkpoints import TINY_START, edit
from tests.support.encoders import add_sentence_files, plain_similarities, save_encoder
from tests.support.rounds import order_by_rounds
from tests.support.toy_examples import WORDS, make_case, make_example

QUERY = "How do red lamps turn light into heat?"
TEXTS = [
    "A red lamp turns most of its current into heat.",
    "The cat sat on the mat.",
    "Lamps of the old kind give light, and warm the room.",
    "Heat pumps move warmth from a cold place to a warm one.",
    "Red.",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny encoder as published, and the ranking model of it (saved in bf16, whose numbers the other has, too)."""
    folder, out = tmp_path_factory.mktemp("encoder"), tmp_path_factory.mktemp("ranker")
    save_encoder(folder, words=WORDS)
    t.AutoModel.from_pretrained(folder, dtype=torch.bfloat16).float().save_pretrained(folder)
    main([str(folder), str(out)])
    return folder, out


def check_first_step(folder: Path, out: Path) -> None:
    """Rounds of a ranking by the engine against cosines by transformers alone."""
    lm, tokenizer = t.AutoModel.from_pretrained(folder).eval(), t.AutoTokenizer.from_pretrained(folder)
    expected = plain_similarities(lm, tokenizer, QUERY, TEXTS, CONTEXT_BIAS)
    assert np.diff(np.sort(expected)).min() > 1e-5  # a clear order
    with Ranker(out, dtype="float32") as ranker:
        ranking = ranker.rank(QUERY, TEXTS, template="passage")
        assert ranking.order == np.argsort(-np.array(expected)).tolist()
        one_shot = ranker.rank(QUERY, TEXTS, template="passage", method="dranker")
    (only,) = one_shot.rounds
    logits, scaled = np.log(only.probabilities), 20 * np.array(expected)[list(only.alive)]
    np.testing.assert_allclose(logits - logits.mean(), scaled - scaled.mean(), atol=2e-4)


def test_at_first_it_ranks_by_the_cosine_of_mean_states(made: tuple[Path, Path]) -> None:
    check_first_step(*made)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_at_first_it_compares_texts_as_the_encoders_own_files_say(
    pooling: str, made: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(made[0], tmp_path / "encoder")
    prompts = {"query": "red cat: ", "passage": "lamp "}
    add_sentence_files(folder, {"pooling_mode": pooling}, prompts)
    main([str(folder), str(tmp_path / "out")])
    lm, tokenizer = t.AutoModel.from_pretrained(folder).eval(), t.AutoTokenizer.from_pretrained(folder)
    prompted = f"red cat: {QUERY}", [f"lamp {text}" for text in TEXTS]
    expected = plain_similarities(lm, tokenizer, *prompted, CONTEXT_BIAS, pooling)
    assert np.diff(np.sort(expected)).min() > 1e-5
    with Ranker(tmp_path / "out", dtype="float32") as ranker:
        one_shot = ranker.rank(QUERY, TEXTS, template="passage", method="dranker")
    (only,) = one_shot.rounds
    logits, scaled = np.log(only.probabilities), 20 * np.array(expected)[list(only.alive)]
    np.testing.assert_allclose(logits - logits.mean(), scaled - scaled.mean(), atol=2e-4)
    again = load_model(tmp_path / "out")  # as a training would take it up
    assert (again.head.pooling, again.prompts) == (pooling, ("red cat: ", "lamp "))


def test_what_is_said_goes_before_what_the_files_say(made: tuple[Path, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(made[0], tmp_path / "encoder")
    add_sentence_files(folder, {"pooling_mode": "max"}, {"query": "red "})
    with pytest.raises(
        UnsupportedModelError, match="pooling 'max' is not what a ranking model can compare by"
    ):
        from_encoder(folder)
    model, _ = from_encoder(folder, pooling="cls", document_prompt="cat ")
    assert (model.head.pooling, model.prompts) == ("cls", ("red ", "cat "))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_at_first_it_ranks_as_sentence_transformers_does(
    pooling: Any, made: tuple[Path, Path], tmp_path: Path
) -> None:
    """Where candidates do not look at the query."""
    reason = "needs sentence-transformers: pip install sentence-transformers"
    st = pytest.importorskip("sentence_transformers", reason=reason)
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules", reason=reason)
    encoder = modules.Transformer(str(made[0]))
    pooled = modules.Pooling(encoder.get_embedding_dimension(), pooling_mode=pooling)
    theirs = st.SentenceTransformer(
        modules=[encoder, pooled, modules.Normalize()],
        prompts={"query": "cat: ", "document": "red "},
        device="cpu",
    )
    theirs.save_pretrained(str(tmp_path / "encoder"))
    expected = theirs.encode_document(TEXTS) @ theirs.encode_query(QUERY)
    main([str(tmp_path / "encoder"), str(tmp_path / "out"), "--context-bias", "-10000"])
    with Ranker(tmp_path / "out", dtype="float32") as ranker:
        (only,) = ranker.rank(QUERY, TEXTS, template="passage", method="dranker").rounds
    logits, scaled = np.log(only.probabilities), 20 * expected[list(only.alive)]
    np.testing.assert_allclose(logits - logits.mean(), scaled - scaled.mean(), atol=2e-4)


@pytest.mark.pretrained
def test_minilm_at_first_ranks_by_the_cosine_of_mean_states(minilm: Path, tmp_path: Path) -> None:
    model, tokenizer = from_encoder(minilm)
    lm = model.lm.to(torch.bfloat16).float()
    plain = tmp_path / "plain"
    lm.save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    save_model(model, tokenizer, tmp_path / "out")
    check_first_step(plain, tmp_path / "out")


def test_the_ranking_is_bitwise_independent_of_the_input_order(made: tuple[Path, Path]) -> None:
    rng = np.random.default_rng(0)
    for dtype in ("float32", "bfloat16"):
        with Ranker(made[1], dtype=dtype) as ranker:
            first = ranker.rank(QUERY, TEXTS)
            for _ in range(3):
                move = rng.permutation(len(TEXTS))
                again = ranker.rank(QUERY, [TEXTS[i] for i in move])
                assert [(item.text, item.score) for item in again] == [
                    (item.text, item.score) for item in first
                ]
                assert [one.probabilities for one in again.rounds] == [
                    one.probabilities for one in first.rounds
                ]


def test_the_folder_says_what_it_is(made: tuple[Path, Path]) -> None:
    config = json.loads((made[1] / "config.json").read_text())
    assert config["architectures"] == ["BertModel"]
    assert config["rranker"] == {
        "format": 1,
        "attention": "block",
        "readout": "pointer",
        "prompt_format": "encoder",
        "max_candidate_tokens": 256,
        "pooling": "mean",
        "query_prompt": "",
        "document_prompt": "",
        "method": "iranker",
        "context_bias": CONTEXT_BIAS,
        "calibration": None,
    }
    head = load_file(made[1] / "pointer_head.safetensors")
    assert {name: float(tensor.abs().max()) for name, tensor in head.items()} == {"w": 0, "W": 0, "scale": 20}


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_it_trains_and_the_engine_ranks_as_the_training_forward_does(
    pooling: Any, made: tuple[Path, Path], tmp_path: Path
) -> None:
    model, tokenizer = from_encoder(made[0], pooling=pooling)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    prompt_format = EncoderFormat(TextEncoder(tokenizer))

    def make(step: int) -> list[tuple[str, Any]]:
        rng = np.random.default_rng(step)
        examples = [make_example(rng, 5) for _ in range(4)]
        sizes = {"candidate_tokens": 24, "prefix_tokens": 24, "budget": 4096}
        return [("made", training_batch(prompt_format, examples, rng, attends=model.attends, **sizes))]

    config = SftConfig(steps=6, warmup=1, lr=3e-3, precision="fp32", optimizer="adamw", lm_weight=0.0)
    train(config, tmp_path, model, tokenizer, make)
    for name, parameter in model.named_parameters():
        assert not torch.equal(parameter, before[name]), name
    trained = load_model(tmp_path / "final")
    rng = np.random.default_rng(1)
    with Ranker(tmp_path / "final", dtype="float32") as ranker:
        for n in (1, 2, 7):
            case = make_case(rng, n)
            expected = order_by_rounds(trained, prompt_format, case)
            assert ranker.rank(case.query, case.candidates, task=case.task).order == expected


def test_a_run_starts_from_a_ranking_model(made: tuple[Path, Path], tmp_path: Path) -> None:
    config = configured(parse(["--out", str(tmp_path), "--start", str(made[1])]))
    started, saved = first_model(config), load_model(made[1])
    for (name, one), other in zip(started.named_parameters(), saved.parameters(), strict=True):
        assert torch.equal(one, other), name
    again = SftConfig(**{**config.to_dict(), "model": config.model})  # as a resumed run reads it
    assert again.start == config.start == str(made[1])


def test_language_modelling_needs_a_head(made: tuple[Path, Path], tmp_path: Path) -> None:
    model, tokenizer = from_encoder(made[0])
    with pytest.raises(ValueError, match="has no next tokens to learn: lm_weight must be 0"):
        train(SftConfig(precision="fp32"), tmp_path, model, tokenizer, lambda step: [])


def test_what_is_no_encoder_is_refused(tmp_path: Path, made: tuple[Path, Path]) -> None:
    with pytest.raises(UnsupportedModelError, match="LlamaForCausalLM, which is not an encoder"):
        from_encoder(TINY_START)
    with pytest.raises(UnsupportedModelError, match=r"BertModel is an encoder.*from_encoder FOLDER OUT"):
        Ranker(made[0])
    save_encoder(tmp_path, "distilbert")
    edit("config.json", architectures=["DistilBertForMaskedLM"])(tmp_path)
    with pytest.raises(
        UnsupportedModelError, match="saved by DistilBertForMaskedLM: a masked language model"
    ):
        Ranker(tmp_path)


def test_a_head_without_a_scale_is_refused(made: tuple[Path, Path], tmp_path: Path) -> None:
    model, tokenizer = from_encoder(made[0])
    save_model(model, tokenizer, tmp_path)
    head = load_file(tmp_path / "pointer_head.safetensors")
    save_file({name: head[name] for name in ("w", "W")}, tmp_path / "pointer_head.safetensors")
    with pytest.raises(
        ValueError, match=r"must hold W \[48, 48\], scale \[1\], w \[48\] \(pooling is 'mean'\)"
    ):
        Ranker(tmp_path)
    with pytest.raises(ValueError, match=r"encoder.*attention_mode='block' only"):
        Ranker(made[1], attention_mode="causal")
