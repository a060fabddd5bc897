"""Item factors: fitted to histories, weighed beside the text, the same in training and in the engine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from rranker import Ranker, UnsupportedModelError
from rranker.data import RankingExample
from rranker.engine.loading.item_factors import FACTORS_FILE
from rranker.item_factors import ItemFactors
from rranker.prompts.encoder import EncoderFormat
from rranker.prompts.encoding import TextEncoder
from rranker.training.examples.factors import Factorisation, compressed
from rranker.training.grpo import parse as parse_grpo
from rranker.training.grpo import train as train_by_reward
from rranker.training.sft.checkpoint import load_model
from rranker.training.sft.choices import chosen_of
from rranker.training.sft.item_factors import fit_item_factors, main, mrr, nats, write_item_factors
from rranker.training.sft.run import main as train_main
from tests.support.checkpoints import TINY_START
from tests.support.rounds import order_by_rounds
from tests.support.tastes import ITEMS, cases, quality, ranked, rows_of
from tests.support.toys import options


def test_what_people_chose_together_is_what_is_ranked_first(without: Path, knowing: Path) -> None:
    given = cases(24, 3)
    assert quality(knowing, given) == 1.0
    assert quality(without, given) < 0.8


def test_shorter_vectors_keep_what_longer_ones_say_as_well_as_any_can() -> None:
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(30, 8)) * 2.0 ** -np.arange(8)
    for size in (3, 8, 20):
        kept = compressed(whole, size)
        assert kept.shape == (30, min(size, 8))
        left, values, right = np.linalg.svd(whole @ whole.T)
        best = (left[:, :size] * values[:size]) @ right[:size]
        np.testing.assert_allclose(kept @ kept.T, best, atol=1e-5)


def test_the_engine_ranks_as_the_training_forward_does(knowing: Path) -> None:
    model, tokenizer = load_model(knowing), AutoTokenizer.from_pretrained(knowing)
    assert model.item_factors is not None
    prompt_format = EncoderFormat(TextEncoder(tokenizer))
    given = [*cases(6, 4), RankingExample("passage", "red fox", None, ITEMS[:5], [1, 0, 0, 0, 0], "q")]
    orders = [ranking.order for ranking in ranked(knowing, given, method="iranker")]
    assert orders == [order_by_rounds(model, prompt_format, case) for case in given]


def test_searches_do_not_see_them(without: Path, knowing: Path) -> None:
    (case,) = cases(1, 5)
    search = RankingExample("passage", "\n".join(case.query), None, case.candidates, case.relevance, "s")
    said = [ranked(folder, [search])[0] for folder in (without, knowing)]
    assert [item.score for item in said[0]] == [item.score for item in said[1]]


def test_the_order_of_the_input_does_not_matter_to_the_last_bit(knowing: Path) -> None:
    (case,) = cases(1, 6)
    with Ranker(knowing) as ranker:
        first = ranker.rank(case.query, case.candidates)
        again = ranker.rank(case.query, case.candidates[::-1])
    assert [(item.text, item.score) for item in first] == [(item.text, item.score) for item in again]


def test_reward_trains_what_is_left_to_learn_and_keeps_them(knowing: Path, tmp_path: Path) -> None:
    """Rollouts and re-scoring count them alike: the first step's divergence from the start is nothing."""
    words = options(knowing, tmp_path / "out", max_steps=2, eval_strategy="no", beta=0.1)
    trainer = train_by_reward(*parse_grpo(words), {f"toy/{case.id}": case for case in cases(24, 7)}, {})
    first = next(row for row in trainer.state.log_history if "kl" in row)
    assert first["kl"] == pytest.approx(0, abs=1e-5)
    for folder in (tmp_path / "out" / "final", tmp_path / "out" / "checkpoint-2"):
        assert (folder / FACTORS_FILE).read_bytes() == (knowing / FACTORS_FILE).read_bytes()


def test_lists_train_beside_them_and_they_are_kept(knowing: Path, tmp_path: Path) -> None:
    rows = rows_of(cases(30, 8), tmp_path / "rows.jsonl")
    held = rows_of(cases(6, 9), tmp_path / "held.jsonl")
    out = tmp_path / "out"
    words = ["--start", str(knowing), "--data", str(rows), "--validation", str(held), "--out", str(out)]
    train_main([*words, "--steps", "2", "--tokens", "512", "--accumulate", "1", "--optimizer", "adamw"])
    assert (out / "final" / FACTORS_FILE).read_bytes() == (knowing / FACTORS_FILE).read_bytes()
    assert quality(out / "final", cases(12, 10)) == 1.0


