"""The library says nothing that it was not asked for, and leaves other libraries' switches as they were."""

from __future__ import annotations

import ast
import logging
import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub.utils as hub
import pytest
from transformers.utils import logging as transformers_logging

import rranker
from rranker.engine.loading.model import DEFAULT_MODEL
from rranker.engine.loading.quiet import logger, quiet

SAYS = """
import logging, sys
{before}
import rranker
with rranker.Ranker(kv_cache_tokens=512) as ranker:
    ranker.rank("bees", ["a hive", "a bank", "a jar"])
{after}
"""


def said(before: str = "", after: str = "", **environment: str) -> tuple[str, str]:
    """What a fresh process that loads and ranks prints: standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-c", SAYS.format(before=before, after=after)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout, done.stderr


def test_loading_and_ranking_print_nothing() -> None:
    assert said() == ("", "")
    assert said(HF_HUB_DISABLE_PROGRESS_BARS="1") == ("", "")


def test_bars_are_shown_to_whoever_asks() -> None:
    assert "Loading weights" in said("logging.getLogger('rranker').setLevel(logging.INFO)")[1]
    assert "Loading weights" in said(HF_HUB_DISABLE_PROGRESS_BARS="0")[1]


def test_other_loads_of_the_process_show_their_bars_afterwards() -> None:
    code = "import transformers; transformers.AutoModel.from_pretrained(sys.argv[1])"
    code = code.replace("sys.argv[1]", repr(str(DEFAULT_MODEL)))
    assert "Loading weights" in said(after=code)[1]


@pytest.mark.parametrize("of_transformers", [True, False])
@pytest.mark.parametrize("of_the_hub", [True, False])
@pytest.mark.parametrize("level", [logging.NOTSET, logging.INFO, logging.WARNING, logging.CRITICAL])
def test_switches_are_put_back_even_after_an_error(
    of_transformers: bool, of_the_hub: bool, level: int
) -> None:
    def state() -> tuple[object, ...]:
        levels = (logging.getLogger(name).level for name in ("transformers", "huggingface_hub", "rranker"))
        return transformers_logging.is_progress_bar_enabled(), hub.are_progress_bars_disabled(), *levels

    def bars(transformers: bool, hubs: bool) -> None:
        (
            transformers_logging.enable_progress_bar
            if transformers
            else transformers_logging.disable_progress_bar
        )()
        (hub.enable_progress_bars if hubs else hub.disable_progress_bars)()

    def load(inside: list[bool]) -> None:
        with quiet():
            inside += [transformers_logging.is_progress_bar_enabled(), hub.are_progress_bars_disabled()]
            inside += [others.isEnabledFor(logging.WARNING)]
            raise KeyError

    others = logging.getLogger("transformers")
    before = (
        transformers_logging.is_progress_bar_enabled(),
        not hub.are_progress_bars_disabled(),
        others.level,
    )
    try:
        bars(of_transformers, of_the_hub)
        others.setLevel(level)
        expected = state()
        inside = []
        with pytest.raises(KeyError):
            load(inside)
        assert inside == [False, True, level == logging.INFO]
        assert state() == expected
    finally:
        bars(*before[:2])
        others.setLevel(before[2])


def test_one_logger_and_no_prints() -> None:
    """Prints stand in command lines only; whatever logs, logs to `rranker` or below it."""
    root = Path(rranker.__file__).parent
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        if name.startswith(("kernels/", "training/")) or name in ("demo.py", "data/__main__.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert name.startswith("cli/") or called not in (
                    "print",
                    "sys.stderr.write",
                    "sys.stdout.write",
                ), f"{name}:{node.lineno}"
                if called.endswith("getLogger"):
                    assert (
                        name == "engine/loading/quiet.py"
                        or ast.literal_eval(node.args[0]).split(".")[0] == "rranker"
                    )
    assert logger.name == "rranker"
    assert not logger.handlers


def test_loads_that_overlap_leave_the_switches_as_they_were():
    """The first to begin is not the last to end."""
    before = logging.getLogger("transformers").level
    one, other = quiet(), quiet()
    one.__enter__()
    other.__enter__()
    assert logging.getLogger("transformers").level == logging.ERROR
    one.__exit__(None, None, None)
    assert logging.getLogger("transformers").level == logging.ERROR
    other.__exit__(None, None, None)
    assert logging.getLogger("transformers").level == before
