"""The prefix tree of causal prompts against all prompts written out; and the session that stores it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rranker.engine.attention import attention_backend
from rranker.engine.batch import BatchBuilder
from rranker.engine.engine import Engine
from rranker.engine.errors import CapacityError
from rranker.engine.prefix_tree import PrefixTree
from rranker.engine.readout import IdentifierReadout, PointerReadout
from rranker.engine.readout.gather import read
from rranker.engine.requests import EngineRequest
from rranker.engine.runner import ModelRunner
from rranker.engine.sessions import CausalQueryState, causal
from rranker.methods import Elimination, Greedy, Sampled
from tests.support.architectures import tiny_model
from tests.support.engine_steps import close, fresh_causal_logits, one_step, problem, subsets_of


@pytest.mark.parametrize("seed", range(20))
def test_a_tree_is_what_the_prompts_have_in_common(seed):
    rng = np.random.default_rng(seed)
    n, prefix = int(rng.integers(2, 7)), int(rng.integers(1, 9))
    lengths = rng.integers(1, 9, size=n).tolist()
    subsets = subsets_of(rng, n, 5)
    tree = PrefixTree(prefix, lengths)
    paths = [tree.path(subset) for subset in subsets]
    beginnings = {subset[:depth] for subset in subsets for depth in range(len(subset) + 1)}
    assert len(tree) == len(beginnings)  # each beginning of a prompt is one node
    assert tree.tokens == prefix + sum(lengths[beginning[-1]] for beginning in beginnings if beginning)
    for subset, path in zip(subsets, paths, strict=True):
        at = 0
        for node, place, length in zip(
            path, (-1, *subset), (prefix, *(lengths[i] for i in subset)), strict=True
        ):
            assert (tree.places[node], tree.starts[node], tree.ends[node]) == (place, at, at + length)
            at += length
        assert tree.above(path[-1]) == path[:-1]
        assert tree.path(subset) == path  # nothing is added twice
    chosen = sorted(rng.choice(len(tree), size=int(rng.integers(0, len(tree) + 1)), replace=False).tolist())
    runs = tree.runs(chosen)
    assert [node for run in runs for node in run] == chosen
    for run in runs:
        assert [tree.parents[node] for node in run[1:]] == run[:-1]
    others = subsets_of(rng, n, 4)
    other = PrefixTree(prefix, lengths)
    where = {
        subset[:depth]: path[depth]
        for subset in others
        for path in [other.path(subset)]
        for depth in range(len(path))
    }
    same = tree.found_in(other)
    for subset, path in zip(subsets, paths, strict=True):
        assert [same[node] for node in path] == [where.get(subset[:depth], -1) for depth in range(len(path))]


def pointer(size=48):
    rng = np.random.default_rng(3)
    weights = (rng.normal(size=shape, scale=0.2) for shape in (size, (size, size)))
    return PointerReadout(*(torch.tensor(w, dtype=torch.float32) for w in weights))


def fresh_pointer_logits(lm, readout, segments, subset):
    """A pointer's logits by one forward of the whole prompt, causal as transformers has it."""
    before = lm.config._attn_implementation
    lm.set_attn_implementation("eager")
    ids = [*segments.prefix, *(t for place in subset for t in segments.candidates[place]), *segments.suffix]
    with torch.no_grad():
        hidden = lm.base_model(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]
    lm.set_attn_implementation(before)
    ends = len(segments.prefix) + np.cumsum([len(segments.candidates[place]) for place in subset]) - 1
    return readout.logits(hidden[-1:], hidden[ends], "exclude")[0].numpy()


@pytest.mark.parametrize("backend", ["cpu", "reference", "triton"])
@pytest.mark.parametrize("kind", ["identifier", "pointer"])
def test_independent_questions_of_a_step_equal_fresh_forwards(backend, kind, monkeypatch):
    """Random questions step after step, some steps failing after they wrote: nothing stale is ever read."""
    placed, scattered = causal._placed, []

    def counted(*arguments):
        slots = placed(*arguments)
        scattered.append(slots is None)
        return slots

    monkeypatch.setattr(causal, "_placed", counted)
    lm = tiny_model("qwen2")
    readout = IdentifierReadout(lm) if kind == "identifier" else pointer()
    runner = ModelRunner(lm, attention_backend(backend), 400)
    kept = 0
    for seed in range(1 if backend == "triton" else 8):
        rng = np.random.default_rng(seed)
        segments = problem(seed, n=5)
        session = CausalQueryState(segments, "exclude", runner.kv_cache, readout, branches=3)
        assert session.open()
        assert session.slots == len(segments.prefix) + 3 * sum(map(len, segments.candidates))
        for _ in range(4 if backend == "triton" else 12):
            subsets = subsets_of(rng, 5, 3)[:3]
            while True:
                builder = BatchBuilder()
                session.plan(builder, 0, subsets)
                plan = builder.build()
                slots = plan.write_slots[plan.write_slots >= 0]
                assert len(set(slots.tolist())) == len(slots)
                assert slots.size == 0 or 0 <= slots.min() <= slots.max() < session.slots
                stored = np.concatenate(
                    [
                        np.arange(s, s + n)
                        for s, n in zip(plan.segment_starts, plan.segment_lengths, strict=True)
                    ]
                )
                assert len(set(stored.tolist())) == len(stored)  # no two nodes share a slot
                kept += len(stored) - len(slots)
                hidden = runner.hidden(plan)
                if rng.random() < 0.7:
                    break  # else it counts as failed, after all was written
            rows = read(readout, hidden, [session.readout_request(hidden)], kernels=False)[0]
            for subset, row in zip(subsets, rows, strict=True):
                if kind == "identifier":
                    close(row, fresh_causal_logits(lm, segments, subset))
                else:
                    close(row, fresh_pointer_logits(lm, readout, segments, subset))
        session.close()
    assert runner.kv_cache.allocator.free == 400
    assert kept > 0  # something was reused
    assert (
        any(scattered) or backend == "triton"
    )  # and something had to be encoded anew for want of a free run


