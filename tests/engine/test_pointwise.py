"""Questions about one candidate alone: what plain forwards of prefix, candidate and question say."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rranker.engine.attention.cpu import _shared_parts
from rranker.engine.engine import Engine
from rranker.engine.readout import IdentifierReadout, PointerReadout
from rranker.engine.requests import EngineRequest
from rranker.engine.transfer import Transfer
from rranker.methods import Greedy, Listwise, Pointwise, QueryLikelihood
from tests.support.architectures import CONFIGS, VOCAB, tiny_model
from tests.support.encoders import tiny_encoder
from tests.support.engine_steps import close, problem

METHODS = [Pointwise, QueryLikelihood]


class Recorder(Greedy):
    """Greedy, and keeps the logits that it was given."""

    def observe(self, subsets, logits):
        self.logits = logits[0]
        return super().observe(subsets, logits)


def asked(seed, kind, n=6, targets=4):
    segments = replace(problem(seed, n), identifiers=())
    rng = np.random.default_rng(seed)
    length = 2 if kind == "judge" else targets
    return replace(segments, targets=tuple(rng.choice(VOCAB, size=length, replace=False).tolist()))


def expected(lm, segments, kind):
    """By transformers alone: a whole forward a candidate, the full vocabulary's log-probabilities."""
    before = lm.config._attn_implementation
    lm.set_attn_implementation("eager")
    scores = []
    for candidate in segments.candidates:
        ids = [*segments.prefix, *candidate, *segments.suffix]
        if kind == "judge":
            with torch.no_grad():
                logits = lm(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
            yes, no = segments.targets
            scores.append(float(logits[yes] - logits[no]))
        else:
            with torch.no_grad():
                logits = lm(input_ids=torch.tensor([[*ids, *segments.targets]]), use_cache=False).logits[0]
            logps = logits.log_softmax(-1)[len(ids) - 1 : -1]
            scores.append(float(logps[range(len(segments.targets)), list(segments.targets)].mean()))
    lm.set_attn_implementation(before)
    return np.array(scores)


def played(engine, problems, method):
    players = [Recorder(method(len(segments.candidates))) for segments in problems]
    requests = [EngineRequest(s, player) for s, player in zip(problems, players, strict=True)]
    handles = list(engine.run(requests))
    assert [handle.error for handle in handles] == [None] * len(problems)
    return [player.logits for player in players], handles


@pytest.mark.parametrize("mode", ["causal", "block"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CONFIGS)
def test_each_candidate_is_read_as_a_plain_forward_of_it_reads(name, method, mode):
    lm = tiny_model(name)
    engine = Engine(lm, IdentifierReadout(lm), attention_mode=mode, kv_cache_tokens=2048)
    problems = [
        asked(seed, method.kind, n, targets) for seed, n, targets in ((0, 6, 4), (1, 3, 1), (2, 9, 7))
    ]
    found, handles = played(engine, problems, method)
    for segments, logits in zip(problems, found, strict=True):
        close(logits, expected(lm, segments, method.kind))
    assert {handle.passes for handle in handles} == {1}


@pytest.mark.parametrize("method", METHODS)
def test_all_is_encoded_once(method):
    lm = tiny_model("llama")
    engine = Engine(lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=2048)
    segments = asked(3, method.kind)
    _, (handle,) = played(engine, [segments], method)
    question = len(segments.suffix) + (len(segments.targets) - 1 if method is QueryLikelihood else 0)
    once = len(segments.prefix) + sum(map(len, segments.candidates))
    assert handle.tokens_encoded == once + question * len(segments.candidates)


def test_a_capped_head_is_read_as_the_model_computes_it():
    lm = tiny_model("gemma3", final_logit_softcapping=2.0)
    engine = Engine(lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=2048)
    for method in METHODS:
        segments = asked(4, method.kind, targets=30)  # more rows than are read at a time
        (logits,), _ = played(engine, [segments], method)
        close(logits, expected(lm, segments, method.kind))


def test_a_batch_of_kinds_equals_each_alone():
    lm = tiny_model("qwen3")
    engine = Engine(lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=2048)
    mixed = [(seed, METHODS[seed % 2]) for seed in range(5)]
    players = [Recorder(method(6)) for _, method in mixed]
    requests = [
        EngineRequest(asked(seed, method.kind), player)
        for (seed, method), player in zip(mixed, players, strict=True)
    ]
    list(engine.run(requests))
    for (seed, method), player in zip(mixed, players, strict=True):
        (alone,), _ = played(engine, [asked(seed, method.kind)], method)
        close(player.logits, alone)
        assert player.outcome().order == tuple(np.argsort(-alone, kind="stable").tolist())


def single_choices(segments):
    """For each candidate, a list of it alone and the question that asks for the best."""
    return [replace(segments, candidates=(candidate,)) for candidate in segments.candidates]


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_pointer_gives_each_candidate_what_it_gives_it_in_a_list_of_its_own(pooling):
    """Its only reference: the same head asked for the best of one."""
    torch.manual_seed(0)
    lm = tiny_encoder("bert") if pooling == "mean" else tiny_model("llama")
    size = lm.config.hidden_size
    scale = torch.tensor([3.0]) if pooling == "mean" else None
    readout = PointerReadout(torch.randn(size), torch.randn(size, size), scale)
    engine = Engine(lm, readout, attention_mode="block", kv_cache_tokens=2048)
    segments = replace(problem(5), identifiers=())
    ((found,), _) = played(engine, [segments], Pointwise)
    alone, _ = played(engine, single_choices(segments), OneOfOne)
    close(found, np.concatenate(alone))
    assert np.ptp(found) > 0.1


class OneOfOne(Listwise):
    """Asks even where nothing is left to decide."""

    name = "one of one"

    @property
    def remaining(self):
        return 0 if self.named else 1

    def play(self, named):
        self.named, self.left = tuple(named), ()


def test_masks_grow_with_the_candidates_and_not_with_their_square():
    sizes = {}
    for n in (50, 200):
        lm = tiny_model("llama")
        engine = Engine(lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=16384)
        seen = []
        prepare = engine.runner.backend.prepare

        def spied(batch, *rest, seen=seen, prepare=prepare):
            parts = _shared_parts(batch, Transfer(torch.device("cpu")))
            seen.append(sum(part.hidden.numel() for part in parts if part.hidden is not None))
            return prepare(batch, *rest)

        engine.runner.backend = SimpleNamespace(prepare=spied, kernels=False)
        played(engine, [asked(0, "likelihood", n)], QueryLikelihood)
        sizes[n] = seen[0]
    assert 0 < sizes[200] < 5 * sizes[50]


def test_questions_of_new_queries_count_against_the_rows_of_a_pass(monkeypatch):
    lm = tiny_model("llama")
    engine = Engine(
        lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=8192, max_batch_tokens=1000
    )
    rows, hidden = [], engine.runner.hidden
    monkeypatch.setattr(engine.runner, "hidden", lambda batch: rows.append(batch.rows) or hidden(batch))
    problems = [asked(seed, "likelihood", targets=40) for seed in range(12)]
    played(engine, problems, QueryLikelihood)
    assert max(rows) <= 1000
    assert len(rows) > 1


@pytest.mark.parametrize("method", METHODS)
def test_windows_that_the_prompt_outgrows(method):
    lm = tiny_model("mistral", sliding_window=8)
    engine = Engine(lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=2048)
    segments = asked(6, method.kind)
    (logits,), _ = played(engine, [segments], method)
    close(logits, expected(lm, segments, method.kind))


def test_a_head_over_means_is_refused_in_causal_attention():
    lm = tiny_model("llama")
    readout = PointerReadout(torch.zeros(48), torch.zeros(48, 48), torch.tensor([3.0]))
    with pytest.raises(
        ValueError, match=r"reads 'mean' states of segments that are encoded apart.*leave 'causal' out"
    ):
        Engine(lm, readout, attention_mode="causal", kv_cache_tokens=2048)
