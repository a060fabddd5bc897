"""`rranker.rank` keeps the models used last: the same call has the same model, and another one never does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import rranker
from rranker import Ranker, api
from rranker.scorers.text import TextQuestion, TextScorer
from tests.support.toys import save_encoder_policy

TEXTS = ["red fox", "blue dog", "green cat", "red cat"]


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(api, "_rankers", type(api._rankers)())
    yield
    for ranker in api._rankers.values():
        ranker.close()


def scores(model: Path) -> list[float]:
    return [item.score for item in rranker.rank("red", TEXTS, model=model, dtype="float32")]


def expected(model: Path) -> list[float]:
    with Ranker(model, dtype="float32") as ranker:
        return [item.score for item in ranker.rank("red", TEXTS)]


def test_weights_that_were_written_anew_are_read_anew(tmp_path: Path) -> None:
    old, new, model = (tmp_path / name for name in ("old", "new", "model"))
    save_encoder_policy(old, seed=0)
    save_encoder_policy(new, seed=1)
    shutil.copytree(old, model)
    assert scores(model) == scores(model) == expected(old)
    shutil.copytree(new, model, dirs_exist_ok=True)
    assert scores(model) == expected(new) != expected(old)


def test_a_path_means_the_folder_that_it_names_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (0, 1):
        save_encoder_policy(tmp_path / str(seed) / "model", seed=seed)
    found = []
    for seed in (0, 1):
        monkeypatch.chdir(tmp_path / str(seed))
        found.append(scores(Path("model")))
    assert found == [expected(tmp_path / "0/model"), expected(tmp_path / "1/model")]
    assert found[0] != found[1]


@dataclass
class Names(TextScorer):
    """Always names the same candidate; in words two of them look alike."""

    number: int = field(repr=False)

    def complete(self, questions: Sequence[TextQuestion]) -> list[str | Exception]:
        return [f"[{self.number}]" for _ in questions]


def test_a_scorer_stands_for_itself() -> None:
    first, second = Names(1), Names(2)
    assert repr(first) == repr(second)
    tops = [rranker.rank("red", TEXTS, scorer=s, method="dranker").order[0] for s in (first, second, first)]
    assert tops == [0, 1, 0]
    assert len(api._rankers) == 2
