"""Re-scoring: packed forwards against one dense forward a decision, values and gradients; and against the engine."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rranker.engine.encoders import is_encoder
from rranker.methods import method_class
from rranker.prompts.segments import Kind, Segments
from rranker.training.packing.layout import Attends
from rranker.training.policy.logprobs import Row, from_ids, score, to_ids
from rranker.training.policy.model_config import ModelConfig
from rranker.training.policy.network import Policy, load_policy, readout_of, save_policy
from rranker.training.policy.rollouts import RolloutEngine
from tests.support.toys import save_causal_policy, save_encoder_policy, save_pointer_policy, toy_cases

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["block", "causal", "encoder", "encoder-cls"])
def policy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tokenizer: Any
) -> Policy:
    return made(request.param, tmp_path_factory.mktemp(request.param), tokenizer)


@pytest.fixture(scope="module", params=["block", "block-identifiers", "causal", "encoder", "encoder-cls"])
def scored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tokenizer: Any
) -> Policy:
    return made(request.param, tmp_path_factory.mktemp(request.param), tokenizer)


def made(kind: str, folder: Path, tokenizer: Any) -> Policy:
    """A pointer in block mode, of a decoder or an encoder; or identifiers after longer questions, in either mode."""
    if kind.startswith("encoder"):
        return load_policy(save_encoder_policy(folder, pooling="cls" if kind.endswith("cls") else "mean"))
    if kind != "block":
        save_causal_policy(tokenizer, folder)
        if kind == "block-identifiers":
            config = json.loads((folder / "config.json").read_text())
            config["rranker"] = {"attention": "block"}
            (folder / "config.json").write_text(json.dumps(config))
        return load_policy(folder)
    tiny = ModelConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        head_dim=8,
    )
    return load_policy(save_pointer_policy(tokenizer, tiny, folder))


def dense_logits(policy: Policy, s: Segments, subset: tuple[int, ...], kind: Kind) -> Tensor:
    """One question in a forward of its own, under a mask and positions written down from the rules."""
    block, wide = policy.settings.attention == "block", is_encoder(policy.lm.config)
    chosen = range(len(s.candidates)) if block else subset
    ids, positions, spans = list(s.prefix), list(range(len(s.prefix))), {}
    for i in chosen:
        spans[i] = (len(ids), len(ids) + len(s.candidates[i]))
        start = 0 if wide else len(s.prefix) if block else len(ids)
        positions += range(start, start + len(s.candidates[i]))
        ids += s.candidates[i]
    after = 0 if wide else len(s.prefix) + max(map(len, s.candidates)) if block else len(ids)
    first = len(ids)
    ids += s.suffix
    positions += range(after, after + len(s.suffix))
    seen = torch.ones(len(ids), len(ids)).tril().bool()
    if block:
        for (a, b), (c, d) in itertools.permutations(spans.values(), 2):
            seen[a:b, c:d] = False
        for i in set(chosen) - set(subset):
            seen[first:, spans[i][0] : spans[i][1]] = False
    for a, b in [(0, len(s.prefix)), *spans.values()] if wide else []:
        seen[a:b, a:b] = True
    segment = torch.zeros(len(ids), dtype=torch.long)
    for number, (a, b) in enumerate([*spans.values(), (first, len(ids))], start=1):
        segment[a:b] = number
    foreign = segment[:, None] != segment[None]
    mask = torch.where(foreign, policy.settings.context_bias, 0.0).masked_fill(~seen, -torch.inf)[None, None]
    hidden = policy.lm.base_model(
        input_ids=torch.tensor([ids]),
        position_ids=torch.tensor([positions]),
        attention_mask=mask,
        use_cache=False,
    ).last_hidden_state[0]
    readout, prefix = readout_of(policy.lm), None
    if wide:
        parts = [hidden[: len(s.prefix)], *(hidden[slice(*spans[i])] for i in subset)]
        states = [part[0] if readout.pooling == "cls" else part.mean(0) for part in parts]
        prefix, vectors = states[0], torch.stack(states[1:])
    elif readout.needs_states:
        vectors = hidden[[spans[i][1] - 1 for i in subset]]
    else:
        vectors = readout.vectors([s.identifiers[i] for i in subset])
    return readout.logits(hidden[-1:], vectors, kind, prefix)[0]


def scores(policy: Policy, prompts: list[Segments], rows: list[Row], rules: Any, temperature: float) -> Any:
    wide = is_encoder(policy.lm.config)
    attention = policy.settings.attention
    return score(
        policy.lm,
        prompts,
        rows,
        rules,
        attention,
        temperature,
        CPU,
        Attends(wide, policy.settings.context_bias),
    )


def dense_score(
    policy: Policy, s: Segments, decisions: tuple[int, ...], method: str, temperature: float
) -> Tensor:
    logps, everybody = [], tuple(range(len(s.candidates)))
    for t in range(len(decisions)):
        left = tuple(i for i in everybody if i not in decisions[:t])
        subset = everybody if method == "dranker" else left
        kind: Kind = "exclude" if method == "iranker" else "select"
        row = dense_logits(policy, s, subset, kind) / temperature
        open_ = torch.tensor([i not in decisions[:t] for i in subset])
        logps.append(row.masked_fill(~open_, -torch.inf).log_softmax(-1)[subset.index(decisions[t])])
    return torch.stack(logps)


@pytest.mark.parametrize("method", ["iranker", "dranker", "selection"])
def test_packed_log_probabilities_and_gradients_equal_dense_forwards(scored: Policy, method: str) -> None:
    policy = scored
    engine = RolloutEngine(policy, slots=4096)
    rules = method_class(method)
    cases = list(toy_cases(3, seed=4, n=6).values())
    prompts = [engine.prompts.segments(case, rules.kind) for case in cases]
    rng = np.random.default_rng(0)
    rows = []
    for place in (0, 1, 2, 1, 0, 1):
        n = len(cases[place].candidates)
        rows.append(Row(place, tuple(int(i) for i in rng.permutation(n)[: max(1, n - 1)])))
    weights = torch.randn(len(rows), 8, generator=torch.Generator().manual_seed(0))

    logps, entropies = scores(policy, prompts, rows, rules, 0.7)
    (logps * weights[:, : logps.shape[1]]).sum().backward()
    packed = {name: p.grad for name, p in policy.lm.named_parameters()}
    policy.lm.zero_grad(set_to_none=True)
    total = torch.zeros(())
    for row, got, weight in zip(rows, logps, weights, strict=True):
        wanted = dense_score(policy, prompts[row.prompt], row.decisions, method, 0.7)
        torch.testing.assert_close(got[: len(wanted)], wanted, atol=1e-5, rtol=1e-5)
        assert not got[len(wanted) :].any()
        total = total + (wanted * weight[: len(wanted)]).sum()
    total.backward()
    largest = max(float(p.grad.abs().max()) for p in policy.lm.parameters() if p.grad is not None)
    for name, p in policy.lm.named_parameters():
        if p.grad is None:
            assert packed[name] is None or not packed[name].any(), name
            continue
        torch.testing.assert_close(packed[name], p.grad, atol=1e-5 * max(largest, 1), rtol=0, msg=name)
    policy.lm.zero_grad(set_to_none=True)
    assert bool((entropies >= 0).all())


@pytest.mark.parametrize("method", ["iranker", "dranker", "selection"])
def test_rollouts_report_the_log_probabilities_that_re_scoring_finds(scored: Policy, method: str) -> None:
    policy = scored
    engine = RolloutEngine(policy, slots=4096)
    rules = method_class(method)
    cases = list(toy_cases(4, seed=5, n=6).values())
    groups = [
        (
            engine.prompts.segments(c, rules.kind),
            c.relevance,
            [np.random.default_rng([i, g]) for g in range(3)],
        )
        for i, c in enumerate(cases)
    ]
    sampled = engine.sample(groups, method, 1.3)
    rows = [Row(i, tuple(r.decisions)) for i, group in enumerate(sampled) for r in group]
    logps, _ = scores(policy, [g[0] for g in groups], rows, rules, 1.3)
    for got, rollout in zip(logps, [r for group in sampled for r in group], strict=True):
        np.testing.assert_allclose(got[: len(rollout.logps)].detach().numpy(), rollout.logps, atol=2e-5)


def test_rollouts_under_autocast_are_re_scored_in_the_same_precision(scored: Policy) -> None:
    engine, rules = RolloutEngine(scored, slots=4096), method_class("iranker")
    cases = list(toy_cases(4, seed=5, n=6).values())
    prompts = [engine.prompts.segments(c, rules.kind) for c in cases]
    rngs = [np.random.default_rng(g) for g in range(3)]
    groups = [(prompt, case.relevance, rngs) for prompt, case in zip(prompts, cases, strict=True)]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        sampled = [rollout for group in engine.sample(groups, "iranker", 1.3) for rollout in group]
        rows = [Row(i // len(rngs), tuple(rollout.decisions)) for i, rollout in enumerate(sampled)]
        logps, _ = scores(scored, prompts, rows, rules, 1.3)
    exact = scores(scored, prompts, rows, rules, 1.3)[0].detach()
    drawn = torch.nn.utils.rnn.pad_sequence([torch.tensor(r.logps) for r in sampled], batch_first=True)
    assert 1e-6 < float((exact - drawn).abs().mean()) < 0.02  # the layers did run in it
    assert float((logps - drawn).abs().mean()) < 0.02


def test_a_policy_in_training_mode_says_the_same_twice(policy: Policy) -> None:
    (segments,) = policy_prompts(policy, count=1)
    policy.lm.train()
    rows, rules = [Row(0, (0, 1))], method_class("iranker")
    one, other = (scores(policy, [segments], rows, rules, 1.0)[0] for _ in range(2))
    policy.lm.eval()
    assert torch.equal(one, other)
    assert torch.equal(one, scores(policy, [segments], rows, rules, 1.0)[0])


def policy_prompts(policy: Policy, count: int) -> list[Segments]:
    engine, cases = RolloutEngine(policy, slots=4096), toy_cases(20, seed=6, n=4).values()
    return [engine.prompts.segments(c, "exclude") for c in cases if len(c.candidates) == 4][:count]


def test_first_decisions_are_drawn_from_the_policy(policy: Policy) -> None:
    engine = RolloutEngine(policy, slots=8192)
    case = next(c for c in toy_cases(20, seed=6, n=4).values() if len(c.candidates) == 4)
    segments = engine.prompts.segments(case, "exclude")
    draws = 4000
    rngs = [np.random.default_rng(g) for g in range(draws)]
    (group,) = engine.sample([(segments, case.relevance, rngs)], "iranker", 2.0, limit=1)
    counts = np.bincount([r.decisions[0] for r in group], minlength=4)
    expected = (dense_logits(policy, segments, (0, 1, 2, 3), "exclude") / 2.0).softmax(-1).detach().numpy()
    assert all(len(r.decisions) == 1 for r in group)
    chi_square = float(((counts - draws * expected) ** 2 / (draws * expected)).sum())
    assert chi_square < 16.3  # the 99.9 % quantile of 3 degrees of freedom


def test_ids_carry_the_segments() -> None:
    segments = Segments((5, 6), ((7,), (8, 9, 8)), (3, 4), (11, 12))
    assert from_ids(to_ids(segments)) == segments
    alone = Segments((5, 6), ((7,), (8, 9, 8)), (3, 4), (), (11, 12, 11))
    assert from_ids(to_ids(alone)) == alone
    bare = Segments((5,), ((7,), (8,), (9,)), (3,))
    assert from_ids(to_ids(bare)) == bare
    search = Segments((5,), ((7,), (8,), (9,)), (3,), search=True)
    assert from_ids(to_ids(search)) == search


def test_ids_carry_what_is_known_of_items() -> None:
    known = Segments((5,), ((7,), (8,), (9,)), (3,), prior=(0.5, -31.25, 0.0))
    found = from_ids(to_ids(known))
    assert found.prior == pytest.approx(known.prior, abs=1e-6)
    assert replace(found, prior=known.prior) == known
    assert min(to_ids(known)) == -1  # nothing else can be taken for a separator


def test_a_saved_policy_is_what_the_engine_loads(policy: Policy, tmp_path: Path) -> None:
    from rranker import Ranker

    save_policy(policy, tmp_path / "saved", torch.float32)
    cases = list(toy_cases(6, seed=7, n=6).values())
    ranker = Ranker(
        tmp_path / "saved", dtype="float32", method="iranker", kv_cache_tokens=4096, relayout="keep"
    )
    engine = RolloutEngine(policy, slots=4096)
    for case, order in zip(cases, engine.rank(cases, "iranker"), strict=True):
        assert ranker.rank(case.query, case.candidates, task=case.task).order == order


def test_a_saved_policy_holds_tied_weights_once_in_the_dtype_it_names(policy: Policy, tmp_path: Path) -> None:
    policy.lm.config.use_cache = False  # as the trainer sets it
    save_policy(policy, tmp_path, torch.bfloat16)
    weights = load_file(tmp_path / "model.safetensors")
    tied = policy.lm.config.tie_word_embeddings
    headless = is_encoder(policy.lm.config)
    assert ("lm_head.weight" in weights) is not (tied or headless)
    assert {t.dtype for t in weights.values()} == {torch.bfloat16}
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["dtype"], config["use_cache"]) == ("bfloat16", True)
    assert policy.lm.dtype == torch.float32  # what trains is untouched
