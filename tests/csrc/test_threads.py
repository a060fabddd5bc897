"""Arrays that another thread writes to while the extension works without the GIL: wrong figures, never wrong memory."""

import subprocess
import sys

import pytest

# Each snippet sets `arrays` (what the other thread spoils) and `call`. Run as a process of its own: the old fault was a
# crash.
FRAME = """
import threading, time
import numpy as np
from rranker import _C

rows, width = 300, 100
n = rows * width
offsets = np.arange(rows + 1) * width
ids = np.tile(np.arange(width), rows)
each = np.arange(rows)
{snippet}
whole = [a.copy() for a in arrays]
done = threading.Event()

def spoil():
    rng = np.random.default_rng(0)
    while not done.is_set():
        for array in arrays:
            bad = rng.choice([-(2**40), 2**40, -1]) if array.dtype.kind == "i" else np.nan
            array[rng.integers(1, array.size, 50)] = bad
        for array, before in zip(arrays, whole):
            array[:] = before

thread = threading.Thread(target=spoil)
thread.start()
calls, until = 0, time.monotonic() + {seconds}
while time.monotonic() < until:
    try:
        call()
    except ValueError as error:  # the check met a spoilt value
        assert "vector" not in str(error), error
    calls += 1
done.set()
thread.join()
print(calls)
"""
SNIPPETS = {
    "integer ids": """
scores, levels = np.random.default_rng(1).random(n), np.ones(n, np.int32)
arrays = [offsets, ids, scores, each]
call = lambda: _C.rank_int_ids(offsets, ids, scores, offsets, ids, levels, each, each, False, 0, False)
""",
    "text ids": """
buffer, starts, lengths = b"x" * 200, ids.copy(), np.tile(np.arange(width, dtype=np.int32), rows)
scores, levels = np.ones(n), np.ones(n, np.int32)
arrays = [offsets, starts, scores, each]
call = lambda: _C.rank_text_ids(offsets, buffer, starts, lengths, scores, offsets, buffer, starts, lengths, levels,
                                each, each, False, 0, False)
""",
    "permutations": """
other = ids.copy()
arrays = [offsets, ids, other]
call = lambda: (_C.kendall_tau(ids, other, offsets), _C.invert(ids, offsets), _C.compose(ids, other, offsets))
""",
    "rewards": """
relevance = np.random.default_rng(1).random(n)
arrays = [offsets, ids, relevance]
call = lambda: (_C.graded_rewards(relevance, offsets, ids, offsets, 0, False, -0.5),
                _C.listing_rewards(relevance, offsets, ids, offsets, 0, False, 0.5),
                _C.step_rewards(relevance, offsets, ids, offsets, 1.0, 0.0, -0.5, 1.0))
""",
    "advantages": """
values, groups = np.ones(n), np.arange(rows + 1)
arrays = [offsets, groups]
call = lambda: (_C.group_advantages(values, offsets, groups, True, True, 1e-4), _C.returns(values, offsets, 0.5))
""",
    "measures": """
levels, gains = np.ones(n, np.int32), np.array([0.0, 3.0, 1.0])
arrays = [offsets, gains]
call = lambda: _C.ndcg(offsets, levels, offsets, levels, 0, gains, False)
""",
    "hidden keys": """
chunks, lengths = each.copy(), np.full(width, 3)
arrays = [offsets, ids, lengths, chunks]
call = lambda: _C.hidden_keys(chunks, np.arange(width), np.arange(rows + 1), ids, offsets, lengths)
""",
}


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_write_from_another_thread_breaks_no_memory(name):
    code = FRAME.format(snippet=SNIPPETS[name], seconds=0.7)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    assert int(done.stdout) > 5
