"""Scores of a ranking that fall strictly, so that whoever sorts by them gets the ranking back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def strictly_falling(values: Sequence[float]) -> list[float]:
    """Values, best first, each lowered where it must be so that they fall strictly, as 32-bit floats too.

    Those that would tie, or tie once rounded to float32, are one step of float32 apart: whoever sorts by them, in
    single precision (as trec_eval does) or double, gets the order back. Where none is below 0, none becomes so: those
    that tie there are raised, but for the last.
    """
    falling, last = list[float](), np.float32(np.inf)
    for value in values:
        last = min(np.float32(value), np.nextafter(last, np.float32(-np.inf)))
        falling.append(float(last))
    if falling and last < 0 <= min(values):
        least = np.float32(0)
        for place in reversed(range(len(falling))):
            if falling[place] >= least:
                break
            falling[place] = float(least)
            least = np.nextafter(least, np.float32(np.inf))
    return falling
