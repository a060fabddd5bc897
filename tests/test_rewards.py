"""Rewards, returns and advantages against plain references and by hand."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rranker import rewards
from tests.support import extension_reference as references

episode = st.lists(st.integers(0, 3), min_size=1, max_size=9).flatmap(
    lambda rel: st.tuples(st.just(rel), st.lists(st.integers(-1, len(rel)), max_size=10))
)


def ints(rows):
    values, offsets = rewards.ragged(rows)
    return values.astype(np.int64), offsets


def test_step_rewards_follow_the_paper():
    relevance = rewards.ragged([[0, 1, 0, 0], [2, 2, 0], [0, 0]])
    got = rewards.step_rewards(*relevance, *ints([[0, 1, 9, 0], [0, 1, 2], [0]]))
    #       negative, gold, not in the list, gone already; both tied golds; nothing is gold
    assert got.tolist() == [1.0, 0.0, -0.5, -0.5, 0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("relevance", "expected"),
    [
        ([-3, -1, -2], [1.0, 0.0, 1.0]),
        ([0, -1, 0], [0.0, 1.0, 0.0]),
        ([-1, -1, -1], [1.0, 1.0, 1.0]),
        ([-1, -1, 1], [1.0, 1.0, 0.0]),
    ],
)
def test_the_best_level_is_gold_whatever_its_sign_unless_all_tie_at_none(relevance, expected):
    assert rewards.step_rewards(*rewards.ragged([relevance]), *ints([[0, 1, 2]])).tolist() == expected


def test_a_gold_level_can_be_given():
    got = rewards.step_rewards(*rewards.ragged([[3, 1, 0]]), *ints([[1, 0]]), gold=1)
    assert got.tolist() == [0.0, 0.0]


@given(st.lists(episode, min_size=1, max_size=5), st.sampled_from([None, 1, 3, 10]))
def test_graded_rewards_equal_the_reference(batch, k):
    relevance, exclusions = rewards.ragged([r for r, _ in batch]), ints([e for _, e in batch])
    got = rewards.graded_rewards(*relevance, *exclusions, k=k)
    expected = [x for rel, ex in batch for x in references.graded_rewards(rel, ex, k, -0.5)]
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_graded_rewards_sum_to_the_loss_in_ndcg():
    rng = np.random.default_rng(0)
    for _ in range(20):
        rel = rng.integers(0, 4, size=12)
        gone = rng.permutation(12)
        got = rewards.graded_rewards(rel, [0, 12], gone, [0, 12], k=5)
        final = references.dcg(rel[gone[::-1]].tolist(), 5) / references.dcg(
            sorted(rel.tolist(), reverse=True), 5
        )
        assert got.max() <= 1e-15
        assert got.sum() == pytest.approx(final - 1)


@given(st.lists(episode, min_size=1, max_size=5), st.sampled_from([None, 2, 10]))
def test_listing_rewards_equal_the_reference(batch, k):
    relevance, listed = rewards.ragged([r for r, _ in batch]), ints([e for _, e in batch])
    got = rewards.listing_rewards(*relevance, *listed, k=k, coverage_weight=0.3)
    np.testing.assert_allclose(got, [references.listing_reward(r, e, k, 0.3) for r, e in batch], atol=1e-12)


@pytest.mark.parametrize(
    ("text", "prefilled", "score"),
    [
        ("<think>a</think><answer>b</answer>", False, 1),
        ("a</think>\n<answer>b</answer>\n", True, 1),
        ("<think>a</think><answer> </answer>", False, 0),
        ("<think>a<answer>b</answer>", False, 0),
        ("<think>a</think><answer>b", False, 0),
        ("<think>a</think><answer>b</answer> more", False, 0),
        ("<think>a</think> so <answer>b</answer>", False, 0),
        ("<think>a</think><answer>b</answer><answer>c</answer>", False, 0),
        ("<think>a</think><answer>b</answer>", True, 0),
        ("hello <think>a</think><answer>b</answer>", False, 0),
        ("<answer>b</answer><think>a</think>", False, 0),
        ("</think><think><answer>b</answer>", False, 0),
        ("", False, 0),
    ],
)
def test_format(text, prefilled, score):
    assert rewards.format_scores([text], prefilled=prefilled).tolist() == [score]


def test_returns():
    got = rewards.returns([1, 2, 3, 5], [0, 3, 3, 4], gamma=0.5)
    assert got.tolist() == [1 + 1 + 0.75, 2 + 1.5, 3, 5]


@given(st.lists(st.lists(st.floats(-3, 3), max_size=5), min_size=1, max_size=8), st.booleans(), st.booleans())
def test_group_advantages_equal_the_reference(rows, by_step, scale):
    values, offsets = rewards.ragged(rows)
    cut = len(rows) // 2
    got = rewards.group_advantages(
        values, offsets, [0, cut, len(rows)], baseline="step" if by_step else "group", scale=scale
    )
    steps = max(len(r) for r in rows)
    expected = np.zeros((len(rows), steps))
    for first, last in ((0, cut), (cut, len(rows))):
        for e in range(first, last):
            for t in range(len(rows[e])):
                group = rows[first:last]
                pool = [r[t] for r in group if t < len(r)] if by_step else [x for r in group for x in r]
                centred = rows[e][t] - np.mean(pool)
                expected[e, t] = centred / (np.std(pool) + 1e-4) if scale else centred
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_one_decision_an_episode_is_grpo():
    got = rewards.group_advantages([1.0, 0.0, 0.0, 1.0], [0, 1, 2, 3, 4], [0, 4], baseline="group", epsilon=0)
    assert got.tolist() == [[1.0], [-1.0], [-1.0], [1.0]]


REWARDS = (rewards.step_rewards, rewards.graded_rewards, rewards.listing_rewards)


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("place", [0, 7, 19])
@pytest.mark.parametrize(
    ("value", "word"), [(math.nan, "NaN"), (math.inf, "infinite"), (-math.inf, "infinite")]
)
def test_relevance_must_be_finite(reward, place, value, word):
    """More than 16 candidates: there a sort without an order leaves its array."""
    relevance = np.arange(40.0)
    relevance[20 + place] = value
    with pytest.raises(ValueError, match=f"relevance of candidate {place} in episode 1 is {word}"):
        reward(relevance, [0, 20, 40], np.arange(40) % 20, [0, 20, 40])


@pytest.mark.parametrize("reward", [rewards.graded_rewards, rewards.listing_rewards])
def test_gains_must_add_up(reward):
    with pytest.raises(ValueError, match="the gains of episode 0 are too large to add up"):
        reward([2000.0, 1.0], [0, 2], [0, 1], [0, 2], exponential=True)
    assert reward([1e308, 1.0], [0, 2], [1, 0], [0, 2]).size


def test_settings_must_be_finite():
    one = [1.0], [0, 1], [0], [0, 1]
    for name in ("hit", "miss", "invalid", "gold"):
        with pytest.raises(ValueError, match=f"{name} must be a finite number, not nan"):
            rewards.step_rewards(*one, **{name: math.nan})
    with pytest.raises(ValueError, match="invalid must be a finite number, not inf"):
        rewards.graded_rewards(*one, invalid=math.inf)
    with pytest.raises(ValueError, match="coverage_weight must be a finite number"):
        rewards.listing_rewards(*one, coverage_weight=math.nan)
    with pytest.raises(ValueError, match="gamma must be a finite number"):
        rewards.returns([1.0], [0, 1], gamma=math.nan)
    with pytest.raises(ValueError, match="epsilon must be a finite number"):
        rewards.group_advantages([1.0], [0, 1], [0, 1], epsilon=math.nan)
    with pytest.raises(TypeError, match="gamma must be a finite number, not 'a'"):
        rewards.returns([1.0], [0, 1], gamma="a")
    with pytest.raises(ValueError, match=r"rewards\[1\] is NaN"):
        rewards.returns([1.0, math.nan], [0, 2])
    with pytest.raises(ValueError, match=r"values\[0\] is infinite"):
        rewards.group_advantages([math.inf, 1.0], [0, 1, 2], [0, 2])


# No subnormal numbers: sums of them have no relative precision, in which two ways could agree.
floats = st.floats(0, 5, allow_subnormal=False) | st.sampled_from([0.0, 1.0, 1.0 + 1e-15, 1e-300])


@given(st.lists(floats, min_size=1, max_size=40), st.randoms(), st.sampled_from([None, 1, 7]))
def test_graded_rewards_of_any_relevance_equal_the_reference(relevance, random, k):
    n = len(relevance)
    gone = [random.randrange(-1, n + 1) for _ in range(n)]
    got = rewards.graded_rewards(relevance, [0, n], gone, [0, n], k=k)
    np.testing.assert_allclose(got, references.graded_rewards(relevance, gone, k, -0.5), atol=1e-9)
    assert got.max() <= 0.0


def test_graded_rewards_take_time_linear_in_the_candidates():
    """Per candidate, 16 times the candidates cost a few times as much, in any order of exclusion."""
    rng = np.random.default_rng(0)

    def seconds(n, episodes):
        relevance = rng.integers(0, 5, size=(episodes, n)).astype(float)
        gone = np.argsort(-relevance, axis=1, kind="stable")  # the best first: all others move up
        offsets = np.arange(episodes + 1) * n
        times = []
        for _ in range(5):
            start = time.perf_counter()
            rewards.graded_rewards(relevance.ravel(), offsets, gone.ravel(), offsets)
            times.append(time.perf_counter() - start)
        return min(times)

    assert seconds(8000, 4) < 6 * seconds(500, 64)


def test_wrong_input_says_what_to_do():
    with pytest.raises(TypeError, match="exclusions must hold integers"):
        rewards.step_rewards([1.0], [0, 1], [0.5], [0, 1])
    with pytest.raises(ValueError, match="as many rows"):
        rewards.step_rewards([1.0], [0, 1], [0], [0, 0, 1])
    with pytest.raises(TypeError, match="wrap a single one"):
        rewards.format_scores("text")
    with pytest.raises(TypeError, match=r"responses\[1\] must be a string, not NoneType"):
        rewards.format_scores(["text", None])
    with pytest.raises(TypeError, match="responses must be a list of strings, not set"):
        rewards.format_scores({"a", "b"})


@pytest.mark.parametrize("k", [1.5, "3", np.zeros(0), np.zeros(2)])
def test_a_cutoff_is_a_whole_number(k):
    with pytest.raises(TypeError, match=r"the cutoff k .* must be a whole number"):
        rewards.graded_rewards([1.0, 0.0], [0, 2], [1], [0, 1], k=k)
    with pytest.raises(ValueError, match="at least 1"):
        rewards.graded_rewards([1.0, 0.0], [0, 2], [1], [0, 1], k=np.int64(0))
