"""What a batch takes in: neither real tokens nor what they are padded to grow with the oddest list."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rranker.data import RankingExample
from rranker.engine.loading.settings import AttentionMode
from rranker.prompts.compact import CompactFormat
from rranker.training.examples.example import Example
from rranker.training.packing.batch import ListBatch, segments_of, training_batch
from rranker.training.packing.budget import PADDING, candidates_that_fit, lists_that_fit

BUDGET = 3072
MODES: tuple[AttentionMode, ...] = ("block", "causal")


def of_lengths(words: list[int], best: int = 0) -> Example:
    """A list of candidates of so many words, each a token; the candidate `best` is the relevant one."""
    texts = [" ".join(["red"] * count) for count in words]
    relevance = [float(i == best) for i in range(len(words))]
    return Example(RankingExample("passage", "fox", None, texts, relevance, "row"), np.zeros(len(words)), 0.0)


def batch_of(
    prompt_format: CompactFormat, examples: list[Example], attention: AttentionMode = "block", seed: int = 0
) -> ListBatch:
    return training_batch(
        prompt_format,
        examples,
        np.random.default_rng(seed),
        candidate_tokens=256,
        prefix_tokens=512,
        budget=BUDGET,
        attention=attention,
    )


def padded(batch: ListBatch) -> int:
    return batch.layout.prefix.numel() + batch.layout.candidates.numel() + batch.layout.suffix.numel()


@pytest.mark.parametrize("attention", MODES)
def test_lists_of_unlike_shapes_do_not_share_a_batch(
    prompt_format: CompactFormat, attention: AttentionMode
) -> None:
    small, many, long = of_lengths([4] * 5), of_lengths([4] * 100), of_lengths([200] * 4)
    drawn = [small] * 30 + [many, long]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(drawn))
        batch = batch_of(prompt_format, [drawn[i] for i in order], attention)
        assert batch.tokens <= BUDGET
        assert padded(batch) <= PADDING * BUDGET


def test_alike_lists_fill_the_budget(prompt_format: CompactFormat) -> None:
    batch = batch_of(prompt_format, [of_lengths([4, 9, 1, 20, 3])] * 90)
    assert 0.95 * BUDGET < batch.tokens <= BUDGET


@pytest.mark.parametrize("attention", MODES)
@pytest.mark.parametrize("words", [[200] * 40, [1] * 5000, [250] + [3] * 600])
def test_of_a_list_beyond_the_budget_a_part_is_learnt(
    prompt_format: CompactFormat, attention: AttentionMode, words: list[int]
) -> None:
    """Another part at another step, each with the relevant candidate and with others."""
    example, parts = of_lengths(words, best=len(words) - 1), []
    for seed in (0, 0, 1):
        batch = batch_of(prompt_format, [example], attention, seed)
        assert batch.tokens <= BUDGET
        assert padded(batch) <= PADDING * BUDGET
        assert batch.relevance.sum() == 1
        assert batch.relevance.shape[1] >= 10
        parts.append(batch)
    assert torch.equal(parts[0].layout.ids, parts[1].layout.ids)
    kept = [
        candidates_that_fit(
            example.ranking.relevance, words, 9, BUDGET, np.random.default_rng(seed), padded=True
        )
        for seed in (0, 0, 1)
    ]
    assert kept[0] == kept[1] != kept[2]


def test_two_candidates_of_unlike_relevance_are_kept_however_small_the_budget() -> None:
    for seed in range(9):
        relevance = [0.0, 1.0, 1.0, 1.0, 1.0]
        kept = candidates_that_fit(relevance, [50] * 5, 9, 10, np.random.default_rng(seed), padded=False)
        assert len(kept) == 2
        assert kept[0] == 0


def test_what_fits_is_whole_and_takes_no_random_number() -> None:
    rng = np.random.default_rng(0)
    assert candidates_that_fit([0.0, 1.0, 0.0], [5, 6, 7], 10, 28, rng, padded=True) == [0, 1, 2]
    assert rng.random() == np.random.default_rng(0).random()


def test_a_list_beyond_the_budget_is_taken_alone(prompt_format: CompactFormat) -> None:
    cases = [of_lengths([9] * 9).ranking] * 3
    segments = segments_of(prompt_format, cases, 256, 512)
    assert [lists_that_fit(segments, budget, 5, "block") for budget in (1, 10**6)] == [1, 3]
