"""What a pointer says of each candidate alone: read with the ranking's states, whoever else is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from rranker.engine.engine import Engine
from rranker.engine.readout import IdentifierReadout, LateInteraction, PointerReadout
from rranker.engine.readout.request import PointwiseScore
from rranker.engine.requests import EngineRequest
from rranker.methods import Elimination, Greedy, Listwise, Pointwise
from rranker.prompts import Segments
from tests.support.architectures import tiny_model
from tests.support.encoders import tiny_encoder
from tests.support.engine_steps import close, problem


def made(pooling: str, **settings: Any) -> tuple[Any, torch.Tensor, Engine]:
    """A model, its head's w, and an engine; the head's set-aware term is large."""
    torch.manual_seed(0)
    lm = tiny_model("llama") if pooling == "last" else tiny_encoder("bert")
    size = lm.config.hidden_size
    w, scale = torch.randn(size), None if pooling == "last" else torch.tensor([3.0])
    interaction = LateInteraction(torch.tensor([9.0]), torch.randn(size), torch.zeros(1), torch.tensor([0.7]))
    late, states = (interaction, "mean") if pooling == "late" else (None, pooling)
    readout = PointerReadout(w, torch.randn(size, size), scale, late, states)
    settings = {"attention_mode": "block", "kv_cache_tokens": 4096, **settings}
    return lm, w, Engine(lm, readout, **settings)


def scores(
    engine: Engine, segments: Segments, method: Any = Elimination, pointwise: PointwiseScore = "states"
) -> np.ndarray:
    player = Greedy(method(len(segments.candidates)))
    (handle,) = engine.run([EngineRequest(segments, player, pointwise=pointwise)])
    assert handle.error is None
    assert handle.pointwise_scores is not None
    return handle.pointwise_scores


def whole(seed: int, n: int = 6) -> Segments:
    return replace(problem(seed, n), identifiers=())


def test_it_is_the_heads_own_term_of_a_plain_forwards_state() -> None:
    lm, w, engine = made("last")
    segments, found = whole(1), []
    for candidate in segments.candidates:
        ids = torch.tensor([[*segments.prefix, *candidate]])
        lm.set_attn_implementation("eager")
        with torch.no_grad():
            state = lm.base_model(input_ids=ids, use_cache=False).last_hidden_state[0, -1]
        found.append(float(state @ w) / len(w) ** 0.5)
    _, _, engine = made("last")
    close(scores(engine, segments), np.array(found, dtype=np.float32))


@pytest.mark.parametrize("pooling", ["last", "mean", "late", "cls"])
@pytest.mark.parametrize("method", [Elimination, Listwise, Pointwise])
def test_it_depends_on_the_candidate_alone(pooling: str, method: Any) -> None:
    """Up to float32's last bits: another number of rows is another matrix product."""
    _, _, engine = made(pooling)
    segments = whole(2, 9)
    found = scores(engine, segments, method)
    assert np.ptp(found) > 0.1
    for kept in ([0, 1], [8, 3, 5], [*range(1, 9)]):
        fewer = replace(segments, candidates=tuple(segments.candidates[i] for i in kept))
        close(scores(engine, fewer, method), found[kept])


@pytest.mark.parametrize("method", [Elimination, Pointwise])
@pytest.mark.parametrize("search", [True, False])
def test_tokens_count_where_they_are_to_but_no_other_candidate_does(method: Any, search: bool) -> None:
    """Of twenty candidates feedback counts in the ranking, and not here."""
    lm, _, _ = made("late")
    segments = replace(whole(8, 20), search=search)
    states = [plain_states(lm, [*segments.prefix])] + [
        plain_states(lm, candidate, segments.prefix) for candidate in segments.candidates
    ]
    words = normalize(states[0][1:-1], dim=-1)
    alike = [
        float((words @ normalize(rows[1:-1], dim=-1).T).max(1).values.clamp_min(0.0).mean())
        if len(rows) > 2
        else 0.0
        for rows in states[1:]
    ]
    _, _, engine = made("late")
    found, readout = scores(engine, segments, method, "tokens"), engine.readout
    assert isinstance(readout, PointerReadout)
    assert readout.late is not None
    strength = float(readout.late.strength(states[0].mean(0), search))
    close(found - scores(engine, segments, method), strength * np.array(alike, dtype=np.float32))
    few = [3, 17, 8]
    fewer = replace(segments, candidates=tuple(segments.candidates[i] for i in few))
    close(scores(engine, fewer, method, "tokens"), found[few])


