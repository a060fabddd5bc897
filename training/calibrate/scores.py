"""What a model says of each labelled candidate alone: what calibration is fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rranker.calibration import Calibration
from rranker.data import RankingExample
from rranker.engine.engine import Engine
from rranker.methods import method_class
from rranker.prompts import TEMPLATES
from rranker.request import make_request
from rranker.scorers import Job
from rranker.scorers.engine_logits import EngineScorer
from rranker.training.calibrate.fit import Floats


def score_cases(engine: Engine, cases: Sequence[RankingExample], kind: Calibration) -> list[Floats]:
    """Each case's scores of its candidates, in their order, [candidates], as calibrations of this kind take them.

    Raises ValueError, naming the case, when one cannot be ranked.
    """
    scorer = EngineScorer(engine, calibration=dict.fromkeys(TEMPLATES, kind))
    # One question a list: of a pointer nothing but states is read, and the others are what they ask.
    method = method_class("dranker" if kind.source == "pointer" else kind.source)
    places, scores = dict[int, int](), [np.zeros(len(case.candidates)) for case in cases]
    jobs = list[Job]()
    for place, case in enumerate(cases):
        request = make_request(
            case.query, case.candidates, template=case.task, instruction=case.instruction, relevance=True
        )
        jobs.append(scorer.prepare(request, method))
        places[id(jobs[-1])] = place
    for job in scorer.play(jobs):
        if job is None or not job.done:
            continue
        place = places[id(job)]
        if job.error is not None:
            raise ValueError(f"case {cases[place].id!r} could not be ranked: {job.error}") from job.error
        for score, group in zip(job.pointwise_scores, job.groups, strict=True):
            scores[place][list(group)] = score
    return scores
