"""The packed three-piece forward must be the dense 4-D-mask forward, values and gradients."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from rranker.engine.loading.settings import AttentionMode
from rranker.prompts.compact import CompactFormat
from rranker.training.packing.batch import ListBatch, training_batch
from rranker.training.policy.model_config import ModelConfig
from rranker.training.policy.ranking_model import build_model
from rranker.training.sft.loss import (
    cross_entropy,
    entropy,
    list_loss,
    ranking_loss,
    reciprocal_rank,
    targets,
    worst_targets,
)
from tests.support.packing_reference import causal_mask, reference_mask
from tests.support.toy_examples import make_example


def make_batch(
    prompt_format: CompactFormat, sizes: tuple[int, ...], seed: int, attention: AttentionMode = "block"
) -> ListBatch:
    rng = np.random.default_rng(seed)
    examples = [make_example(rng, n) for n in sizes]
    return training_batch(
        prompt_format, examples, rng, candidate_tokens=9, prefix_tokens=12, budget=10**6, attention=attention
    )


def wanted_of(batch: ListBatch) -> tuple[torch.Tensor, torch.Tensor]:
    given = batch.relevance, batch.teacher_scores, batch.teacher_weight, batch.layout.alive
    return targets(*given), worst_targets(*given)


@pytest.mark.parametrize("sizes", [(5,), (3, 7, 2), (4, 4)])
@pytest.mark.parametrize("attention", ["block", "causal"])
def test_the_packed_forward_and_its_gradients_equal_the_dense_mask(
    prompt_format: CompactFormat, tiny: ModelConfig, sizes: tuple[int, ...], attention: AttentionMode
) -> None:
    model = build_model(tiny)
    batch = make_batch(prompt_format, sizes, len(sizes), attention)
    layout = batch.layout
    reference = copy.deepcopy(model)
    reference.lm.set_attn_implementation("eager")

    packed_hidden = model.hidden(layout)
    reference_hidden = reference.lm.model(
        input_ids=layout.ids[None],
        position_ids=layout.positions[None],
        attention_mask=reference_mask(layout) if attention == "block" else causal_mask(layout),
        use_cache=False,
    ).last_hidden_state[0]
    torch.testing.assert_close(packed_hidden, reference_hidden, atol=1e-5, rtol=0)

    wanted = wanted_of(batch)
    ranking_loss(model.fitness(packed_hidden, layout), *wanted).backward()
    ranking_loss(reference.fitness(reference_hidden, layout), *wanted).backward()
    for (name, one), other in zip(model.named_parameters(), reference.parameters(), strict=True):
        assert one.grad is not None, name
        assert other.grad is not None, name
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4, msg=name)


def test_every_token_is_used_once_and_positions_follow_the_rule(prompt_format: CompactFormat) -> None:
    layout = make_batch(prompt_format, (3, 6), seed=3).layout
    rows = torch.cat(
        [
            layout.prefix[layout.prefix_valid],
            layout.candidates[layout.candidates_valid],
            layout.suffix.flatten(),
        ]
    )
    assert sorted(rows.tolist()) == list(range(len(layout.ids)))
    for b, valid in enumerate(layout.candidates_valid):
        p = int(layout.prefix_valid[b].sum())
        first = layout.positions[layout.candidates[b, :, 0][valid[:, 0]]]
        assert set(first.tolist()) == {p}
        longest = int(valid.sum(-1).max())
        assert set(layout.positions[layout.suffix[b]].tolist()) == {p + longest}


def test_alive_sets_are_nested_and_keep_a_best_candidate_but_for_the_last(
    prompt_format: CompactFormat,
) -> None:
    batch = make_batch(prompt_format, (8, 5), seed=5)
    alive = batch.layout.alive
    best = batch.relevance.argmax(-1)
    for b, sets in enumerate(alive):
        assert torch.equal(sets[0], batch.layout.present[b])
        assert torch.equal(sets[1], batch.layout.present[b])
        assert bool((sets[1:-2] | ~sets[2:-1]).all())
        assert bool(sets[:-1, best[b]].all())
        assert not bool(sets[-1, best[b]])
        assert int(sets.sum(-1).min()) >= 2


def test_causal_copies_stand_after_shorter_lists_that_keep_a_best_candidate(
    prompt_format: CompactFormat,
) -> None:
    batch = make_batch(prompt_format, (8, 5, 1), 5, "causal")
    layout = batch.layout
    for b, sets in enumerate(layout.alive):
        n, sizes = len(batch.relevance[b].nonzero()), sets.sum(-1).tolist()
        assert sizes[:2] == [int((layout.ends[b] > 0).sum())] * 2
        assert sizes[1:] == sorted(sizes[1:], reverse=True)
        assert n == 1
        for size, place, alive in zip(sizes, layout.positions[layout.suffix[b]], sets, strict=True):
            assert bool(alive[:size].all())
            assert bool(alive[batch.relevance[b].argmax()])
            assert place == layout.positions[layout.ends[b, size - 1]] + 1


def test_targets_mix_grades_and_hints_over_the_alive() -> None:
    relevance = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    teacher_scores = torch.tensor([[0.0, 2.0, 2.0, 0.0], [0.0, 0.0, 0.0, 5.0]])
    alive = torch.tensor([[[True] * 4, [True, True, True, False]], [[True] * 4, [True, False, True, False]]])
    found = targets(relevance, teacher_scores, torch.tensor([1.0, 0.0]), alive)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 2))
    assert bool((found[~alive] == 0).all())
    taught, graded = found
    assert taught[0, 1] == taught[0, 2] > taught[0, 0] == taught[0, 3]
    assert graded.tolist() == [[0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]


def test_without_a_relevant_one_left_the_teacher_alone_tells_the_best() -> None:
    scores = torch.tensor([[3.0, 1.0, 0.0]])
    alive = torch.tensor([[[False, True, True]]])
    found = targets(torch.tensor([[1.0, 0.0, 0.0]]), scores, torch.tensor([0.2]), alive)
    torch.testing.assert_close(found[0, 0, 1:], scores[0, 1:].softmax(-1))


def test_the_worst_is_whom_the_teacher_likes_least_among_the_least_relevant() -> None:
    relevance, scores = torch.tensor([[2.0, 0.0, 1.0, 0.0]]), torch.tensor([[0.0, 1.0, 5.0, 5.0]])
    alive = torch.tensor([[[True] * 4, [True, False, True, False]]])
    graded = worst_targets(relevance, scores, torch.tensor([0.0]), alive)
    assert graded[0].tolist() == [[0.0, 0.5, 0.0, 0.5], [0.0, 0.0, 1.0, 0.0]]
    taught = worst_targets(relevance, scores, torch.tensor([1.0]), alive)
    torch.testing.assert_close(taught[0, 0], (-scores[0]).softmax(-1))
    mixed = worst_targets(relevance, scores, torch.tensor([0.5]), alive)
    assert mixed[0, 0].argmax() == 1


def test_the_loss_of_a_set_is_lowest_at_its_entropy() -> None:
    wanted = torch.tensor([[[0.5, 0.3, 0.2, 0.0]]])
    torch.testing.assert_close(cross_entropy(wanted.log(), wanted), entropy(wanted))
    assert cross_entropy(torch.zeros(1, 1, 4), wanted) > entropy(wanted)


@pytest.mark.parametrize("attention", ["block", "causal"])
def test_padding_points_at_rows_all_over(prompt_format: CompactFormat, attention: AttentionMode) -> None:
    """A thousand zeros for one row would be added up one after the other on a GPU."""
    layout = make_batch(prompt_format, (3, 17, 2), 0, attention).layout
    pairs = [(layout.prefix, layout.prefix_valid), (layout.candidates, layout.candidates_valid)]
    for rows, valid in pairs[: 2 if attention == "block" else 1]:
        padding = rows[~valid]
        assert len(padding) > 0
        assert padding.bincount().max() <= 1 + len(padding) // len(layout.ids)
        assert rows[valid].bincount().max() == 1


def test_copies_about_an_unknown_worst_are_told_who_is_best() -> None:
    """Of passages none is known to be worse than another that does not answer: they are pushed alike."""
    fitness = torch.tensor([[[0.0, 1.0, -1.0]] * 2], requires_grad=True)
    best = torch.tensor([[[1.0, 0.0, 0.0]] * 2])
    ranking_loss(fitness, best, None).backward()
    selecting, excluding = fitness.grad[0]
    assert torch.equal(selecting, excluding)
    torch.testing.assert_close(excluding, (fitness[0, 0].softmax(-1) - best[0, 0]).detach() / 2)


@pytest.mark.parametrize(("task", "known"), [("passage", False), ("recommendation", True)])
def test_searches_are_never_told_the_worst(
    prompt_format: CompactFormat, tiny: ModelConfig, task: str, known: bool
) -> None:
    rng, model = np.random.default_rng(0), build_model(tiny)
    examples = [make_example(rng, 5, task)]
    batch = training_batch(prompt_format, examples, rng, candidate_tokens=9, prefix_tokens=12, budget=10**6)
    fitness = model.fitness(model.hidden(batch.layout), batch.layout, tempered=True)
    best, worst = wanted_of(batch)
    loss = list_loss(model, model.hidden(batch.layout), batch)[0]
    torch.testing.assert_close(loss, ranking_loss(fitness, best, worst if known else None))


def test_excluding_copies_are_told_who_is_worst() -> None:
    """A copy that asks for the worst also pulls the second and the third of a list apart."""
    fitness = torch.zeros(1, 2, 3, requires_grad=True)
    best, worst = torch.tensor([[[1.0, 0.0, 0.0]] * 2]), torch.tensor([[[0.0, 0.0, 1.0]] * 2])
    ranking_loss(fitness, best, worst).backward()
    selecting, excluding = fitness.grad[0]
    assert selecting[1] == selecting[2] > 0 > selecting[0]
    assert excluding[0] < excluding[1] < excluding[2]


def test_reciprocal_rank_counts_a_best_one_and_only_present_ones() -> None:
    gone = -torch.inf
    fitness = torch.tensor([[0.1, 0.9, 0.5, gone], [0.3, 0.2, 0.1, 0.0]])
    relevance = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.2, 0.7, 0.7, 0.1]])
    assert reciprocal_rank(fitness, relevance) == pytest.approx((1 / 3 + 1 / 2) / 2)
