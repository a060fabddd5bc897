"""Policies that judge each candidate alone: what is drawn and re-scored is what plain causal forwards say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from rranker.methods import method_class
from rranker.prompts.segments import Kind, Segments
from rranker.training.policy.logprobs import Row, from_ids, score, to_ids
from rranker.training.policy.network import Policy, load_policy
from rranker.training.policy.rollouts import RolloutEngine
from tests.support.checkpoints import small_tokenizer
from tests.support.toys import save_causal_policy, toy_cases

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """Its tokenizer begins Yes and No with different tokens."""
    return load_policy(save_causal_policy(small_tokenizer(), tmp_path_factory.mktemp("prompted")))


def alone_score(policy: Policy, s: Segments, kind: Kind) -> Tensor:
    """What each candidate is worth to a plain causal forward of prefix, candidate, question and targets: [n]."""
    found = []
    for candidate in s.candidates:
        ids = [*s.prefix, *candidate, *s.suffix]
        if kind == "judge":
            yes, no = policy.lm(input_ids=torch.tensor([ids])).logits[0, -1, list(s.targets)]
            found.append(yes - no)
        else:
            logits = policy.lm(input_ids=torch.tensor([[*ids, *s.targets]])).logits[0, len(ids) - 1 : -1]
            found.append(logits.log_softmax(-1).gather(1, torch.tensor(s.targets)[:, None]).mean())
    return torch.stack(found)


@pytest.mark.parametrize("method", ["pointwise", "query_likelihood"])
def test_rankings_of_candidates_judged_alone_are_drawn_and_scored_as_plain_forwards_say(
    prompted: Policy, method: str
) -> None:
    engine, rules = RolloutEngine(prompted, slots=4096), method_class(method)
    cases = list(toy_cases(4, seed=5, n=6).values())
    prompts = [engine.prompts.segments(case, rules.kind) for case in cases]
    assert [from_ids(to_ids(prompt)) for prompt in prompts] == prompts
    groups = [
        (prompt, case.relevance, [np.random.default_rng([i, g]) for g in range(3)])
        for i, (prompt, case) in enumerate(zip(prompts, cases, strict=True))
    ]
    sampled = engine.sample(groups, method, 0.4)
    rows = [Row(i, tuple(r.decisions)) for i, group in enumerate(sampled) for r in group]
    logps, _ = score(prompted.lm, prompts, rows, rules, "causal", 0.4, CPU)
    for got, rollout in zip(logps, [r for group in sampled for r in group], strict=True):
        np.testing.assert_allclose(got[: len(rollout.logps)].detach().numpy(), rollout.logps, atol=2e-5)

    logps.sum().backward()
    packed = {name: p.grad for name, p in prompted.lm.named_parameters()}
    prompted.lm.zero_grad(set_to_none=True)
    total = torch.zeros(())
    for row in rows:
        said = alone_score(prompted, prompts[row.prompt], rules.kind) / 0.4
        for t, decision in enumerate(row.decisions):
            total = (
                total
                + said[decision]
                - said[[i for i in range(len(said)) if i not in row.decisions[:t]]].logsumexp(0)
            )
    torch.testing.assert_close(logps.sum(), total, atol=1e-4, rtol=1e-5)
    total.backward()
    largest = max(float(p.grad.abs().max()) for p in prompted.lm.parameters() if p.grad is not None)
    for name, p in prompted.lm.named_parameters():
        torch.testing.assert_close(packed[name], p.grad, atol=1e-5 * max(largest, 1), rtol=0, msg=name)
    prompted.lm.zero_grad(set_to_none=True)
