"""Without a GPU, Triton's kernels run as Python functions. Triton reads this once, when it is first imported."""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Before NumPy is imported. The interpreter's matrices are small: threads only get in each other's way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: each core has a process of its own
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# A plugin of its own (`make asan`): importing it is what it does.
collect_ignore = ["tests/support/asan_plugin.py"]
# Not for their docstrings: importing one takes the library that it adapts to.
collect_ignore_glob = ["rranker/integrations/*"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `data` skip, with the reason, where there is no data folder."""
    from rranker.data import data_folder

    try:
        data_folder()
    except FileNotFoundError as error:
        for item in items:
            if item.get_closest_marker("data"):
                item.add_marker(pytest.mark.skip(reason=str(error)))


def pytest_collection() -> None:
    """Nearly all that imports make stays: there is no garbage to look for."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: no search for garbage walks through it again."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """As libraries expect it that count what is left over at the end."""
    gc.unfreeze()


@pytest.fixture(autouse=True, scope="session")
def quick_interpreter() -> Iterator[None]:
    """Triton's interpreter, which looks up names and describes types once; on a GPU, nothing."""
    from tests.support.interpreter import patch_scopes, patch_types

    with pytest.MonkeyPatch.context() as monkeypatch:
        patch_scopes(monkeypatch)
        patch_types(monkeypatch)
        yield


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint folder of SmolLM2-135M-Instruct, float32, converted once. For tests marked `pretrained`."""
    from filelock import FileLock

    from bench.pretrained_models import smollm2_folder

    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # whichever process comes first converts it for all
    try:
        with FileLock(base / "pretrained.lock"):
            return smollm2_folder(base / "pretrained")
    except ModuleNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The checkpoint folder of all-MiniLM-L6-v2. For tests marked `pretrained`."""
    from bench.pretrained_models import minilm_folder

    try:
        return minilm_folder()
    except ModuleNotFoundError as error:
        pytest.skip(str(error))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for all skips: how many for which reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        counts = "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common())
        terminalreporter.write_line(f"Skipped: {counts}")
