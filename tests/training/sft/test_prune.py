"""A vocabulary without its reserved entries: the same model, smaller."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rranker import Ranker, UnsupportedModelError
from rranker.calibration import Calibration
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.training.sft.checkpoint import load_model, save_model
from rranker.training.sft.from_encoder import from_encoder
from rranker.training.sft.prune import main, prune
from tests.support.checkpoints import TINY_START
from tests.support.encoders import save_encoder
from tests.support.toy_examples import WORDS, make_case


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ranking model whose vocabulary has five reserved entries in its middle, and a random head."""
    encoder = save_encoder(tmp_path / "encoder", words=[*WORDS, *(f"[unused{i}]" for i in range(5))])
    model, tokenizer = from_encoder(encoder)
    torch.nn.init.normal_(model.head.w)
    torch.nn.init.normal_(model.head.W, std=0.1)
    save_model(model, tokenizer, tmp_path / "model")
    return tmp_path / "model"


def test_it_ranks_the_same_to_the_last_bit(folder: Path, tmp_path: Path) -> None:
    main([str(folder), str(tmp_path / "out")])
    before, after = load_model(folder), load_model(tmp_path / "out")
    assert after.lm.config.vocab_size == before.lm.config.vocab_size - 5
    rng = np.random.default_rng(0)
    with Ranker(folder, dtype="float32") as one, Ranker(tmp_path / "out", dtype="float32") as other:
        for n in (2, 5, 9):
            case = make_case(rng, n)
            candidates = [f"{text} [unused3]" for text in case.candidates]
            rankings = [ranker.rank(case.query, candidates, task=case.task) for ranker in (one, other)]
            assert rankings[0].order == rankings[1].order
            assert [r.probabilities for r in rankings[0].rounds] == [
                r.probabilities for r in rankings[1].rounds
            ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_its_numbers_stay_as_they_are(folder: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    save_model(load_model(folder), read_tokenizer(folder), tmp_path / "before", dtype=dtype)
    prune(tmp_path / "before", tmp_path / "out")
    before, after = (load_file(tmp_path / each / "model.safetensors") for each in ("before", "out"))
    assert {weight.dtype for weight in after.values()} == {dtype}
    assert all(torch.equal(after[name], before[name]) for name in after if "word_embeddings" not in name)


def test_its_settings_and_its_calibration_stay(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    curve = asdict(Calibration(0.7, -2.0))
    config["rranker"] |= {"max_candidate_tokens": 99, "method": "dranker", "calibration": {"passage": curve}}
    (folder / "config.json").write_text(json.dumps(config))
    prune(folder, tmp_path / "out")
    before, after = (read_checkpoint(each, None).settings for each in (folder, tmp_path / "out"))
    assert after == before
    assert after.calibration == {"passage": Calibration(0.7, -2.0)}


def test_a_second_pruning_finds_nothing(folder: Path, tmp_path: Path) -> None:
    assert prune(folder, tmp_path / "once") == 5
    assert prune(tmp_path / "once", tmp_path / "twice") == 0


def test_other_vocabularies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="only WordPiece vocabularies have reserved entries"):
        prune(TINY_START, tmp_path)
