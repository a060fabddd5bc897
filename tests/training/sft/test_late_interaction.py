"""Late interaction: added to an encoder's ranker, learnt alone, the same in training and in the engine."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from rranker import Ranker, UnsupportedModelError, data
from rranker.data import RankingExample
from rranker.engine.readout import max_similarities
from rranker.prompts import Segments
from rranker.prompts.encoder import EncoderFormat
from rranker.prompts.encoding import TextEncoder
from rranker.training.examples.sources import SOURCES
from rranker.training.grpo import parse as parse_grpo
from rranker.training.grpo import train as train_by_reward
from rranker.training.packing.batch import training_batch
from rranker.training.packing.layout import Attends, build_layout
from rranker.training.sft import train
from rranker.training.sft.checkpoint import load_model, save_model
from rranker.training.sft.config import SftConfig
from rranker.training.sft.late_interaction import CLOSED, OPEN, main, mean_states, with_late_interaction
from rranker.training.sft.run import first_model
from tests.support.checkpoints import TINY_START
from tests.support.rounds import order_by_rounds
from tests.support.toy_examples import WORDS, make_case, make_example
from tests.support.toys import learnable_cases, options

HEAD = "pointer_head.safetensors"


@pytest.fixture(scope="module")
def late(without: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It wants late interaction of passages' queries."""
    out, tokenizer = tmp_path_factory.mktemp("late"), AutoTokenizer.from_pretrained(without)
    save_model(with_late_interaction(load_model(without), tokenizer, *kinds(), 12.0), tokenizer, out)
    return out


