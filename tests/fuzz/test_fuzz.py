"""Half a minute of random input in every run of the tests (`RRANKER_FUZZ_SECONDS`, split evenly over the targets).

Seeds count up from `RRANKER_FUZZ_SEED`, so runs repeat; the target that crashes the process is found again by
`python -m tests.fuzz`, which prints each seed before it runs.
"""

import os

import pytest
from hypothesis import strategies as st

from tests.fuzz.runner import Target, fuzz
from tests.fuzz.targets import TARGETS

SECONDS = float(os.environ.get("RRANKER_FUZZ_SECONDS", "30"))
SEED = int(os.environ.get("RRANKER_FUZZ_SEED", "0"))


@pytest.mark.parametrize("name", TARGETS)
def test_only_documented_exceptions(name):
    assert fuzz(TARGETS[name], SECONDS / len(TARGETS), SEED) > 0


def test_a_failure_is_shrunk_and_says_how_to_repeat_it():
    def check(number: int) -> None:
        if number >= 1000:
            raise KeyError(number)

    target = Target("numbers", st.integers(), check)
    with pytest.raises(KeyError) as raised:
        fuzz(target, 60, 7)
    assert raised.value.args == (1000,)
    said = next(note for note in raised.value.__notes__ if note.startswith("Repeat"))
    seed = int(said.split("--seed ")[1].split()[0])
    assert said == f"Repeat it with: python -m tests.fuzz numbers --seed {seed} --seconds 0"
    with pytest.raises(KeyError):
        fuzz(target, 0, seed)


def test_the_same_seed_tries_the_same_inputs():
    def tried(seed: int) -> list[int]:
        seen = list[int]()
        fuzz(Target("numbers", st.integers(), seen.append, chunk=20), 0, seed)
        return seen

    assert tried(3) == tried(3) != tried(4)
