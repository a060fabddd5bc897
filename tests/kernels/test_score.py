"""The scoring kernel against its float64 reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rranker.kernels.score.kernel import score
from rranker.kernels.score.reference import score_reference
from tests.support.kernel_problems import DEVICE, TOLERANCE, relative_error

pytestmark = pytest.mark.gpu


def decisions(counts, width, vocabulary=97, seed=0):
    """hidden, weight (float64, exact in fp16 and bf16), identifiers and offsets of decisions of these sizes."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    identifiers = np.concatenate([rng.permutation(vocabulary)[:count] for count in counts]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    hidden = (torch.randn(len(counts), width) / 4).bfloat16().half().double()
    weight = torch.randn(vocabulary, width).bfloat16().half().double()
    return [x.to(DEVICE) for x in (hidden, weight, torch.from_numpy(identifiers), torch.from_numpy(offsets))]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("width", [12, 80, 300])
@pytest.mark.parametrize(("scale", "cap"), [(1.0, None), (0.3, 2.0)])
def test_ragged_decisions_equal_the_reference(dtype, width, scale, cap):
    counts = [1, 20, 3, 64, 2, 17]
    hidden, weight, identifiers, offsets = decisions(counts, width)
    found = score(hidden.to(dtype), weight.to(dtype), identifiers, offsets, max(counts), scale, cap)
    expected = score_reference(hidden, weight, identifiers, offsets, max(counts), scale, cap)
    for name in ("logits", "logprobs", "entropy"):  # fp32 sums of exact products, in all dtypes
        assert relative_error(getattr(found, name), getattr(expected, name)) < 2e-6, name
    assert found.best.tolist() == expected.best.tolist()


def test_one_alive_candidate_is_certain():
    hidden, weight, identifiers, offsets = decisions([1], 64)
    found = score(hidden.float(), weight.float(), identifiers, offsets, 1)
    assert found.logprobs.tolist() == [0.0]
    assert found.entropy.tolist() == [0.0]
    assert found.best.tolist() == [0]


def test_ties_go_to_the_first():
    hidden, weight, identifiers, offsets = decisions([5], 64)
    identifiers[3] = identifiers[1]
    weight[identifiers[1].long()] = 10 * hidden[0]
    assert score(hidden.float(), weight.float(), identifiers, offsets, 5).best.tolist() == [1]


def test_more_identifiers_than_a_program_holds_are_refused():
    hidden, weight, identifiers, offsets = decisions([3], 64)
    with pytest.raises(ValueError, match="512"):
        score(hidden, weight, identifiers, offsets, 513)
