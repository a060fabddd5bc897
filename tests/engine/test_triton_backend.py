"""The engine through the Triton backend (interpreted without a GPU) says what it says through the oracle."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from rranker.engine.attention import attention_backend, default_backend
from rranker.engine.attention.triton import TritonAttention
from rranker.engine.engine import Engine
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.engine.runner import ModelRunner
from rranker.engine.self_check import self_check
from rranker.kernels.score import kernel as scoring
from rranker.kernels.score.kernel import score
from rranker.methods import Elimination, Greedy
from tests.support.architectures import tiny_model
from tests.support.engine_steps import QUERY_STATES, close, dense_logits, one_step, opened, problem

pytestmark = pytest.mark.gpu

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def runner(lm, backend):
    return ModelRunner(lm, attention_backend(backend), slots=2048)


def outcomes(lm, backend, attention, order):
    """Four queries together, speculated; and the widest a round's verdict may move without changing a ranking."""
    engine = Engine(
        lm,
        IdentifierReadout(lm),
        attention_mode=attention,
        attention_backend=attention_backend(backend),
        kv_cache_tokens=2048,
        max_batch_tokens=256,
    )
    methods = [Greedy(Elimination(n), relayout=order, nested=attention == "causal") for n in (2, 5, 7, 4)]
    requests = [EngineRequest(problem(seed, n=n), methods[seed]) for seed, n in enumerate((2, 5, 7, 4))]
    assert [handle.error for handle in engine.run(requests)] == [None] * 4
    return [method.outcome() for method in methods]


@pytest.mark.parametrize(
    ("attention", "order"), [("block", "keep"), ("causal", "keep"), ("causal", "best_first")]
)
def test_rankings_equal_the_reference(attention, order):
    lm = tiny_model("qwen3").to(DEVICE)
    found = outcomes(lm, "triton", attention, order)
    expected = outcomes(lm, "reference", attention, order)
    for one, other in zip(found, expected, strict=True):
        assert one.order == other.order
        close(np.array(one.kept), np.array(other.kept))


@pytest.mark.parametrize("attention", QUERY_STATES)
def test_every_step_reads_all_queries_in_one_launch_scaled_and_capped(monkeypatch, attention):
    lm = tiny_model("granite").to(DEVICE)  # divides its logits by 3
    lm.config.final_logit_softcapping = 2.0
    expected = outcomes(lm, "reference", attention, "keep")
    launches, steps = [], []
    hidden = ModelRunner.hidden
    monkeypatch.setattr(ModelRunner, "hidden", lambda *args: steps.append(1) or hidden(*args))
    monkeypatch.setattr(scoring, "score", lambda *args: launches.append(args) or score(*args))
    found = outcomes(lm, "triton", attention, "keep")
    assert len(launches) == len(steps)
    assert len(launches[0][3]) - 1 == 4  # the first launch decides for all four queries
    for given in launches:  # else Triton would compile anew, not run what is compiled ahead of time
        assert all(given[place].data_ptr() % 16 == 0 for place in (0, 2, 3))
    for one, other in zip(found, expected, strict=True):
        assert one.order == other.order
        close(np.array(one.kept), np.array(other.kept))
    lm.config.final_logit_softcapping = None
    uncapped = outcomes(lm, "reference", attention, "keep")
    assert (
        max(
            abs(a - b)
            for one, other in zip(found, uncapped, strict=True)
            for a, b in zip(one.kept, other.kept, strict=True)
        )
        > 0.01
    )


@pytest.mark.parametrize("attention", QUERY_STATES)
@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3"])
def test_the_check_accepts_architectures(name, attention):
    lm = tiny_model(name).to(DEVICE)
    assert self_check(lm, runner(lm, "triton"), attention) < 1e-4


def test_any_subsets_at_once():
    lm = tiny_model("llama").to(DEVICE)
    run, segments = runner(lm, "triton"), problem(2)
    session = opened(run, lm, segments, "block")
    subsets = [(0, 1, 2, 3, 4, 5), (5,), (1, 4), (0, 2, 3)]
    for subset, found in zip(subsets, one_step(run, lm, session, subsets), strict=True):
        close(found, dense_logits(lm, segments, subset, "block"))


def test_a_prompt_longer_than_the_window_equals_the_reference():
    lm = tiny_model("mistral", sliding_window=8).to(DEVICE)
    found = []
    for backend in ("triton", "reference"):
        run = runner(lm, backend)
        found.append(one_step(run, lm, opened(run, lm, problem(0), "block"), [(0, 2, 3, 5)])[0])
    close(*found)


def test_it_is_the_default_on_cuda_and_rocm():
    # Both are "cuda" to torch; choosing a backend touches no device.
    assert isinstance(default_backend(torch.device("cuda")), TritonAttention)


def test_a_cpu_without_the_interpreter_is_refused(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    lm = tiny_model("llama")
    with pytest.raises(ValueError, match="not on cpu"):
        one_step(run := runner(lm, "triton"), lm, opened(run, lm, problem(0), "block"), [(0, 1)])


def test_without_triton_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(ImportError, match=r"rranker\[triton\]"):
        attention_backend("triton")


def test_without_triton_cuda_falls_back_and_says_so(monkeypatch):
    monkeypatch.setattr("rranker.engine.attention.find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"rranker\[triton\]"):
        default_backend(torch.device("cuda"))
