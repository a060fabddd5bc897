"""Relevance's arithmetic: logistic curves by template, and pooling of adjacent violators."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rranker.calibration import Calibration, SpaceCurve, non_increasing
from rranker.engine.loading.settings import ModelSettings
from rranker.types import RankedCandidate, Ranking

unit = st.lists(st.floats(0, 1), max_size=12)


def least_squares(values: list[float]) -> list[float]:
    """Isotonic regression by its min-max formula (Barlow et al. 1972), falling: max over ends of min over starts."""

    def mean(first: int, last: int) -> float:
        return math.fsum(values[first : last + 1]) / (last - first + 1)

    n = len(values)
    return [max(min(mean(a, b) for a in range(i + 1)) for b in range(i, n)) for i in range(n)]


@given(unit)
@example([0.2, 0.9, 0.1, 0.1, 0.5])
@example([1.0] * 7)
def test_pooling_gives_the_nearest_falling_sequence(values: list[float]) -> None:
    found = non_increasing(values)
    assert all(above >= below for above, below in pairwise(found))
    assert found == pytest.approx(least_squares(values), abs=1e-12)


@given(unit.map(lambda values: sorted(values, reverse=True)))
def test_what_falls_already_stays_to_the_bit(values: list[float]) -> None:
    assert non_increasing(values) == values


@given(unit.filter(len), st.floats(0, 1))
def test_a_threshold_never_reorders(values: list[float], threshold: float) -> None:
    relevance = non_increasing(values)
    items = tuple(
        RankedCandidate(place + 1, place, None, str(place), 0.5, relevance=each)
        for place, each in enumerate(relevance)
    )
    ranking = Ranking(items, threshold=threshold)
    kept = ranking.kept
    assert kept == ranking[: len(kept)] == ranking.above(threshold)
    assert [item in kept for item in items] == [each >= threshold for each in relevance]
    assert len(ranking) == len(values)


def test_everything_is_kept_where_no_threshold_was_given() -> None:
    ranking = Ranking((RankedCandidate(1, 0, None, "a", 0.5),))
    assert ranking.kept == list(ranking)
    with pytest.raises(ValueError, match=r"no relevance to cut by.*training\.calibrate"):
        ranking.above(0.5)
    for wrong in (1.01, -0.1, math.nan):
        with pytest.raises(ValueError, match="threshold must be a number from 0 to 1"):
            ranking.above(wrong)
    for wrong in ("0.5", True):
        with pytest.raises(TypeError, match="threshold must be a number from 0 to 1"):
            ranking.above(wrong)  # type: ignore[arg-type]


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3), st.lists(st.floats(-1e6, 1e6), min_size=2))
def test_probabilities_rise_with_the_score_and_never_overflow(
    slope: float, intercept: float, scores: list[float]
) -> None:
    curve = Calibration(slope, intercept)
    found = [curve.probability(score) for score in sorted(scores)]
    assert all(0 <= below <= above <= 1 for below, above in pairwise(found))
    assert curve.probability(-intercept / slope) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slope": 0.0, "intercept": 0.0}, "slope must be above 0"),
        ({"slope": -1, "intercept": 0.0}, "slope must be above 0"),
        ({"slope": math.nan, "intercept": 0.0}, "slope must be a finite number"),
        ({"slope": 1.0, "intercept": "2"}, "intercept must be a finite number"),
        ({"slope": True, "intercept": 0.0}, "slope must be a finite number"),
        ({"slope": 1.0, "intercept": 0.0, "source": "magic"}, "source must be one of 'pointer', 'pointwise'"),
        ({"slope": 1.0, "intercept": 0.0, "content_free": 1}, "content_free must be true or false"),
        ({"slope": 1.0, "intercept": 0.0, "content_free": True}, "source 'pointer' asks none"),
        (
            {"slope": 1.0, "intercept": 0.0, "source": "pointwise", "spaces": (SpaceCurve(0, 1.0, 0.0),)},
            "spaces go with source 'pointer'",
        ),
        (
            {"slope": 1.0, "intercept": 0.0, "spaces": (SpaceCurve(3, 1.0, 0.0), SpaceCurve(3, 2.0, 0.0))},
            "a space has one curve",
        ),
    ],
)
def test_what_is_no_calibration_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibration(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 1.0, 0.0), "space must be a whole number from 0 on"),
        ((True, 1.0, 0.0), "space must be a whole number from 0 on"),
        ((0, 0.0, 0.0), "slope must be above 0"),
        ((0, 1.0, math.inf), "intercept must be a finite number"),
    ],
)
def test_what_is_no_curve_of_a_space_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpaceCurve(*arguments)


def test_a_space_goes_by_its_own_curve_and_others_by_the_joint_one() -> None:
    both = Calibration(2.0, -1.0, spaces=(SpaceCurve(0, 3.0, 0.5), SpaceCurve(4, 0.5, -2.0)))
    assert both.in_space(4) == Calibration(0.5, -2.0)
    assert both.in_space(1) == both.in_space(None) == Calibration(2.0, -1.0)


POINTED: dict[str, Any] = {"attention": "block", "readout": "pointer", "prompt_format": "compact"}


def test_settings_keep_calibrations_through_json() -> None:
    histories = Calibration(1.5, 0.0, spaces=(SpaceCurve(0, 3.0, 0.5), SpaceCurve(2, 0.5, -2.0)))
    settings = ModelSettings(
        calibration={"passage": Calibration(2.5, -1.0), "recommendation": histories}, **POINTED
    )
    back = ModelSettings.read(json.loads(json.dumps(settings.entry())), Path("config.json"))
    assert back == settings
    assert back.calibration_for("passage") == back.calibration_for("generic") == Calibration(2.5, -1.0)
    assert back.calibration_for("recommendation") == histories
    assert back.calibration_for("routing") is None
    assert ModelSettings.read(ModelSettings().entry(), Path("config.json")).calibration_for("generic") is None
    words = {
        "generic": Calibration(1.0, 0.0, "pointwise", True),
        "passage": Calibration(2.0, 0.0, "pointwise"),
    }
    assert ModelSettings(calibration=words).calibration_for("generic") == words["generic"]


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ([], r"calibration must be an object with an entry for each template, not \[\]"),
        ({"passage": 3}, "calibration of 'passage': it must be an object, not 3"),
        (
            {"passage": {"slope": 1, "bias": 2}},
            "calibration of 'passage': unknown entry 'bias'; no 'intercept'",
        ),
        ({"passage": {"slope": -1, "intercept": 2}}, "calibration of 'passage': slope must be above 0"),
        ({"poetry": {"slope": 1, "intercept": 2}}, "one of passage, .* and there is none 'poetry'"),
        (
            {"passage": {"slope": 1, "intercept": 2, "source": "pointwise"}},
            "source 'pointwise' does not go with readout 'pointer'",
        ),
        (
            {"passage": {"slope": 1, "intercept": 2, "spaces": {"0": 1}}},
            "calibration of 'passage': spaces must be a list",
        ),
        (
            {"passage": {"slope": 1, "intercept": 2, "spaces": [{"space": 0, "slope": 1}]}},
            "calibration of 'passage': no 'intercept'",
        ),
    ],
)
def test_a_wrong_calibration_names_the_file_and_the_template(saved: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"folder/config.json: under `rranker`, .*{message}"):
        ModelSettings.read({**POINTED, "calibration": saved}, Path("folder/config.json"))
