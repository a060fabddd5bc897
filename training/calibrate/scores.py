"""What a model says of each labelled candidate alone: what calibration is fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rranker.calibration import Calibration, Source
from rranker.data import RankingExample
from rranker.engine.engine import Engine
from rranker.methods import method_class
from rranker.prompts import TEMPLATES
from rranker.request import make_request
from rranker.scorers.engine_logits import EngineScorer
from rranker.training.calibrate.fit import Floats


def score_cases(
    engine: Engine, cases: Sequence[RankingExample], source: Source, content_free: bool
) -> tuple[Floats, Floats]:
    """Scores and labels of all candidates of all cases, [N] each.

    Raises ValueError, naming the case, when one cannot be ranked.
    """
    unit = Calibration(1.0, 0.0, source, content_free)
    scorer = EngineScorer(engine, calibration=dict.fromkeys(TEMPLATES, unit))
    # One question a list: of a pointer nothing but states is read, and the others are what they ask.
    method = method_class("dranker" if source == "pointer" else source)
    jobs, labels_of = [], dict[int, list[float]]()
    for case in cases:
        request = make_request(
            case.query, case.candidates, template=case.task, instruction=case.instruction, relevance=True
        )
        jobs.append(scorer.prepare(request, method))
        labels_of[id(jobs[-1])] = case.relevance
    names = {id(job): case.id for job, case in zip(jobs, cases, strict=True)}
    found = dict[int, tuple[list[float], list[float]]]()
    for job in scorer.play(jobs):
        if job.error is not None:
            raise ValueError(f"case {names[id(job)]!r} could not be ranked: {job.error}") from job.error
        pairs = [
            (score, labels_of[id(job)][index])
            for score, group in zip(job.pointwise_scores, job.groups, strict=True)
            for index in group
        ]
        found[id(job)] = [score for score, _ in pairs], [label for _, label in pairs]
    ordered = [found[id(job)] for job in jobs]
    scores, labels = (np.concatenate(parts) for parts in zip(*ordered, strict=True))
    return scores, labels