def test_the_command_line_takes_histories_of_ones_own(
    without: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(cases(60, 11), tmp_path / "rows.jsonl")
    held = rows_of(cases(10, 12), tmp_path / "held.jsonl")
    out = tmp_path / "out"
    main([str(without), str(out), "--data", str(rows), "--validation", str(held), "--size", "8"])
    printed = capsys.readouterr().out
    assert f"| own | {len(ITEMS)} | 10 |" in printed
    assert quality(out, cases(12, 13)) == 1.0
    searches = rows_of(
        [RankingExample("passage", f"red {i}", None, ITEMS[:2], [1, 0], "q") for i in range(3)],
        tmp_path / "searches.jsonl",
    )
    with pytest.raises(ValueError, match="0 rows with a history as their query train"):
        main([str(without), str(tmp_path / "other"), "--data", str(searches), "--validation", str(held)])
    with pytest.raises(SystemExit):
        main([str(without), str(out), "--data", str(rows), "--validation", str(held)])
    assert "is there already: name a new folder" in capsys.readouterr().err


REFUSED = [
    (["--size", "0"], "argument --size: must be at least 1, not 0"),
    (["--data", "rows.jsonl", "--tasks", "rec-movie"], "in place of the public histories: leave --tasks out"),
    (["--validation", "held.jsonl"], "have held-out people of their own: leave --validation out"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_options_that_would_do_nothing_or_mean_nothing_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path / "model"), str(tmp_path / "out"), *words])
    assert message in capsys.readouterr().err


def test_ties_win_nothing_by_the_order_of_the_file() -> None:
    first = RankingExample("recommendation", ["a"], None, ITEMS[:5], [1.0, 0, 0, 0, 0], "1")
    last = RankingExample("recommendation", ["a"], None, ITEMS[:5], [0.0, 0, 0, 0, 1], "2")
    nothing, clear = np.zeros(5, np.float32), np.array([5, 4, 3, 2, 1], np.float32)
    assert mrr([nothing], [first]) == mrr([nothing], [last]) == 1 / 3
    assert mrr([clear, clear], [first, last]) == (1 + 1 / 5) / 2


def test_all_else_stays_as_it_was_but_what_was_calibrated_of_histories(without: Path, tmp_path: Path) -> None:
    curve = {"slope": 1.0, "intercept": 0.0, "source": "pointer", "content_free": False}
    shutil.copytree(without, tmp_path / "before")
    config = json.loads((without / "config.json").read_text())
    config["rranker"]["calibration"] = {"passage": curve, "recommendation": curve}
    (tmp_path / "before" / "config.json").write_text(json.dumps(config))
    factors = ItemFactors(np.array([1]), np.array([0]), np.ones((1, 2), np.float32), 0.9)
    write_item_factors(tmp_path / "before", tmp_path / "after", factors)
    config["rranker"]["calibration"] = {"passage": curve}
    assert json.loads((tmp_path / "after" / "config.json").read_text()) == config
    for path in without.glob("*.*"):
        if path.name != "config.json":
            assert (tmp_path / "after" / path.name).read_bytes() == path.read_bytes()


def test_of_relevance_only_differences_count() -> None:
    """Grades from 1, utilities below 0: the least relevant was not chosen."""
    for relevance in ([1.0, 3.0, 1.0, 2.0], [-2.0, 0.0, -2.0, -1.0], [0.0, 2.0, 0.0, 1.0]):
        row = RankingExample("recommendation", ["a"], None, ITEMS[:4], relevance, "r")
        assert chosen_of(row) == [ITEMS[1], ITEMS[3]]
        logits = np.log(np.array([0.1, 0.5, 0.1, 0.3], dtype=np.float32))
        assert nats([logits], [row]) == pytest.approx(-(2 / 3 * np.log(0.5) + 1 / 3 * np.log(0.3)))


def test_of_people_who_share_nothing_nothing_is_fitted() -> None:
    with pytest.raises(ValueError, match="no item is in the histories of 2 people"):
        Factorisation().fit([["a", "b"], ["c"], []])


def test_a_head_of_last_states_is_refused(knowing: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="this model's head reads last states"):
        fit_item_factors(
            load_model(TINY_START), AutoTokenizer.from_pretrained(TINY_START), [], Factorisation()
        )
    for path in TINY_START.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / FACTORS_FILE).write_bytes((knowing / FACTORS_FILE).read_bytes())
    with pytest.raises(
        ValueError, match=r"item_factors\.safetensors, which is weighed .* reads 'last' states"
    ):
        Ranker(tmp_path)
