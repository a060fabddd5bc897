"""Supervised training of a language model by its own head: what it learns, asks and leaves."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rranker import Ranker
from rranker.data import RankingExample
from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.engine.loading.settings import AttentionMode
from rranker.training.examples.example import Example, Pairs
from rranker.training.examples.sources import Draw, Sources
from rranker.training.packing.questions import Question
from rranker.training.policy.model_config import ModelConfig
from rranker.training.policy.network import load_policy
from rranker.training.policy.ranking_model import build_model
from rranker.training.sft import train
from rranker.training.sft.config import SftConfig
from rranker.training.sft.feeding import question_batches
from rranker.training.sft.prompted import (
    QuestionBatch,
    load_prompted_model,
    question_loss,
    save_prompted_model,
)
from rranker.training.sft.run import check, first_tokenizer, main
from tests.support.checkpoints import small_tokenizer
from tests.support.own_files import write_own
from tests.support.toy_examples import make_example
from tests.support.toys import learnable_cases, save_causal_policy, toy_cases

MRR = re.compile(r"MRR on (\d+) held-out queries \(\d+ rows\): ([\d.]+) before, ([\d.]+) after")
CPU = torch.device("cpu")
MODES: tuple[AttentionMode, ...] = ("block", "causal")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its tokenizer begins Yes and No with different tokens."""
    return save_causal_policy(small_tokenizer(), tmp_path_factory.mktemp("language-model"))


def options(start: Path, *more: str) -> list[str]:
    words = ["--start", str(start), "--precision", "fp32", "--optimizer", "adamw", "--tokens", "600"]
    return [*words, *more]


def test_a_run_learns_rows_and_says_what_it_brought(
    tmp_path: Path, start: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_own(tmp_path / "own.jsonl", learnable_cases(130, n=4).values())
    words = options(start, "--data", str(data), "--lr", "0.004", "--passes", "12", "--method", "dranker")
    main([*words, "--out", str(tmp_path / "out")])
    _, before, after = map(float, MRR.findall(capsys.readouterr().out)[0])
    assert before < 0.75 < after
    settings = load_policy(tmp_path / "out" / "final").settings
    assert (settings.attention, settings.method, settings.readout) == ("causal", "dranker", "identifier")


@pytest.mark.parametrize(
    ("attention", "method", "rank"),
    [
        ("block", "iranker", 0),
        ("block", "iranker", 8),
        ("causal", "iranker", 8),
        ("causal", "query_likelihood", 0),
        ("causal", "query_likelihood", 8),
        ("block", "pointwise", 8),
    ],
)
def test_all_weights_or_adapters_learn_a_batch_by_heart(
    tmp_path: Path, start: Path, attention: AttentionMode, method: str, rank: int
) -> None:
    if rank:
        pytest.importorskip("peft", reason="needs the train extra")
    model = load_prompted_model(start, attention, method, rank)
    batch = model.batch(examples(6), np.random.default_rng(1), 10_000, 64)
    with torch.no_grad():
        before = question_loss(model, batch)[1]
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    config = SftConfig(
        steps=30, lr=0.01, precision="fp32", optimizer="adamw", start=str(start), lora_rank=rank
    )
    train(config, tmp_path, model, model.policy.tokenizer, lambda step: [("made", batch)])
    with torch.no_grad():
        after = question_loss(model, batch)[1]
    assert after < 0.6 * before
    assert bool(frozen) == bool(rank)
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)
    saved = load_prompted_model(tmp_path / "final", attention, method)
    with torch.no_grad():
        merged = question_loss(saved, batch)[1]
    assert merged == pytest.approx(after, abs=1e-4)


