"""A round with a thought: what is thought, and the verdict behind it, are those of whole prompts one after another."""

from __future__ import annotations

import pytest

from rranker.engine.engine import Engine
from rranker.engine.generation import Sampling, Stretch, Thought, Writing
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.methods import Elimination, Greedy, Listwise
from rranker.methods.outcome import probabilities
from tests.support.architectures import tiny_model
from tests.support.engine_steps import close, problem
from tests.support.generation_reference import thought_through

SLOTS = 900
END = frozenset([2])
OPENS = (40, 41, 42)
ARCHITECTURES = ["llama", "qwen2", "gemma3", "qwen3-moe"]


def thought_of(most, told, *, drafts=True, sampling=None, seed=0, ended=None):
    stretch = Stretch(most, ended, closed=OPENS, cut=(50, *OPENS))
    writing = Writing((stretch,), END, sampling or Sampling(), drafts)
    return Thought(writing, seed, lambda tokens: told.append(list(tokens)))


def request_of(mode, number, told, most=10, n=5, method=Elimination, reuse="exact", **settings):
    player = Greedy(method(n), nested=mode == "causal" and reuse == "exact")
    return EngineRequest(
        problem(number, n=n), player, reuse=reuse, thought=thought_of(most, told, **settings)
    )


def engine_of(lm, mode):
    return Engine(lm, IdentifierReadout(lm), attention_mode=mode, kv_cache_tokens=SLOTS)


def played(engine, requests):
    for handle in engine.run(requests):
        assert handle.status == "finished", handle.error
    assert engine.runner.kv_cache.allocator.free == SLOTS
    return [request.method.outcome() for request in requests]


def sevenths(tokens):
    """A sign that thoughts of the random models come to now and then."""
    return tokens[-1] % 7 == 0


@pytest.mark.parametrize("mode", ["causal", "block"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_round_equals_whole_prompts(name, mode):
    """Several queries together; the reference forwards each round's whole prompt for every token."""
    lm = tiny_model(name)
    engine, told = engine_of(lm, mode), [[], [], []]
    requests = [request_of(mode, seed, told[seed], ended=sevenths) for seed in range(3)]
    for request, thoughts, outcome in zip(requests, told, played(engine, requests), strict=True):
        assert len(thoughts) == len(outcome.decisions) == 4
        for thought, decision in zip(thoughts, outcome.decisions, strict=True):
            expected = thought_through(lm, request.segments, decision.asked, mode, request.thought)
            assert thought == expected[0]
            close(decision.probabilities, probabilities(expected[1].astype("float64")))


@pytest.mark.parametrize("mode", ["causal", "block"])
def test_drafts_change_nothing_and_candidates_are_encoded_once(mode):
    lm = tiny_model("qwen3")
    engine, plain, guessed = engine_of(lm, mode), [], []
    first, second = (
        request_of(mode, 3, told, most=30, drafts=drafts)
        for told, drafts in ((plain, False), (guessed, True))
    )
    (alone,), (handle, *_) = played(engine, [first]), list(engine.run([second]))
    assert plain == guessed
    assert alone == second.method.outcome() or alone.order == second.method.outcome().order
    candidates = sum(map(len, (second.segments.prefix, *second.segments.candidates)))
    if mode == "block":
        rounds = len(plain) * len((*second.segments.suffix, 50, *OPENS)) + sum(map(len, plain))
        rejected = handle.state.drafted[0] - handle.state.drafted[1]
        assert handle.tokens_encoded <= candidates + rounds + rejected


def test_kept_keys_think_as_exact_ones_until_somebody_leaves():
    lm, exact, kept = tiny_model("llama"), [], []
    engine = engine_of(lm, "causal")
    one, other = request_of("causal", 1, exact), request_of("causal", 1, kept, reuse="keep")
    first, second = played(engine, [one, other])
    assert exact[0] == kept[0]
    close(first.decisions[0].probabilities, second.decisions[0].probabilities)
    assert len(kept) == 4


def test_no_thought_at_all_asks_behind_a_closed_one():
    """With room for none, a round is one question: its suffix, then what closes the thought and opens the answer."""
    lm, told = tiny_model("qwen2"), []
    engine = engine_of(lm, "causal")
    request = request_of("causal", 2, told, most=0)
    (outcome,) = played(engine, [request])
    assert told == [[]] * 4
    for decision in outcome.decisions:
        _, logits = thought_through(lm, request.segments, decision.asked, "causal", request.thought)
        close(decision.probabilities, probabilities(logits.astype("float64")))


def test_one_shot_thinks_once():
    lm, told = tiny_model("llama"), []
    (outcome,) = played(engine_of(lm, "causal"), [request_of("causal", 4, told, method=Listwise)])
    assert len(told) == len(outcome.decisions) == 1
    assert sorted(outcome.order) == list(range(5))


def test_a_seed_draws_the_same_thoughts_alone_and_in_a_crowd():
    lm, hot = tiny_model("qwen2"), Sampling(temperature=1.5)
    engine = engine_of(lm, "causal")
    alone, crowd, other = [], [], []
    played(engine, [request_of("causal", 5, alone, sampling=hot, seed=7)])
    played(
        engine,
        [
            request_of("causal", 6, [], sampling=hot, seed=7),
            request_of("causal", 5, crowd, sampling=hot, seed=7),
            request_of("causal", 5, other, sampling=hot, seed=8),
        ],
    )
    assert alone == crowd != other
    assert alone[0] != alone[1]


def test_what_cannot_think_is_refused():
    lm = tiny_model("llama")
    engine = engine_of(lm, "causal")
    with pytest.raises(ValueError, match="opens the answer"):
        Thought(Writing((Stretch(5),), END))
    segments, thought = problem(0), thought_of(5, [])
    with pytest.raises(ValueError, match="one question about a list at a time"):
        engine.submit(EngineRequest(segments, Greedy(Elimination(6)), branches=2, thought=thought))