@pytest.fixture(scope="module")
def fed(late: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With feedback, too, so much that it counts in short lists."""
    out = tmp_path_factory.mktemp("fed") / "model"
    main([str(late), str(out), "--feedback", "100"])
    return out


def kinds() -> tuple[list[RankingExample], list[RankingExample]]:
    """Queries that want it and histories that do not, in words of their own."""
    rng, half = np.random.default_rng(5), len(WORDS) // 2
    asked = [" ".join(rng.choice(WORDS[:half], 3)) for _ in range(40)]
    histories = [[str(word) for word in rng.choice(WORDS[half:], 3)] for _ in range(40)]
    return (
        [RankingExample("passage", text, None, [], [], "q") for text in asked],
        [RankingExample("recommendation", titles, None, [], [], "h") for titles in histories],
    )


def batches(tokenizer: Any, attends: Any) -> Any:
    prompt_format = EncoderFormat(TextEncoder(tokenizer))

    def make(step: int) -> list[tuple[str, Any]]:
        rng = np.random.default_rng(step)  # searches want it in full, others as far as the gate says
        examples = [make_example(rng, 15, task) for task in ("passage", "routing") * 2]
        sizes = {"candidate_tokens": 24, "prefix_tokens": 24, "budget": 4096}
        return [("made", training_batch(prompt_format, examples, rng, attends=attends, **sizes))]

    return make


def test_the_head_gets_a_term_and_nothing_else_changes(without: Path, late: Path) -> None:
    before, after = load_file(without / HEAD), load_file(late / HEAD)
    assert set(after) - set(before) == {"maxsim", "gate", "gate_bias"}
    assert after["maxsim"].tolist() == [12.0]
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor)
    for name, tensor in load_file(without / "model.safetensors").items():
        assert torch.equal(load_file(late / "model.safetensors")[name], tensor)


def test_the_gate_opens_for_the_kind_of_query_that_wants_it(late: Path) -> None:
    model, tokenizer = load_model(late), AutoTokenizer.from_pretrained(late)
    assert model.head.late is not None
    opened, closed = (
        model.head.late.strength(mean_states(model, tokenizer, cases), search=False).tolist()
        for cases in kinds()
    )
    assert min(opened) > 6 > max(closed)


@pytest.mark.parametrize("kind", ["late", "fed"])
def test_it_trains_and_the_engine_ranks_as_the_training_forward_does(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    late = request.getfixturevalue(kind)
    config = SftConfig(
        steps=8, warmup=1, lr=3e-2, precision="fp32", optimizer="adamw", lm_weight=0.0, start=str(late)
    )
    model, tokenizer = first_model(config), AutoTokenizer.from_pretrained(late)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(config, tmp_path, model, tokenizer, batches(tokenizer, model.attends))
    for name, parameter in model.named_parameters():
        assert not torch.equal(parameter, before[name]), name
    trained, rng = load_model(tmp_path / "final"), np.random.default_rng(1)
    prompt_format = EncoderFormat(TextEncoder(tokenizer))
    with Ranker(tmp_path / "final", dtype="float32") as ranker:
        for n in (1, 2, 7, 15):
            case = make_case(rng, n)
            expected = order_by_rounds(trained, prompt_format, case)
            assert ranker.rank(case.query, case.candidates, task=case.task).order == expected


def test_what_opens_and_closes_a_text_is_no_word() -> None:
    """By their definition, a word and a candidate at a time; the engine's and the training's are the same.

    A query without words asks with what it has, and a candidate without words matches nothing.
    """
    rng, lengths, texts = np.random.default_rng(3), (2, 3, 7), (2, 5, 4)
    queries = [torch.from_numpy(rng.normal(size=(n, 6))) for n in lengths]
    candidates = [torch.from_numpy(rng.normal(size=(n, 6))) for n in texts]
    expected = torch.tensor(
        [
            [0.0]
            + [
                torch.cosine_similarity(words[:, None], c[None, 1:-1], dim=-1).amax(1).clamp_min(0.0).mean()
                for c in candidates[1:]
            ]
            for words in (queries[0], queries[1][1:2], queries[2][1:6])
        ]
    )
    for query, wanted in zip(queries, expected, strict=True):
        found = max_similarities(
            torch.cat([query, *candidates]), torch.tensor([len(query), *texts]), len(query)
        )
        torch.testing.assert_close(found, wanted.float())
    segments = [Segments((1,) * n, tuple((2,) * m for m in texts), (3,)) for n in lengths]
    everybody = [torch.ones(1, len(texts), dtype=torch.bool)] * len(lengths)
    layout = build_layout(segments, [[3]] * len(lengths), everybody, Attends(bidirectional=True))
    hidden = torch.zeros(len(layout.ids), 6, dtype=torch.float64)
    for b, query in enumerate(queries):
        hidden[layout.prefix[b, : len(query)]] = query
        for i, states in enumerate(candidates):
            hidden[layout.candidates[b, i, : len(states)]] = states
    torch.testing.assert_close(layout.max_similarities(hidden), expected.float())


def test_feedback_is_added_to_what_was_trained_and_changes_nothing_else(
    late: Path, fed: Path, tmp_path: Path
) -> None:
    for file in late.iterdir():
        if file.name != HEAD:
            assert (fed / file.name).read_bytes() == file.read_bytes()
    before, after = load_file(late / HEAD), load_file(fed / HEAD)
    assert after.pop("feedback").tolist() == [100.0]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    main([str(fed), str(tmp_path / "more"), "--feedback", "0.25"])  # instead of what it had
    assert load_file(tmp_path / "more" / HEAD)["feedback"].tolist() == [0.25]


REFUSED = [
    (["less", "--feedback", "-1"], "argument --feedback: must be at least 0, not -1"),
    (["less", "--weight", "0"], "argument --weight: must be above 0, not 0"),
    (
        ["less", "--feedback", "1", "--weight", "40"],
        "has late interaction, whose weight stays: leave --weight",
    ),
    (["there", "--feedback", "1"], "there is there already: name a new folder"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_what_cannot_be_added_is_refused_and_nothing_is_written(
    fed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(SystemExit):
        main([str(fed), str(tmp_path / words[0]), *words[1:]])
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_an_empty_query_is_ranked(late: Path) -> None:
    with Ranker(late) as ranker:
        assert sorted(ranker.rank("", WORDS[:4], task="passage").order) == [0, 1, 2, 3]


def test_lists_are_learnt_at_a_temperature_that_makes_up_for_its_weight(late: Path, without: Path) -> None:
    """One order, and logits of the size that they have without it."""
    model, plain, tokenizer = load_model(late), load_model(without), AutoTokenizer.from_pretrained(late)
    ((_, batch),) = batches(tokenizer, model.attends)(0)
    with torch.no_grad():
        hidden, base = model.hidden(batch.layout), plain.hidden(batch.layout)
        fitness, tempered = (model.fitness(hidden, batch.layout, tempered=t) for t in (False, True))
        _, prefix = batch.layout.states(hidden, "mean")
        assert prefix is not None
        assert model.head.late is not None
        expected = 1 + model.head.late.strength(prefix, batch.layout.search) / 20
        assert float(expected.max()) > 1.3
        torch.testing.assert_close(tempered, fitness / expected[:, None, None])
        unchanged = (plain.fitness(base, batch.layout, tempered=t) for t in (False, True))
    assert torch.equal(*unchanged)


@pytest.mark.parametrize("kind", ["late", "fed"])
def test_reward_reaches_it(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    late = request.getfixturevalue(kind)
    monkeypatch.setattr("rranker.engine.readout.late_interaction.FEW", 1)  # short lists have feedback, too
    words = options(late, tmp_path / "out", max_steps=2, eval_strategy="no", beta=0.1)
    cases = {
        key: replace(case, task=("passage", "routing")[place % 2])
        for place, (key, case) in enumerate(learnable_cases(24).items())
    }
    trainer = train_by_reward(*parse_grpo(words), cases, {})
    first = next(row for row in trainer.state.log_history if "kl" in row)
    assert first["kl"] == pytest.approx(0, abs=1e-5)
    before, after = load_file(late / HEAD), load_file(tmp_path / "out" / "final" / HEAD)
    assert before.keys() == after.keys()
    for name in ("gate", *({"feedback"} & set(before))):
        assert not torch.equal(after[name], before[name])


def test_alone_it_finds_the_text_that_holds_the_querys_words(late: Path, tmp_path: Path) -> None:
    model = load_model(late)
    for parameter in (model.head.w, model.head.W, model.head.scale):
        torch.nn.init.zeros_(parameter)
    save_model(model, AutoTokenizer.from_pretrained(late), tmp_path)
    texts = ["green cat", "red lamp", "blue mat", "lamp of the cat", "heat"]
    with Ranker(tmp_path, dtype="float32") as ranker:
        ranking = ranker.rank("red lamp", texts)
    assert ranking[0].text == "red lamp"
    assert ranking[0].score > ranking[1].score


def test_where_it_does_not_belong_it_is_refused(late: Path) -> None:
    for folder in (TINY_START, late):
        with pytest.raises(UnsupportedModelError, match="this one does not, or has it already"):
            with_late_interaction(load_model(folder), AutoTokenizer.from_pretrained(folder), *kinds())


def test_a_query_may_be_asked_of_every_source_that_it_is_told_by() -> None:
    assert set(OPEN) | set(CLOSED) == {name for name in SOURCES if name != "cloze" and "-pairs" not in name}


@pytest.mark.data
def test_the_command_line_opens_for_searches(
    without: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rranker.training.sft.late_interaction.QUERIES", 150)
    monkeypatch.setattr(data, "COLLECTIONS", {name: data.COLLECTIONS[name] for name in ("wikiqa", "qed")})
    out = tmp_path / "out"
    main([str(without), str(out), "--weight", "10", "--feedback", "0.5"])
    assert load_file(out / HEAD)["feedback"].tolist() == [0.5]
    opened, closed = (float(x) for x in re.findall(r"by the gate ([\d.]+)", capsys.readouterr().out))
    assert opened > closed + 2  # the encoder has random weights
    assert Ranker(out).rank("red lamp", ["a cat", "a red lamp"]).order


def test_a_head_with_half_of_it_is_refused(late: Path, tmp_path: Path) -> None:
    for path in late.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    head = load_file(late / HEAD)
    save_file({name: tensor for name, tensor in head.items() if name != "gate_bias"}, tmp_path / HEAD)
    with pytest.raises(
        ValueError, match=r"must hold W .*, gate \[48\], gate_bias \[1\], maxsim \[1\], scale"
    ):
        Ranker(tmp_path)
