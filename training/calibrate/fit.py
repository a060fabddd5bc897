"""Logistic calibration: the slope and intercept under which labels are most likely (Platt 1999)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits

Floats = NDArray[np.float64]


def fit_logistic(scores: Floats, outcomes: Floats) -> tuple[float, float]:
    """Slope and intercept of P(label = 1) = sigmoid(slope · score + intercept), by least negative log-likelihood.

    scores, outcomes: [N], outcomes 0 or 1. Targets are drawn in as Platt does, (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2), so
    that scores that separate the labels give a steep slope and no infinite one. The objective is convex; L-BFGS runs on
    standardised scores in double precision.

    Raises ValueError when all labels or all scores are equal, a score is not finite, or the best slope is not above 0.
    """
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
    positive, spread = float(outcomes.sum()), float(scores.std())
    negative = len(outcomes) - positive
    if not positive or not negative:
        raise ValueError(f"all {len(outcomes)} labels are equal, so nothing can be told apart")
    if not spread:
        raise ValueError(f"all {len(scores)} scores are equal, so nothing can be told apart")
    standard = torch.from_numpy((scores - scores.mean()) / spread)
    targets = torch.from_numpy(
        np.where(outcomes > 0, (positive + 1) / (positive + 2), 1 / (negative + 2)).astype(np.float64)
    )
    parameters = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [parameters],
        max_iter=500,
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = binary_cross_entropy_with_logits(parameters[0] * standard + parameters[1], targets)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    slope, intercept = parameters.detach().tolist()
    if slope <= 0:
        raise ValueError(
            f"the scores of relevant candidates are no higher than those of others ({len(outcomes)} labels, best slope "
            f"{slope / spread:.3g})"
        )
    return slope / spread, intercept - slope * float(scores.mean()) / spread


def log_loss(scores: Floats, outcomes: Floats, slope: float, intercept: float) -> float:
    """The mean negative log-likelihood of the labels, in nats."""
    logits = slope * scores + intercept
    return float(np.mean(np.logaddexp(0.0, logits) - outcomes * logits))
