"""Feedback of late interaction, by its definition: the engine's and the training's are the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from rranker.engine.readout import LateInteraction, PointerReadout, feedback_similarities
from rranker.prompts import Segments
from rranker.training.packing.layout import Attends, Layout, build_layout


def random_lists() -> tuple[list[list[torch.Tensor]], Layout, torch.Tensor]:
    """A query's and its candidates' states, three times, of several lengths; and the three in one layout."""
    rng = np.random.default_rng(4)
    every = ([5, 4, 2, 7], [3, 1, 6, *[2] * 54], [4] * 201)
    lists = [[torch.from_numpy(rng.normal(size=(n, 6))) for n in lengths] for lengths in every]
    parts = [Segments((1,) * len(q), tuple((2,) * len(t) for t in texts), (3,)) for q, *texts in lists]
    everybody = [torch.ones(1, len(texts), dtype=torch.bool) for _, *texts in lists]
    layout = build_layout(parts, [[3]] * len(parts), everybody, Attends(bidirectional=True))
    hidden = torch.zeros(len(layout.ids), 6, dtype=torch.float64)
    for b, (query, *texts) in enumerate(lists):
        hidden[layout.prefix[b, : len(query)]] = query
        for i, states in enumerate(texts):
            hidden[layout.candidates[b, i, : len(states)]] = states
    return lists, layout, hidden


def matches(asked: torch.Tensor, texts: list[torch.Tensor]) -> torch.Tensor:
    """By its definition: of the words of `asked`, the mean cosine to the most like word of each text, or 0."""
    words = asked[1:-1] if len(asked) > 2 else asked
    return torch.stack([best(words, text[1:-1]).mean() for text in texts]).float()


def best(words: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Of each word the largest cosine to those of `text`, at least 0."""
    if not len(text):
        return words.new_zeros(len(words))
    return torch.cosine_similarity(words[:, None], text[None], dim=-1).amax(1).clamp_min(0.0)


def test_feedback_asks_with_a_candidates_words_as_far_as_there_are_many() -> None:
    """With lists of several lengths side by side; the engine's and the training's are the same."""
    lists, layout, hidden = random_lists()
    shares, chosen = (0.0, 0.5, 1.0), torch.tensor([2, 0, 150])  # of 3, 56 and 200 candidates
    trained = layout.feedback_similarities(hidden, chosen)
    for b, (query, *texts) in enumerate(lists):
        expected = shares[b] * matches(texts[chosen[b]], texts)
        lengths = torch.tensor([len(query), *map(len, texts)])
        longest, states = int(lengths[1:].max()), torch.cat([query, *texts])
        found = feedback_similarities(states, lengths, len(query), chosen[b : b + 1], longest)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(trained[b, : len(texts)], expected)


def test_the_candidate_that_fits_best_without_is_asked_for_with_its_words() -> None:
    lists, layout, hidden = random_lists()
    torch.manual_seed(0)
    late = LateInteraction(torch.tensor([3.0]), torch.randn(6), torch.zeros(1), torch.tensor([0.5]))
    head = PointerReadout(torch.randn(6), torch.randn(6, 6), torch.tensor([2.0]), late)
    candidates, prefixes = layout.states(hidden, "mean")
    assert head.matches is not None
    assert prefixes is not None
    search = [True, False, True]
    layout = replace(layout, search=torch.tensor(search))
    trained = layout.matches(hidden, late, head.pointwise(candidates, prefixes), prefixes)
    others = 0
    for b, (query, *texts) in enumerate(lists):
        prefix, states = query.mean(0).float(), torch.stack([text.mean(0) for text in texts]).float()
        plain = matches(query, texts)
        strength = late.strength(prefix, search[b])
        assert (float(strength) == 3.0) == search[b]  # a search wants all of it, whatever the gate says
        best = int((head.pointwise(states, prefix) + strength * plain).argmax())
        others += best != int(plain.argmax())
        expected = strength * (plain + 0.5 * (0.0, 0.5, 1.0)[b] * matches(texts[best], texts))
        lengths = torch.tensor([len(query), *map(len, texts)])
        sizes = len(query), int(lengths[1:].max())
        found = head.matches(torch.cat([query, *texts]), lengths, prefix, states, *sizes, search[b])
        torch.testing.assert_close(found.added, expected)
        torch.testing.assert_close(found.alone, strength * plain)
        torch.testing.assert_close(trained[b, : len(texts)], expected)
        assert int((head.pointwise(states, prefix) + found.added).argmax()) == best
    assert others  # it is not who matches the query's words best
