"""The paper's single-turn setting: parts of lists, for training and for what is held out."""

from __future__ import annotations

from pathlib import Path

from rranker.training.grpo.arguments import DataArguments, EvaluationArguments
from rranker.training.grpo.data import held_out, mixture, one_of_its_sublists
from tests.support.own_files import write_own
from tests.support.toys import learnable_cases


def test_a_sublist_is_of_any_size_and_keeps_a_best_one_and_what_each_is_worth() -> None:
    cases = list(learnable_cases(200, n=6).values())
    parts = [one_of_its_sublists(case, number, 0) for number, case in enumerate(cases)]
    assert {len(part.candidates) for part in parts} == {2, 3, 4, 5, 6}
    assert len({part.relevance.index(1.0) for part in parts}) > 1
    for case, part in zip(cases, parts, strict=True):
        assert (part.query, part.task, max(part.relevance)) == (case.query, case.task, 1.0)
        worth = dict(zip(case.candidates, case.relevance, strict=True))
        assert part.relevance == [worth[text] for text in part.candidates]


def test_a_seed_chooses_the_same_parts_again() -> None:
    (case,) = learnable_cases(1, n=6).values()
    again = [one_of_its_sublists(case, 3, seed) for seed in (7, 7)]
    assert again[0] == again[1]
    assert len({len(one_of_its_sublists(case, number, 7).candidates) for number in range(20)}) > 2


def test_single_episodes_train_and_are_evaluated_on_parts_of_the_same_lists(tmp_path: Path) -> None:
    options = DataArguments(data=[str(write_own(tmp_path / "own.jsonl", learnable_cases(60).values()))])
    for make in (
        lambda single: list(mixture(options, 0, single=single).values()),
        lambda single: held_out(options, EvaluationArguments(), 0, single=single)["own"],
    ):
        wholes, parts = make(False), make(True)
        assert [part.query for part in parts] == [whole.query for whole in wholes]
        assert all(set(p.candidates) <= set(w.candidates) for p, w in zip(parts, wholes, strict=True))
        assert sum(len(p.candidates) for p in parts) < sum(len(w.candidates) for w in wholes)
