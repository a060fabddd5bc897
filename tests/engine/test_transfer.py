"""A step's numbers travel to the device in at most three copies, and back in one, whatever the model and the step."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import is_dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from rranker.engine.attention import attention_backend
from rranker.engine.engine import Engine
from rranker.engine.generation import Continuation, Stretch, TextRequest, Writing
from rranker.engine.readout import IdentifierReadout, LateInteraction, PointerReadout
from rranker.engine.requests import EngineRequest
from rranker.engine.runner import ModelRunner
from rranker.engine.transfer import Readback, Transfer
from rranker.kernels.attention import kernel
from rranker.kernels.attention.reference import attention_reference
from rranker.kernels.score import kernel as scoring
from rranker.kernels.score.reference import score_reference
from rranker.kernels.write import kernel as writing_keys
from rranker.kernels.write.reference import write_reference
from rranker.methods import Elimination, Greedy, Pointwise, QueryLikelihood
from rranker.reasoning import Sampling
from tests.support.architectures import tiny_model
from tests.support.encoders import tiny_encoder
from tests.support.engine_steps import problem
from tests.support.simulated_device import THERE, SimulatedDevice, There, inner, moved

DRAWN = Sampling(temperature=0.9, top_p=0.9)


def unwrapped(function):
    """A kernel's reference in its place, which gets what the device holds; what it returns is there."""

    def call(*args):
        def given(value):
            if is_dataclass(value):
                return replace(value, **{name: inner(x) for name, x in value.arrays().items()})
            return inner(value) if isinstance(value, torch.Tensor) else value

        result = function(*map(given, args))
        there = any(isinstance(x, There) for x in args)
        return type(result)(*map(There, result)) if result is not None and there else result

    return call


@pytest.fixture
def device(monkeypatch):
    """The simulated device, entered; `steps`: of each pass, the copies between its beginning and the next one's."""
    if torch.cuda.is_available():
        pytest.skip("a simulated device is for machines without a real one")
    monkeypatch.setattr(kernel, "attention", unwrapped(attention_reference))
    monkeypatch.setattr(scoring, "score", unwrapped(score_reference))
    monkeypatch.setattr(writing_keys, "write", unwrapped(write_reference))
    with SimulatedDevice() as entered, torch.inference_mode():
        entered.steps, begin = [], ModelRunner.hidden

        def hidden(runner, batch):
            if runner.device == THERE:
                entered.steps.append(Counter(entered.copies))
            return begin(runner, batch)

        monkeypatch.setattr(ModelRunner, "hidden", hidden)
        yield entered


def per_step(device):
    counts = [*device.steps, device.copies]
    return [later - earlier for earlier, later in pairwise(counts)]


def placed(lm):
    return moved(copy.deepcopy(lm))


def asking(mode, readout, sizes=(2, 5, 7, 4)):
    """A ranking each, and of a pointer the candidates' own scores."""
    pointer = isinstance(readout, PointerReadout)
    return [
        EngineRequest(
            replace(problem(n, n=n), identifiers=()) if pointer else problem(n, n=n),
            Greedy(Elimination(n), nested=mode == "causal"),
            pointwise=pointer and mode == "block",
        )
        for n in sizes
    ]


def alone(kind, n=5):
    targets = (7, 9) if kind.kind == "judge" else (7, 9, 11)
    return EngineRequest(replace(problem(n, n=n), identifiers=(), targets=targets), Greedy(kind(n)))


def writing(seed, sampling):
    return TextRequest(Continuation([5, 6, 7, seed]), Writing((Stretch(6),), frozenset(), sampling), (seed,))


def outcome(handle):
    if handle.error is not None:
        raise handle.error
    if isinstance(handle.request, TextRequest):
        return [list(text.tokens) for text in handle.request.author.texts]
    scores = handle.pointwise_scores
    return handle.question.method.outcome().order, None if scores is None else scores.tolist()


def run(lm, readout, backend, mode, requests):
    engine = Engine(
        lm,
        readout,
        attention_mode=mode,
        attention_backend=backend,
        kv_cache_tokens=2048,
        max_batch_tokens=200,
    )
    handles = [engine.submit(request) for request in requests]
    while not all(handle.done for handle in handles):
        engine.step()
    return [outcome(handle) for handle in handles]


