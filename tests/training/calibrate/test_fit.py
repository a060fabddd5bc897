"""The logistic fit against the conditions of its optimum, a peer, and curves that made the labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rranker.training.calibrate.fit import fit_logistic, log_loss


def drawn(seed: int, n: int, slope: float, intercept: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels that a curve with these parameters gives to scores around its middle."""
    rng = np.random.default_rng(seed)
    scores = -intercept / slope + rng.normal(size=n) * 2 / slope
    labels = (rng.random(n) < 1 / (1 + np.exp(-(slope * scores + intercept)))).astype(float)
    return scores, labels


def platt_targets(labels: np.ndarray) -> np.ndarray:
    positive = labels.sum()
    return np.where(labels > 0, (positive + 1) / (positive + 2), 1 / (len(labels) - positive + 2))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-50, 50))
def test_the_gradient_vanishes_at_the_optimum(seed: int, slope: float, intercept: float) -> None:
    scores, labels = drawn(seed, 300, slope, intercept)
    found = fit_logistic(scores, labels)
    residual = 1 / (1 + np.exp(-(found[0] * scores + found[1]))) - platt_targets(labels)
    standard = (scores - scores.mean()) / scores.std()
    assert abs(residual.mean()) < 1e-6
    assert abs((residual * standard).mean()) < 1e-6


def test_it_finds_the_curve_that_made_the_labels() -> None:
    slope, intercept = fit_logistic(*drawn(0, 40_000, 0.5, -1.5))
    assert slope == pytest.approx(0.5, rel=0.05)
    assert intercept == pytest.approx(-1.5, rel=0.05)


def test_it_agrees_with_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    scores, labels = drawn(1, 500, 2.0, 1.0)
    targets = platt_targets(labels)
    peer = linear.LogisticRegression(C=1e12, tol=1e-10, max_iter=10_000)
    both = np.concatenate([scores, scores])[:, None]  # a soft target is a weighted pair of hard ones
    truth = np.repeat([1.0, 0.0], len(scores))
    peer.fit(both, truth, np.concatenate([targets, 1 - targets]))
    assert fit_logistic(scores, labels) == pytest.approx((peer.coef_[0, 0], peer.intercept_[0]), rel=1e-3)


def test_scores_that_separate_the_labels_give_a_finite_slope() -> None:
    scores, labels = np.arange(10.0), (np.arange(10) > 4).astype(float)
    slope, intercept = fit_logistic(scores, labels)
    assert 0 < slope < 100
    assert -intercept / slope == pytest.approx(4.5, abs=0.01)
    assert log_loss(scores, labels, slope, intercept) < 0.5


def test_log_loss_is_the_mean_negative_log_likelihood() -> None:
    scores, labels = drawn(2, 50, 1.0, 0.5)
    chance = 1 / (1 + np.exp(-(1.5 * scores - 0.25)))
    plain = -np.mean(labels * np.log(chance) + (1 - labels) * np.log(1 - chance))
    assert log_loss(scores, labels, 1.5, -0.25) == pytest.approx(plain)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0, 2.0], [1.0, 1.0], "all 2 labels are equal"),
        ([1.0, 1.0], [1.0, 0.0], "all 2 scores are equal"),
        ([np.nan, 1.0], [1.0, 0.0], "a score is not finite"),
        ([2.0, 1.0, 1.5, 0.5], [0.0, 1.0, 0.0, 1.0], "no higher than those of others"),
    ],
)
def test_what_cannot_be_calibrated_says_why(scores: list[float], labels: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_logistic(np.array(scores), np.array(labels))