@pytest.mark.parametrize(
    ("method", "refused"), [("iranker", {"long", "many"}), ("query_likelihood", {"long", "empty"})]
)
def test_rows_that_do_not_fit_are_left_out_and_told_before_anything_trains(
    tmp_path: Path, start: Path, capsys: pytest.CaptureFixture[str], method: str, refused: set[str]
) -> None:
    """Too long a query; more candidates than identifiers, and none needed; a query without a word."""
    good = list(toy_cases(30).values())
    long = replace(good[0], query="red " * 15_000, id="long")
    many = replace(good[0], candidates=["red", "fox"] * 3000, relevance=[0.0, 1.0] * 3000, id="many")
    empty = replace(good[0], query="", id="empty")
    data = write_own(tmp_path / "own.jsonl", [*good, long, many, empty])
    other = write_own(tmp_path / "validation.jsonl", toy_cases(4, seed=5).values())
    words = options(start, "--data", str(data), "--validation", str(other), "--method", method)
    words += ["--steps", "6", "--out"]
    main([*words, str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert re.search(r"2 of 3\d rows cannot be learnt from and are left out:", said)
    assert {name for name in ("long", "many", "empty") if f"  {name}: " in said} == refused
    write_own(data, [long, replace(long, query="red " * 14_000)])
    with pytest.raises(ValueError, match="2 of 2 rows cannot be learnt from"):
        main([*words, str(tmp_path / "none")])
    assert not (tmp_path / "none" / "config.json").exists()


@pytest.mark.parametrize("rank", ["0", "4"])
def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path: Path, start: Path, rank: str) -> None:
    if rank != "0":
        pytest.importorskip("peft", reason="needs the train extra")
    data = write_own(tmp_path / "own.jsonl", toy_cases(30).values())
    words = options(start, "--data", str(data), "--steps", "4", "--lora_rank", rank, "--out")
    main([*words, str(tmp_path / "whole")])
    main([*words, str(tmp_path / "halves"), "--stop-at", "2"])
    main(["--resume", "--out", str(tmp_path / "halves")])
    whole, halves = (load_file(tmp_path / run / "final" / "model.safetensors") for run in ("whole", "halves"))
    assert all(torch.equal(whole[name], halves[name]) for name in whole)
    begun = load_file(start / "model.safetensors")
    assert any(not torch.equal(whole[name], begun[name]) for name in whole)


def test_the_attention_of_the_start_is_kept_unless_another_is_asked_for(tmp_path: Path, start: Path) -> None:
    data = write_own(tmp_path / "own.jsonl", toy_cases(30).values())
    words = options(start, "--data", str(data), "--steps", "1", "--out")
    main([*words, str(tmp_path / "kept")])
    main([*words, str(tmp_path / "block"), "--attention", "block"])
    assert load_policy(tmp_path / "kept" / "final").settings.attention == "causal"
    assert load_policy(tmp_path / "block" / "final").settings.attention == "block"


@pytest.mark.parametrize("attention", MODES)
@pytest.mark.parametrize("method", ["iranker", "selection"])
def test_the_loss_is_that_of_each_question_in_a_forward_of_its_own(
    start: Path, attention: AttentionMode, method: str
) -> None:
    """Cross-entropies written down from the rules, over logits that are asked for one by one."""
    model = load_prompted_model(start, attention, method)
    batch = model.batch(examples(4), np.random.default_rng(1), 10_000, 64)
    with torch.no_grad():
        loss, divergence, _ = question_loss(model, batch)
    terms = []
    for q, question in enumerate(batch.questions):
        relevance = batch.relevance[q]
        for subset in question.subsets:
            with torch.no_grad():
                (named,) = model.logits([Question(question.segments, (subset,))], CPU)
            asked = named[0, list(subset)].double()
            fitness = asked if method == "selection" else -asked
            grades = relevance[list(subset)].double()
            taught = (batch.teacher_scores[q, list(subset)].double()).softmax(-1)
            weight = float(batch.teacher_weight[q])
            best = taught if grades.sum() == 0 else (1 - weight) * grades / grades.sum() + weight * taught
            term = -(best * fitness.log_softmax(-1)).sum()
            if method == "iranker":
                least = (grades == grades.min()).double()
                unfit = (-batch.teacher_scores[q, list(subset)].double()).softmax(-1)
                worst = (1 - weight) * least / least.sum() + weight * unfit
                term = 0.5 * (term - (worst * (-fitness).log_softmax(-1)).sum())
            terms.append(term)
    assert float(loss) == pytest.approx(float(torch.stack(terms).mean()), rel=1e-4)
    assert 0 <= divergence <= float(loss)


@pytest.mark.parametrize("attention", MODES)
def test_prompts_are_those_that_ranker_gives_the_trained_model(
    tmp_path: Path, start: Path, attention: AttentionMode
) -> None:
    """The saved folder names in its first round whom the training forward names, as surely."""
    save_prompted_model(load_prompted_model(start, attention, "iranker"), tmp_path)
    model = load_prompted_model(tmp_path, attention, "iranker")
    with Ranker(tmp_path, dtype="float32", relayout="keep") as ranker:
        for case in toy_cases(6, seed=3).values():
            first = ranker.rank(case.query, case.candidates, template=case.task).rounds[0]
            shown = list(first.alive)  # in the prompt's order, by which identifiers are given
            ordered = RankingExample(
                case.task, case.query, None, [case.candidates[i] for i in shown], case.relevance, case.id
            )
            example = Example(ordered, np.zeros(len(shown)), 0.0)
            segments = model.question(example, np.random.default_rng(0), 256).segments
            with torch.no_grad():
                (named,) = model.logits([Question(segments, (tuple(range(len(shown))),))], CPU)
            assert list(first.probabilities) == pytest.approx(named[0].softmax(-1).tolist(), abs=1e-4)


@pytest.mark.parametrize("attention", MODES)
@pytest.mark.parametrize("method", ["query_likelihood", "pointwise"])
def test_what_is_said_of_a_candidate_alone_is_what_ranker_scores_it_by(
    tmp_path: Path, start: Path, attention: AttentionMode, method: str
) -> None:
    save_prompted_model(load_prompted_model(start, attention, method), tmp_path)
    model = load_prompted_model(tmp_path, attention, method)
    with Ranker(tmp_path, dtype="float32") as ranker:
        for case in toy_cases(5, seed=4).values():
            question = model.question(
                Example(case, np.zeros(len(case.candidates)), 0.0), np.random.default_rng(0), 256
            )
            with torch.no_grad():
                (said,) = model.logits([question], CPU)
            tokens = len(question.segments.targets) if method == "query_likelihood" else 1
            ranking = ranker.rank(case.query, case.candidates, template=case.task)
            assert ranking.method == method
            (round_,) = ranking.rounds
            chances = (said[0, list(round_.alive)] / tokens).softmax(-1).tolist()
            assert list(round_.probabilities) == pytest.approx(chances, abs=1e-4)


def examples(count: int) -> list[Example]:
    rng = np.random.default_rng(0)
    return [make_example(rng, int(rng.integers(2, 6))) for _ in range(count)]


def test_a_batch_keeps_to_its_budget_and_has_one_list_at_least(start: Path) -> None:
    model = load_prompted_model(start, "block", "iranker")
    drawn = examples(6)
    whole = model.batch(drawn, np.random.default_rng(0), 10_000, 64)
    one = model.batch(drawn, np.random.default_rng(0), 1, 64)
    some = model.batch(drawn, np.random.default_rng(0), whole.tokens - 1, 64)
    assert (len(whole.questions), len(one.questions)) == (6, 1)
    assert 1 <= len(some.questions) < 6
    assert some.tokens < whole.tokens
    assert isinstance(whole, QuestionBatch)
    for question, alive in zip(whole.questions, whole.alive, strict=True):
        assert [tuple(row.nonzero()[:, 0].tolist()) for row in alive if row.any()] == list(question.subsets)


@pytest.mark.parametrize(("attention", "method"), [("block", "iranker"), ("causal", "query_likelihood")])
def test_of_a_list_beyond_the_budget_a_part_is_learnt(
    start: Path, attention: AttentionMode, method: str
) -> None:
    model = load_prompted_model(start, attention, method)
    example = make_example(np.random.default_rng(3), 24)
    whole = model.batch([example], np.random.default_rng(0), 10_000, 64)
    parts = [model.batch([example], np.random.default_rng(seed), whole.tokens // 2, 64) for seed in (0, 0, 1)]
    for part in parts:
        assert part.tokens <= whole.tokens // 2
        assert 5 < part.relevance.shape[1] < 24
        assert part.relevance.sum() == 1
        assert part.teacher_scores.shape == part.relevance.shape
    prompts = [part.questions[0].segments.candidates for part in parts]
    assert prompts[0] == prompts[1] != prompts[2]


def test_causal_lists_are_asked_about_their_beginnings_alone(start: Path) -> None:
    model = load_prompted_model(start, "causal", "iranker")
    for question in model.batch(examples(8), np.random.default_rng(0), 10_000, 64).questions:
        assert all(subset == tuple(range(len(subset))) for subset in question.subsets)


def test_what_cannot_be_learnt_is_refused_in_words(start: Path, tiny: ModelConfig) -> None:
    model = load_prompted_model(start, "block", "iranker")
    pairs = Pairs("passage", ["a"], ["b"], np.ones((1, 1)), np.zeros((1, 1)), 0.5)
    with pytest.raises(ValueError, match=r"leave the sources …-pairs out"):
        question_batches(model, SftConfig(start=str(start)))(Draw(pairs, 8, 8), np.random.default_rng(0))
    long = next(iter(toy_cases(1).values()))
    huge = type(long)(long.task, "red " * 5000, None, long.candidates, long.relevance, "row-7")
    with pytest.raises(ValueError, match="list 'row-7' cannot be learnt from"):
        model.question(Example(huge, np.zeros(len(huge.candidates)), 0.0), np.random.default_rng(0), 64)
    with pytest.raises(ValueError, match="leave --tokenizer out"):
        first_tokenizer(start, read_checkpoint(start, None), Sources())
    with pytest.raises(ValueError, match="lora_rank must be a whole number"):
        SftConfig(lora_rank=-1)
    with pytest.raises(ValueError, match="a pointer head trains all of its weights"):
        check(build_model(tiny), SftConfig(method="query_likelihood"))
