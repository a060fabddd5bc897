"""Every function over ragged rows checks its offsets before it reads anything."""

import numpy as np
import pytest

from rranker import _C


def test_offsets_are_checked():
    with pytest.raises(ValueError, match="must start at 0 and end at the number of values"):
        _C.invert(np.array([0, 1]), np.array([0, 3]))
    with pytest.raises(ValueError, match="must never fall"):
        _C.invert(np.array([0, 1]), np.array([0, 2, 1, 2]))