def test_a_lone_prompt_lies_end_to_end_and_encodes_what_changed():
    lm = tiny_model("qwen2")
    runner = ModelRunner(lm, attention_backend("cpu"), 400)
    segments = problem(0, n=8)
    session = CausalQueryState(segments, "exclude", runner.kv_cache, IdentifierReadout(lm))
    assert session.open()
    lengths, rng = [len(c) for c in segments.candidates], np.random.default_rng(0)
    subset, same, more = tuple(range(8)), 0, len(segments.prefix)
    while subset:
        builder = BatchBuilder()
        session.plan(
            builder, 0, [subset, subset[:-1]] if len(subset) > 1 else [subset]
        )  # the second is the first's beginning
        plan = builder.build()
        written = plan.write_slots >= 0
        np.testing.assert_array_equal(plan.write_slots[written], plan.positions[written])
        assert written.sum() == sum(lengths[place] for place in subset[same:]) + more
        session.readout_request(runner.hidden(plan))
        same, more = int(rng.integers(len(subset))), 0
        subset = (*subset[:same], *subset[same + 1 :])
    session.close()


def test_more_questions_than_branches_are_refused_and_harm_nothing():
    lm = tiny_model("qwen2")
    runner = ModelRunner(lm, attention_backend("cpu"), 400)
    segments = problem(1, n=5)
    session = CausalQueryState(segments, "exclude", runner.kv_cache, IdentifierReadout(lm), branches=2)
    assert session.open()
    one_step(runner, lm, session, [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0)])
    with pytest.raises(ValueError, match="as many `branches` as it asks independent questions"):
        session.plan(BatchBuilder(), 0, [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 0, 1, 3, 4)])
    builder = BatchBuilder()
    session.plan(builder, 0, [(0, 1, 2, 3), (4, 3, 2)])
    assert builder.rows == 2 * len(segments.suffix)  # all is still there
    session.close()


def rollouts(lm, segments, seeds, **settings):
    made = Engine(lm, IdentifierReadout(lm), kv_cache_tokens=2000, **settings)
    n = len(segments.candidates)
    rngs = [np.random.default_rng(seed) for seed in seeds]
    method = Sampled(Elimination, n, rngs, temperature=1.0, settled=lambda left: len(left) < 2)
    (handle,) = made.run([EngineRequest(segments, method, speculate=False, branches=len(seeds))])
    assert handle.error is None
    assert made.runner.kv_cache.allocator.free == 2000
    return method.rollouts, handle


def test_rollouts_that_share_a_causal_request_draw_what_each_draws_alone():
    lm, segments = tiny_model("qwen3"), problem(2, n=9)
    together, handle = rollouts(lm, segments, range(6), attention_mode="causal")
    alone = [rollouts(lm, segments, [seed], attention_mode="causal") for seed in range(6)]
    assert [r.decisions for r in together] == [found[0].decisions for (found, _) in alone]
    for one, (other, _) in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.logps, other[0].logps, atol=1e-5)
    saved = sum(h.tokens_encoded for _, h in alone) - handle.tokens_encoded
    prompt = len(segments.prefix) + sum(map(len, segments.candidates)) + len(segments.suffix)
    assert saved >= 5 * prompt  # at least the prefix and the first question, of all but one


def test_a_request_reserves_its_candidates_once_a_branch_in_causal_mode_only():
    lm, segments = tiny_model("qwen3"), problem(3)
    each = sum(map(len, segments.candidates))
    wide = EngineRequest(segments, Greedy(Elimination(6), nested=True), branches=4)
    tight = len(segments.prefix) + 4 * each - 1
    small = Engine(lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=tight)
    with pytest.raises(CapacityError, match=f"needs {tight + 1} KV tokens and the engine has {tight}"):
        small.submit(wide)
    blocks = Engine(lm, IdentifierReadout(lm), attention_mode="block", kv_cache_tokens=tight - 3 * each + 1)
    (handle,) = blocks.run([wide])
    assert handle.status == "finished"