@pytest.mark.parametrize("mode", ["block", "causal"])
@pytest.mark.parametrize("backend", ["triton", "reference"])
@pytest.mark.parametrize("name", ["qwen3", "windowed"])
def test_rankings_take_two_copies_a_step_and_one_back(device, name, backend, mode):
    lm = tiny_model("mistral", sliding_window=16) if name == "windowed" else tiny_model("qwen3")
    there = placed(lm)
    found = run(there, IdentifierReadout(there), attention_backend(backend), mode, asking(mode, None))
    steps = per_step(device)
    assert len(steps) > 2
    assert all(step["to host"] == 1 for step in steps)
    # The Triton backend learns once, in the first step that gets to it, what the layers look like.
    late = [step for step in steps if step["to device"] == 3]
    nothing_uncut = (name, mode) == ("windowed", "causal")
    assert len(late) == (backend == "triton" and not nothing_uncut)
    assert all(step["to device"] == 2 for step in steps if step not in late)
    assert found == run(lm, IdentifierReadout(lm), attention_backend(backend), mode, asking(mode, None))


@pytest.mark.parametrize("layers", [1, 5])
def test_no_layer_copies_anything(device, layers):
    there = placed(tiny_model("llama", num_hidden_layers=layers))
    run(there, IdentifierReadout(there), attention_backend("triton"), "block", asking("block", None))
    assert per_step(device)[-1] == {"to device": 2, "to host": 1}


@pytest.mark.parametrize(
    ("pooling", "mode"), [("mean", "block"), ("late", "block"), ("last", "block"), ("last", "causal")]
)
def test_pointer_heads_send_what_they_look_up_with_the_step(monkeypatch, device, pooling, mode):
    monkeypatch.setattr("rranker.engine.readout.late_interaction.FEW", 1)  # short lists have feedback, too
    lm = tiny_model("llama") if pooling == "last" else tiny_encoder("bert")
    torch.manual_seed(0)
    size = lm.config.hidden_size
    parts = [torch.randn(size), torch.randn(size, size), torch.tensor([3.0])][: 2 + (pooling != "last")]
    late = [torch.tensor([9.0]), torch.randn(size), torch.zeros(1), torch.tensor([0.5])]

    def head(put=lambda weights: weights):
        interaction = LateInteraction(*map(put, late)) if pooling == "late" else None
        return PointerReadout(*map(put, parts), late=interaction)

    expected = run(lm, head(), attention_backend("reference"), mode, asking(mode, head()))
    there, readout = placed(lm), head(There)
    assert run(there, readout, attention_backend("reference"), mode, asking(mode, readout)) == expected
    for step in per_step(device):
        assert step["to device"] <= 2
        assert step["to host"] == 1


def test_everybody_at_once_takes_three_copies_and_one_back(device):
    """Lists, candidates alone of both kinds, greedy and drawn texts, several queries of each, in shared steps."""

    def crowd():
        texts = [writing(seed, sampling) for seed in (1, 2) for sampling in (Sampling(), DRAWN)]
        singles = [alone(kind, n) for kind in (Pointwise, QueryLikelihood) for n in (3, 5)]
        return [*texts, *singles, *asking("causal", None)]

    lm = tiny_model("qwen3")
    there = placed(lm)
    found = run(there, IdentifierReadout(there), attention_backend("reference"), "causal", crowd())
    assert all(step["to device"] <= 3 and step["to host"] == 1 for step in per_step(device))
    assert found == run(lm, IdentifierReadout(lm), attention_backend("reference"), "causal", crowd())


def test_the_simulated_device_refuses_what_a_gpu_refuses_and_sees_what_comes_unsent(device):
    there = torch.ones(3, device=THERE)
    with pytest.raises(AssertionError, match="both sides"):
        there + torch.ones(3)
    with pytest.raises(AssertionError, match="nobody sent"):
        there + torch.tensor([1.0, 2.0, 3.0], device=THERE)
    before = Counter(device.copies)
    assert torch.arange(3).to(THERE).sum().item() == 3
    assert device.copies - before == {"to device": 1, "to host": 1}


def test_what_outgrows_the_buffer_goes_into_a_second_one(device):
    large, small = np.arange(400_000), np.array([[True], [False]])
    transfer, back = Transfer(THERE), Readback()
    sent = [
        transfer.add(array)
        for array in (small, large, np.zeros(0, np.int32), large, small.astype(np.float64))
    ]
    transfer.send()
    transfer.send()
    assert device.copies["to device"] == 2
    fetched = [back.add(tensor) for tensor in sent]
    back.fetch()
    assert device.copies["to host"] == 1
    assert [array().dtype for array in fetched] == [np.bool_, np.int64, np.int32, np.int64, np.float64]
    assert all(np.array_equal(fetched[place](), large) for place in (1, 3))
    assert fetched[0]().tolist() == [[True], [False]]
    assert fetched[4]().tolist() == [[1.0], [0.0]]


def test_on_a_cpu_nothing_is_copied():
    array = np.arange(5)
    sent = Transfer(torch.device("cpu")).add(array)
    array[2] = 40
    assert sent.tolist() == [0, 1, 40, 3, 4]
