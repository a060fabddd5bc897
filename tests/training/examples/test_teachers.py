"""The teachers' arithmetic, and that a user's own history never votes for the user's answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rranker.data import Interactions
from rranker.training.examples.teachers import Lexical, Neighbours
from rranker.training.sft.lsa import lay_into, lsa_embeddings

TITLES = ("a", "b", "c", "d", "e")


def made(histories: list[tuple[int, ...]]) -> Interactions:
    """All users train: a fifth of fewer than five is none, and none of this name validates."""
    return Interactions("toy", TITLES, tuple(histories))


def test_what_neighbours_share_scores_highest() -> None:
    teacher = Neighbours(made([(0, 1), (0, 1), (0, 1, 2), (3, 4)]))
    scores = teacher.scores([0], [1, 2, 3])
    assert scores[0] > scores[1] > scores[2]


def test_own_items_are_taken_out_again() -> None:
    histories = [(0, 1), (0, 1, 2), (3, 4)]
    with_user = Neighbours(made([*histories, (0, 3)]))
    without = Neighbours(made([*histories, ()]))
    candidates = [1, 3]
    found = with_user.scores([0], candidates, own=(0, 3))
    assert found == pytest.approx(without.scores([0], candidates))
    assert found[1] < with_user.scores([0], candidates)[1]


def test_later_items_of_a_history_count_more() -> None:
    teacher = Neighbours(made([(0, 1), (0, 1), (2, 3), (2, 3)]))
    late, early = teacher.scores([0, 2], [1, 3]), teacher.scores([2, 0], [1, 3])
    assert late[1] > late[0]
    assert early[0] > early[1]


def test_lexical_prefers_the_rare_word() -> None:
    teacher = Lexical(["the cat", "the dog", "the zebra and the cat"])
    scores = teacher.scores("the zebra", ["the cat and the dog", "a zebra", "nothing"])
    assert int(np.argmax(scores)) == 1
    assert scores[2] == 0
    assert teacher.idf("zebra") > teacher.idf("the")


def test_tokens_that_keep_company_lie_close() -> None:
    rng = np.random.default_rng(0)
    documents = [[20, *(int(i) for i in rng.choice(5, 3) + 5 * (k % 4))] for k in range(400)]  # four groups
    vectors = lsa_embeddings(documents, 22, 3)
    assert vectors.shape == (22, 3)
    close = vectors[:20] @ vectors[:20].T
    assert close[:5, :5].mean() > close[:5, 5:].mean() + 0.5
    assert vectors[21].abs().max() == 0
    torch.testing.assert_close(vectors, lsa_embeddings(documents, 22, 3))
    embedding = torch.zeros(22, 3)
    lay_into(embedding, vectors)
    torch.testing.assert_close(embedding.norm(dim=-1), torch.full((22,), 0.96))
