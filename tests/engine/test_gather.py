"""A step's logits, read for all queries at once, are those of each question read alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rranker.engine.readout import IdentifierReadout, PointerReadout
from rranker.engine.readout.gather import read
from rranker.engine.readout.request import ReadoutRequest
from rranker.kernels.score import kernel as scoring
from tests.support.architectures import tiny_model

pytestmark = pytest.mark.gpu

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WIDTH = 48


def identifier(dtype=torch.float32, vocabulary=320):
    """Scaled and capped, both far enough to show."""
    lm = tiny_model("granite", vocab_size=vocabulary).to(DEVICE, dtype)
    lm.config.final_logit_softcapping = 2.0
    return IdentifierReadout(lm)


def pointer():
    torch.manual_seed(1)
    return PointerReadout(torch.randn(WIDTH, device=DEVICE), torch.randn(WIDTH, WIDTH, device=DEVICE))


def step(readout, shapes, dtype=torch.float32, seed=0):
    """Hidden states of a step, and queries of (candidates, questions) whose suffixes lie anywhere among them."""
    rng, torch_rng = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    readings, at = [], 3
    for n, questions in shapes:
        subsets = [tuple(rng.permutation(n)[: rng.integers(1, n + 1)].tolist()) for _ in range(questions)]
        identifiers = np.zeros(0, np.int64) if readout.needs_states else rng.choice(300, size=n)
        states = torch.randn(n, WIDTH, generator=torch_rng).to(DEVICE) if readout.needs_states else None
        kind = "select" if n % 2 else "exclude"
        readings.append(ReadoutRequest(kind, subsets, range(at, at + questions), identifiers, states))
        at += questions + 2
    return torch.randn(at, WIDTH, generator=torch_rng).to(DEVICE, dtype), readings


def one_by_one(readout, hidden, readings):
    """Each question with its own candidates' vectors, by the readout itself."""
    for reading in readings:
        vectors = readout.vectors(reading.identifiers) if reading.states is None else reading.states
        for subset, row in zip(reading.subsets, reading.suffixes, strict=True):
            yield readout.logits(hidden[row : row + 1], vectors[list(subset)], reading.kind)[0].cpu().numpy()


SHAPES = [(5, 2), (20, 9), (1, 1), (64, 3), (2, 4)]


@pytest.mark.parametrize(
    ("make", "dtype", "kernels"),
    [
        (pointer, torch.float32, False),
        (pointer, torch.float32, True),
        (identifier, torch.float32, False),
        (identifier, torch.float32, True),
        (identifier, torch.float16, True),
    ],
)
def test_all_at_once_equals_one_by_one(make, dtype, kernels):
    readout = make() if make is pointer else make(dtype)
    hidden, readings = step(readout, SHAPES, dtype)
    with torch.no_grad():
        expected = list(one_by_one(readout, hidden, readings))
    found = read(readout, hidden, readings, kernels=kernels)
    assert [len(rows) for rows in found] == [questions for _, questions in SHAPES]
    for mine, wanted in zip((row for rows in found for row in rows), expected, strict=True):
        np.testing.assert_allclose(mine, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("make", [pointer, identifier])
def test_a_prior_is_added_to_fitness_so_taken_from_the_logits_of_the_worst(make, kernels):
    readout = make()
    hidden, readings = step(readout, SHAPES)
    rng = np.random.default_rng(2)
    priors = [tuple(rng.normal(size=n).tolist()) if n != 20 else () for n, _ in SHAPES]
    given = [replace(r, prior=prior) for r, prior in zip(readings, priors, strict=True)]
    assert {r.kind for r in given if r.prior} == {"select", "exclude"}
    plain, found = (read(readout, hidden, rows, kernels=kernels) for rows in (readings, given))
    for before, after, reading in zip(plain, found, given, strict=True):
        for one, other, subset in zip(before, after, reading.subsets, strict=True):
            prior = np.array([reading.prior[i] if reading.prior else 0.0 for i in subset])
            expected = one + (prior if reading.kind == "select" else -prior)
            np.testing.assert_allclose(other, expected, atol=1e-6, rtol=0)


def test_more_identifiers_than_a_program_holds_are_read_the_plain_way(monkeypatch):
    def refuse(*_):
        raise AssertionError("launched")

    readout = identifier(vocabulary=700)
    hidden, readings = step(readout, [(4, 2)])
    many = ReadoutRequest("exclude", [tuple(range(600))], range(1), np.arange(600), None)
    monkeypatch.setattr(scoring, "score", refuse)
    found = read(readout, hidden, [*readings, many], kernels=True)
    with torch.no_grad():
        expected = list(one_by_one(readout, hidden, [*readings, many]))
    np.testing.assert_allclose(found[1][0], expected[-1], atol=1e-5, rtol=0)
    with pytest.raises(AssertionError, match="launched"):
        read(readout, hidden, readings, kernels=True)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("kernels", [False, True])
def test_logits_that_are_not_finite_are_an_error(kernels):
    readout = identifier()
    hidden, readings = step(readout, SHAPES)
    hidden[readings[1].suffixes[4]] = torch.nan
    with pytest.raises(FloatingPointError, match="not finite"):
        read(readout, hidden, readings, kernels=kernels)
