"""The kernels of small operators against their references, in float64 and operator by operator, on awkward sizes."""

from __future__ import annotations

import pytest
import torch

from rranker.kernels.gate.kernel import gate
from rranker.kernels.gate.reference import ACTIVATIONS, gate_reference
from rranker.kernels.launch import WIDEST_NORM
from rranker.kernels.norm.kernel import add_norm, norm
from rranker.kernels.norm.reference import NormKind, add_norm_reference, norm_reference
from rranker.kernels.rotary.kernel import rotate
from rranker.kernels.rotary.reference import rotate_reference
from rranker.kernels.write.kernel import write
from rranker.kernels.write.reference import write_reference
from tests.support.kernel_problems import DEVICE, relative_error

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.usefixtures("exact_casts"),
    pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning"),  # of the interpreter
]

KINDS = {"llama": NormKind(False, True), "gemma": NormKind(True, False), "olmo": NormKind(False, False)}
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# Against float64: what the roundings of the result, and of the steps before it, leave.
EXACT = {torch.float32: 3e-7, torch.float16: 8e-4, torch.bfloat16: 6e-3}
# Against PyTorch's operators in the same dtype, which round where the kernels do: a few last bits.
SAME = {torch.float32: 3e-7, torch.float16: 1e-4, torch.bfloat16: 8e-4}


def normal(*shape, dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(dtype).to(DEVICE)


def agrees(found, alike, exact, dtype):
    """Right by float64, and rounded as PyTorch's operators round it."""
    assert found.dtype == alike.dtype == dtype
    assert relative_error(found, exact) < EXACT[dtype]
    assert relative_error(found, alike) < SAME[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "width"), [(1, 1), (3, 12), (130, 16), (7, 300), (2, 2049)])
def test_norms_equal_the_reference(rows, width, kind, dtype):
    x, residual = (normal(rows, width, dtype=dtype, seed=seed) for seed in (1, 2))
    weight = normal(width, dtype=dtype, seed=3)
    rest = 1e-5, KINDS[kind]
    wide = [t.double() for t in (x, residual, weight)]
    agrees(
        norm(x, weight, *rest),
        norm_reference(x, weight, *rest),
        norm_reference(wide[0], wide[2], *rest),
        dtype,
    )
    found, total = add_norm(x, residual, weight, *rest)
    alike, kept = add_norm_reference(x, residual, weight, *rest)
    assert torch.equal(total, kept)
    agrees(found, alike, norm_reference(total.double(), wide[2], *rest), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_has_the_same_bits_in_any_company(dtype):
    x, weight = normal(70, 48, dtype=dtype), normal(48, dtype=dtype, seed=1)
    together = norm(x, weight, 1e-6, KINDS["llama"])
    for row in (0, 33, 69):
        assert torch.equal(norm(x[row : row + 1], weight, 1e-6, KINDS["llama"])[0], together[row])


def test_norms_take_heads_inside_of_rows():
    rows = normal(1, 5, 200, dtype=torch.float32)
    heads = rows[..., :96].view(1, 5, 8, 12)  # every row is followed by columns that are none of theirs
    weight = normal(12, dtype=torch.float32, seed=1)
    found = norm(heads, weight, 1e-6, KINDS["llama"])
    assert relative_error(found, norm_reference(heads, weight, 1e-6, KINDS["llama"])) < SAME[torch.float32]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("rows", "width"), [(1, 1), (5, 12), (3, 1025)])
def test_gates_equal_the_reference(rows, width, activation, dtype):
    both = 4 * normal(rows, 2 * width + 3, dtype=dtype)
    left, right = both[:, :width], both[:, width + 3 :]  # pieces of wider rows
    exact = gate_reference(left.double(), right.double(), activation)
    agrees(gate(left, right, activation), gate_reference(left, right, activation), exact, dtype)


def test_gates_saturate_without_nan():
    x = torch.tensor([[-200.0, -90.0, 0.0, 90.0, 200.0]], device=DEVICE)
    for activation in ACTIVATIONS:
        assert torch.equal(
            gate(x, torch.ones_like(x), activation), gate_reference(x, torch.ones_like(x), activation)
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 12, 80, 128])
@pytest.mark.parametrize(("heads", "kv_heads", "rows"), [(1, 1, 1), (5, 2, 7), (40, 8, 3)])
def test_rotations_equal_the_reference(heads, kv_heads, rows, size, dtype):
    query = normal(1, rows, heads, size, dtype=dtype, seed=1).transpose(1, 2)
    key = normal(1, rows, kv_heads, size, dtype=dtype, seed=2).transpose(1, 2)
    cos, sin = (normal(1, rows, size, dtype=dtype, seed=seed) for seed in (3, 4))
    found = rotate(query, key, cos, sin)
    alike = rotate_reference(query, key, cos, sin)
    exact = rotate_reference(*(t.double() for t in (query, key, cos, sin)))
    for one, other, right, given in zip(found, alike, exact, (query, key), strict=True):
        scale = float(given.double().square().mean().sqrt())  # a sum of two may be smaller than both
        assert float((one.double() - right).square().mean().sqrt()) < 2 * EXACT[dtype] * scale
        assert float((one - other).double().square().mean().sqrt()) < SAME[dtype] * scale
        assert rows == 1 or one.stride() == given.stride()  # the heads of a row stay adjacent


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("heads", "size", "value_size"), [(1, 12, 12), (5, 80, 64), (40, 128, 128)])
def test_writes_reach_their_slots_and_no_other(heads, size, value_size, dtype):
    key = normal(1, 9, heads, size, dtype=dtype, seed=1).transpose(1, 2)[0]
    value = normal(1, 9, heads, value_size, dtype=dtype, seed=2).transpose(1, 2)[0]
    rows, slots = (torch.tensor(some, device=DEVICE) for some in ([0, 3, 4, 8], [11, 2, 3, 0]))
    empty = [
        torch.full((heads, 13, width), torch.nan, dtype=dtype, device=DEVICE) for width in (size, value_size)
    ]
    found, expected = [x.clone() for x in empty], [x.clone() for x in empty]
    write(key, value, *found, rows, slots)
    write_reference(key, value, *expected, rows, slots)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.isnan(), other.isnan())
        assert torch.equal(one.nan_to_num(), other.nan_to_num())


def test_what_no_program_takes_is_refused():
    x = torch.zeros(1, WIDEST_NORM + 1, device=DEVICE)
    with pytest.raises(ValueError, match="16384 columns, not 16385"):
        norm(x, x[0], 1e-6, KINDS["llama"])
    apart = torch.zeros(4, 6, device=DEVICE).t()
    with pytest.raises(ValueError, match=r"columns of gate .*\.contiguous"):
        gate(apart, apart, "silu")
    heads = torch.zeros(1, 2, 4, 6, device=DEVICE).transpose(2, 3)
    with pytest.raises(ValueError, match="columns of query"):
        rotate(heads, heads, heads[:, 0], heads[:, 0])
