"""`python -m training.calibrate` end to end on tiny models: what it writes is what `Ranker` then says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rranker import Ranker
from rranker.calibration import Calibration, Source
from rranker.data import RankingExample
from rranker.engine.engine import Engine
from rranker.engine.loading.item_factors import save_item_factors
from rranker.engine.loading.tokenizer import read_tokenizer
from rranker.item_factors import ItemFactors, item_key
from rranker.training.calibrate import run
from rranker.training.calibrate.run import calibrate, main, target_folder, write_calibration
from rranker.training.calibrate.scores import score_cases
from rranker.training.sft.checkpoint import load_model, save_model
from rranker.training.sft.late_interaction import with_late_interaction
from tests.support.checkpoints import save_checkpoint, small_tokenizer
from tests.support.toys import save_encoder_policy, toy_cases


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder_policy(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "model"))


def by_its_own_scores(folder: Path) -> list[RankingExample]:
    """Cases whose candidates fit when this very model scores them above the middle, most of them: it can be fitted."""
    cases, rng = list(toy_cases(24).values()), np.random.default_rng(0)
    scores, _ = scored(folder, cases)
    labels = (scores > np.median(scores)) ^ (rng.random(len(scores)) < 0.1)
    bounds = np.cumsum([len(case.candidates) for case in cases])[:-1]
    return [
        replace(case, relevance=mine.astype(float).tolist())
        for case, mine in zip(cases, np.split(labels, bounds), strict=True)
    ]


def scored(
    folder: Path, cases: Sequence[RankingExample], source: Source = "pointer", content_free: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    engine = Engine.load(folder, dtype=torch.float32, kv_cache_tokens=4096)
    found = score_cases(engine, cases, Calibration(1.0, 0.0, source, content_free))
    engine.close()
    assert [len(row) for row in found] == [len(case.candidates) for case in cases]
    return np.concatenate(found), np.concatenate([case.relevance for case in cases])


def test_scores_come_in_the_candidates_order_with_their_labels(trained: Path) -> None:
    case = RankingExample(
        "passage", "red fox", None, ["blue cat", "red", "fox", "red"], [0.0, 1.0, 0.0, 1.0], "a"
    )
    scores, labels = scored(trained, [case, case])
    assert labels.tolist() == case.relevance * 2
    assert scores[1] == scores[3]
    for place, text in enumerate(case.candidates):
        alone, _ = scored(trained, [replace(case, candidates=[text], relevance=[0.0])])
        assert alone[0] == pytest.approx(scores[place], abs=1e-4)


def test_what_was_fitted_is_saved_with_the_model_and_used(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = by_its_own_scores(copied)
    monkeypatch.setattr(run, "labelled_cases", lambda task, split, count: cases[:count])
    before = json.loads((copied / "config.json").read_text())
    main([str(copied), "--tasks", "passage-5", "--queries", "24"])
    assert "| passage | pointer | 24 |" in capsys.readouterr().out
    after = json.loads((copied / "config.json").read_text())
    fitted = after["rranker"].pop("calibration")
    before["rranker"].pop("calibration")
    assert after == before
    curve = Calibration.read(fitted["passage"])
    with Ranker(copied, dtype="float32", kv_cache_tokens=4096) as ranker:
        for case in cases[:3]:
            score = scored(copied, [replace(case, candidates=case.candidates[:1], relevance=[0.0])])[0][0]
            (only,) = ranker.rank(case.query, case.candidates[:1], template="passage")
            assert only.relevance == pytest.approx(curve.probability(score), abs=1e-4)
    relevant = [label for case in cases for label in case.relevance]
    said = [curve.probability(score) for score in scored(copied, cases)[0]]
    assert np.mean(said) == pytest.approx(np.mean(relevant), abs=0.02)  # what a logistic fit promises


def test_histories_of_items_that_are_known_have_the_curve_of_their_space(copied: Path) -> None:
    """Two catalogues whose priors tell differently: each is fitted for itself, and `Ranker` goes by it."""
    rng, spaces = np.random.default_rng(0), {0: "red", 1: "blue"}
    names = {space: [f"{colour} {number}" for number in range(30)] for space, colour in spaces.items()}
    texts = [text for some in names.values() for text in some]
    order = np.argsort([item_key(text) for text in texts])
    factors = ItemFactors(
        np.array([item_key(texts[i]) for i in order]),
        np.array([i // 30 for i in order]),
        rng.normal(size=(60, 3)).astype(np.float32)[order],
        0.9,
    )
    save_item_factors(factors, copied)

    def labelled(space: int, noise: float) -> RankingExample:
        items = rng.choice(names[space], 12, replace=False).tolist()
        prior = factors.prior(items[:4], items[4:]) + noise * rng.normal(size=8)
        fits = (prior > np.median(prior)).astype(float).tolist()
        return RankingExample("recommendation", items[:4], None, items[4:], fits, f"{space}")

    cases = [labelled(space, noise) for _ in range(30) for space, noise in ((0, 0.1), (1, 4.0))]
    cases += [replace(cases[0], query=["nobody", "knows"]) for _ in range(30)]  # by the joint curve alone
    engine = Engine.load(copied, dtype=torch.float32, kv_cache_tokens=4096)
    best, lines = calibrate(engine, cases)
    assert calibrate(engine, cases[:30])[0].spaces == ()  # too few of either space
    engine.close()
    assert best is not None
    assert len(lines) == 3
    assert [curve.space for curve in best.spaces] == [0, 1]
    assert best.spaces[0].slope > 2 * best.spaces[1].slope  # where priors tell more, they count for more
    write_calibration(copied, {"recommendation": best})
    with Ranker(copied, dtype="float32", kv_cache_tokens=4096) as ranker:
        for case in (cases[0], cases[1], cases[-1]):
            alone = replace(case, candidates=case.candidates[:1], relevance=[0.0])
            (score,), _ = scored(copied, [alone])
            (only,) = ranker.rank(case.query, alone.candidates, template="recommendation")
            curve = best.in_space(int(case.id) if case.query != ["nobody", "knows"] else None)
            assert only.relevance == pytest.approx(curve.probability(score), abs=1e-4)


def test_rows_of_ones_own_calibrate(
    copied: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Grades above 0 fit; of some lists nothing may, or all; tasks that are named stand beside them."""
    cases, path = by_its_own_scores(copied), tmp_path / "mine.jsonl"
    cases[0] = replace(cases[0], relevance=[0.0] * len(cases[0].candidates))
    cases[1] = replace(cases[1], relevance=[1.0] * len(cases[1].candidates))
    rows = [
        {
            "query": case.query,
            "candidates": case.candidates,
            "relevance": [2 * r for r in case.relevance],
            "task": "passage",
        }
        for case in cases
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = list[str]()
    monkeypatch.setattr(run, "labelled_cases", lambda task, split, count: asked.append(task) or cases)
    engine = Engine.load(copied, dtype=torch.float32, kv_cache_tokens=4096)
    expected, _ = calibrate(engine, cases)
    engine.close()
    main([str(copied), "--data", str(path)])
    assert asked == []
    found = json.loads((copied / "config.json").read_text())["rranker"]["calibration"]
    assert expected is not None
    assert set(found) == {"passage"}
    assert found["passage"]["slope"] == pytest.approx(expected.slope, rel=1e-3)
    main([str(copied), "--data", str(path), "--tasks", "passage-5"])
    assert asked == ["passage-5"]
    with pytest.raises(FileNotFoundError, match="cannot read the file"):
        main([str(copied), "--data", str(tmp_path / "nowhere.jsonl")])


def test_a_copy_is_calibrated_and_the_original_stays(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases, held = by_its_own_scores(trained), (trained / "config.json").read_text()
    monkeypatch.setattr(run, "labelled_cases", lambda task, split, count: cases)
    main([str(trained), "--tasks", "passage-5", "--out", str(tmp_path / "out")])
    assert (trained / "config.json").read_text() == held
    with Ranker(tmp_path / "out", dtype="float32", kv_cache_tokens=4096) as ranker:
        assert ranker.rank("red", ["red", "blue"], threshold=0.0)[0].relevance is not None
    with pytest.raises(ValueError, match="is there already"):
        main([str(trained), "--out", str(tmp_path / "out")])


def test_scores_that_say_nothing_leave_the_checkpoint_as_it_is(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases, held = by_its_own_scores(copied), (copied / "config.json").read_text()
    upside_down = [replace(case, relevance=[1 - label for label in case.relevance]) for case in cases]
    monkeypatch.setattr(run, "labelled_cases", lambda task, split, count: upside_down)
    with pytest.raises(SystemExit, match="nothing could be calibrated"):
        main([str(copied), "--tasks", "passage-5"])
    assert "no higher than those of others" in capsys.readouterr().out
    assert (copied / "config.json").read_text() == held


def test_a_language_model_keeps_the_question_under_which_labels_are_most_likely(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, "llama", small_tokenizer())
    cases = list(toy_cases(12).values())
    scores, _ = scored(folder, cases, "query_likelihood", True)
    bounds = np.cumsum([len(case.candidates) for case in cases])[:-1]
    labels = np.split((scores > np.median(scores)).astype(float), bounds)
    by_likelihood = [replace(case, relevance=m.tolist()) for case, m in zip(cases, labels, strict=True)]
    engine = Engine.load(folder, dtype=torch.float32, kv_cache_tokens=4096)
    best, lines = calibrate(engine, by_likelihood)
    engine.close()
    assert best is not None
    assert (best.source, best.content_free) == ("query_likelihood", True)
    assert len(lines) == 4
    write_calibration(folder, {"passage": best})
    with Ranker(folder, dtype="float32", kv_cache_tokens=4096) as ranker:
        found = ranker.rank_batch(
            [(case.query, case.candidates) for case in cases], relevance=True, progress=False
        )
    assert all(item.relevance is not None for ranking in found for item in ranking)


@pytest.mark.parametrize("counts", [True, False])
def test_late_interaction_counts_where_labels_are_more_likely_with_it(
    copied: Path, tmp_path: Path, counts: bool
) -> None:
    """A fit by either kind of score: that kind is found again, and `Ranker` goes by it."""
    folder, cases = tmp_path / "late", list(toy_cases(24).values())
    tokenizer = read_tokenizer(copied)
    model = with_late_interaction(load_model(copied), tokenizer, cases[:12], cases[12:], weight=300.0)
    save_model(model, tokenizer, folder, "block")
    engine = Engine.load(folder, dtype=torch.float32, kv_cache_tokens=4096)
    kind = Calibration(1.0, 0.0, late_interaction=counts)
    scores = score_cases(engine, cases, kind)
    middle, rng = np.median(np.concatenate(scores)), np.random.default_rng(0)
    labelled = [
        replace(case, relevance=((row > middle) ^ (rng.random(len(row)) < 0.05)).astype(float).tolist())
        for case, row in zip(cases, scores, strict=True)
    ]
    best, lines = calibrate(engine, labelled)
    engine.close()
    assert best is not None
    assert best.late_interaction is counts
    assert [line.split(" | ")[1] for line in lines] == ["pointer", "pointer with late interaction"]
    write_calibration(folder, {"passage": best})
    with Ranker(folder, dtype="float32", kv_cache_tokens=4096) as ranker:
        for case, row in zip(labelled[:3], scores, strict=False):
            (only,) = ranker.rank(case.query, case.candidates[:1], template="passage")
            assert only.relevance == pytest.approx(best.probability(float(row[0])), abs=1e-4)


def test_other_templates_keep_theirs_and_what_cannot_be_read_is_not_written(copied: Path) -> None:
    write_calibration(copied, {"passage": Calibration(1.0, 0.0)})
    write_calibration(copied, {"routing": Calibration(2.0, 0.5)})
    held = (copied / "config.json").read_text()
    assert set(json.loads(held)["rranker"]["calibration"]) == {"passage", "routing"}
    with pytest.raises(ValueError, match="does not go with readout 'pointer'"):
        write_calibration(copied, {"passage": Calibration(1.0, 0.0, "pointwise")})
    assert (copied / "config.json").read_text() == held


def test_what_has_no_config_of_its_own_is_refused(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ValueError, match="a GGUF file, which has no config"):
        target_folder(str(tmp_path / "model.gguf"), None)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="an adapter: merge it"):
        target_folder(str(adapter), None)
    assert target_folder(str(trained), tmp_path / "new") == (trained, tmp_path / "new")