def plain_states(lm: Any, ids: Sequence[int], prefix: Sequence[int] = ()) -> torch.Tensor:
    """[tokens, D]: of a text alone, or of one that sees a prefix, which sees itself, by a dense mask."""
    p, n = len(prefix), len(prefix) + len(ids)
    sees = torch.ones(1, 1, n, n).bool()
    sees[..., :p, p:] = False
    mask = torch.zeros(1, 1, n, n).masked_fill(~sees, torch.finfo(torch.float32).min)
    positions = torch.tensor([[*range(p), *range(len(ids))]])
    lm.set_attn_implementation("eager")
    with torch.no_grad():
        out = lm(torch.tensor([[*prefix, *ids]]), position_ids=positions, attention_mask=mask)
    states: torch.Tensor = out.last_hidden_state[0, p:]
    return states


@pytest.mark.parametrize("method", [Elimination, Pointwise])
def test_a_prior_is_part_of_it(method: Any) -> None:
    _, _, engine = made("mean")
    segments, prior = whole(7, 4), (0.5, -2.0, 0.0, 3.0)
    close(
        scores(engine, replace(segments, prior=prior), method),
        scores(engine, segments, method) + np.array(prior, dtype=np.float32),
    )
    player = Greedy(Pointwise(4))
    (handle,) = engine.run([EngineRequest(replace(segments, prior=(0.0, 50.0, 99.0, -99.0)), player)])
    assert handle.error is None
    assert player.outcome().order == (2, 1, 0, 3)
    with pytest.raises(ValueError, match="1 prior logits for 4 candidates"):
        replace(segments, prior=(1.0,))


def test_the_same_states_give_the_same_bits_whoever_else_is_there() -> None:
    torch.manual_seed(3)
    readout = PointerReadout(torch.randn(64), torch.randn(64, 64), torch.tensor([2.0]))
    states, prefix = torch.randn(33, 64), torch.randn(64)
    found = readout.pointwise(states, prefix)
    for kept in ([5], [0, 32], list(range(7, 20)), list(range(32, -1, -1))):
        assert torch.equal(readout.pointwise(states[kept], prefix), found[kept])


def test_many_requests_of_one_step_get_their_own() -> None:
    _, _, engine = made("mean")
    problems = [whole(seed, n) for seed, n in ((0, 2), (1, 7), (2, 4))]
    players = [Greedy(Elimination(len(s.candidates))) for s in problems]
    requests = [
        EngineRequest(s, p, pointwise="states" if i else None)
        for i, (s, p) in enumerate(zip(problems, players, strict=True))
    ]
    found = {id(handle.request): handle for handle in engine.run(requests)}
    assert found[id(requests[0])].pointwise_scores is None
    for request in requests[1:]:
        read = found[id(request)].pointwise_scores
        assert read is not None
        close(read, scores(engine, request.segments))


def test_it_takes_no_further_pass_nor_token() -> None:
    bills = []
    ways: tuple[PointwiseScore | None, ...] = (None, "states")
    for pointwise in ways:
        _, _, engine = made("mean")
        (handle,) = engine.run([EngineRequest(whole(4), Greedy(Elimination(6)), pointwise=pointwise)])
        bills.append((handle.passes, handle.tokens_encoded, handle.request.method.outcome()))  # type: ignore[attr-defined]
    assert bills[0] == bills[1]


def test_it_is_refused_where_candidates_see_each_other_or_have_no_states() -> None:
    lm = tiny_model("llama")
    engine = Engine(lm, IdentifierReadout(lm), attention_mode="block", kv_cache_tokens=1024)
    request = EngineRequest(problem(0), Greedy(Elimination(6)), pointwise="states")
    with pytest.raises(ValueError, match="read by a pointer head"):
        engine.submit(request)
    _, _, engine = made("last", attention_mode="causal")
    with pytest.raises(ValueError, match="of candidates that do not see each other"):
        engine.submit(request)
    _, _, block = made("last")
    close(scores(engine, whole(5), Pointwise), scores(block, whole(5)))
    with pytest.raises(ValueError, match="late interaction, which this model's head does not have"):
        block.submit(replace(request, pointwise="tokens"))
