"""A model behind SGLang's score endpoint ranks as the same model here: token ids go there, probabilities come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rranker import Ranker
from rranker.methods import Relayout, method_names
from rranker.scorers import Budget, RemoteError, SGLangScorer
from tests.support.chat_server import Fault, Server, error, serving
from tests.support.samples import QUERY, TEXTS


@pytest.fixture(scope="module")
def local(sound_checkpoint: Path) -> Iterator[dict[Relayout, Ranker]]:
    layouts: tuple[Relayout, ...] = ("keep", "best_first")
    made = {
        relayout: Ranker(sound_checkpoint, dtype="float32", relayout=relayout, kv_cache_tokens=4096)
        for relayout in layouts
    }
    yield made
    for ranker in made.values():
        ranker.close()


@pytest.fixture(scope="module")
def answers(sound_checkpoint: Path):
    pytest.importorskip("openai", reason="needs the extra openai")
    from tests.support.model_server import ModelAnswers

    return ModelAnswers(sound_checkpoint)


@pytest.fixture
def server(answers) -> Iterator[Server]:
    with serving(answers) as made:
        yield made


@pytest.mark.parametrize(
    ("method", "relayout"),
    [
        *((name, "keep") for name in method_names() if name != "query_likelihood"),
        # Others compare logits of several questions to lay candidates out, and probabilities compare within one.
        ("iranker", "best_first"),
        ("selection", "best_first"),
    ],
)
@pytest.mark.parametrize("guesses", [0, 7])
def test_every_method_ranks_as_the_same_model_here(
    sound_checkpoint, local, server, method, relayout, guesses
):
    queries = [
        {"query": QUERY, "candidates": TEXTS, "template": "passage"},
        {"query": ["Alien", "Aliens"], "candidates": TEXTS[:3], "instruction": "What next?"},
        {"query": "one", "candidates": ["only"]},
        {"query": "none", "candidates": []},
    ]
    scorer = SGLangScorer(sound_checkpoint, base_url=server.url, guesses=guesses, relayout=relayout)
    with Ranker(scorer=scorer) as remote:
        theirs = remote.rank_batch(queries, method=method, progress=False)
    ours = local[relayout].rank_batch(queries, method=method, progress=False)
    for there, here in zip(theirs, ours, strict=True):
        assert there.order == here.order
        assert len(there.rounds) == len(here.rounds)
        for one, other in zip(there.rounds, here.rounds, strict=True):
            assert (one.alive, one.excluded, one.selected) == (other.alive, other.excluded, other.selected)
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)
    assert theirs[0].stats.calls <= len(theirs[0].rounds)


@pytest.mark.parametrize("relayout", ["keep", "best_first"])
def test_guessed_rounds_share_a_request(sound_checkpoint, server, relayout):
    scorer = SGLangScorer(sound_checkpoint, base_url=server.url, relayout=relayout)
    with Ranker(scorer=scorer, method="iranker") as ranker:
        stats = ranker.rank(QUERY, TEXTS).stats
    assert set(server.paths) == {"/v1/score"}
    assert stats.calls == len(server.asked)
    assert max(len(body["items"]) for body in server.asked) > 1
    assert stats.speculation_hits == 4 - stats.calls
    assert all(body["label_token_ids"] and all(body["items"]) for body in server.asked)
    assert stats.tokens_naive == sum(
        len(body["query"]) + sum(map(len, body["items"])) for body in server.asked
    )


def test_text_of_users_cannot_spell_a_special_token(sound_checkpoint, server, answers):
    with Ranker(scorer=SGLangScorer(sound_checkpoint, base_url=server.url)) as ranker:
        for spelled in ("she", answers.tokenizer.eos_token):
            ranker.rank(f"who said {spelled}?", [f"{spelled} said", "nobody"], method="dranker")
    harmless, hostile = ([*body["query"], *body["items"][0]] for body in server.asked)
    assert answers.tokenizer.decode(hostile).count(answers.tokenizer.eos_token) > harmless.count(
        answers.tokenizer.eos_token_id
    )
    assert hostile.count(answers.tokenizer.eos_token_id) == harmless.count(answers.tokenizer.eos_token_id)


def test_what_does_not_fit_the_context_is_cut_and_reported(sound_checkpoint, server):
    with Ranker(scorer=SGLangScorer(sound_checkpoint, base_url=server.url, context=150)) as ranker:
        ranking = ranker.rank("q", ["word " * 200, "short"])
    assert [(repair.kind, repair.index) for repair in ranking.repairs] == [("truncated", 0)]
    (body,) = server.asked
    assert len(body["query"]) + len(body["items"][0]) <= 150


def test_a_budget_ends_with_what_is_known(sound_checkpoint, local, server):
    scorer = SGLangScorer(sound_checkpoint, base_url=server.url, guesses=0, budget=Budget(calls=2))
    with Ranker(scorer=scorer) as ranker:
        ranking = ranker.rank(QUERY, TEXTS, template="passage")
    whole = local["best_first"].rank(QUERY, TEXTS, template="passage", method="iranker")
    assert [r.excluded for r in ranking.rounds] == [r.excluded for r in whole.rounds[:2]]
    assert sorted(ranking.order) == [0, 1, 2, 3, 4]
    assert [repair.kind for repair in ranking.repairs] == ["stopped"]


WRONG = {
    "no scores": {"object": "scoring"},
    "not a table": {"scores": [0.5, 0.5]},
    "another shape": {"scores": [[0.5, 0.5], [0.5, 0.5]]},
    "words": {"scores": [["a", "b"]]},
    "no probabilities": {"scores": [[-1.0, 2.0]]},
    "nothing at all": {"scores": [[0.0, 0.0]]},
    "not JSON": Fault(body=b"oops"),
    "a server error": error(503, "busy"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_response_is_tried_again_and_then_an_error(sound_checkpoint, served, answers, fault):
    faults = iter([WRONG[fault]])
    server = served(lambda path, body: next(faults, None) or answers(path, body))
    with Ranker(scorer=SGLangScorer(sound_checkpoint, base_url=server.url, backoff=0.01)) as ranker:
        assert len(ranker.rank("q", TEXTS[:2])) == 2
    assert len(server.asked) == 2
    server = served(lambda path, body: WRONG[fault])
    scorer = SGLangScorer(sound_checkpoint, base_url=server.url, backoff=0.01, retries=1)
    with Ranker(scorer=scorer) as ranker:
        (wrong,) = ranker.rank_batch([("q", TEXTS[:2])], on_error="return", progress=False)
    assert isinstance(wrong, RemoteError)
    assert str(wrong).startswith("queries[0]: no answer after 2 tries: ")


def test_questions_about_whole_texts_are_refused(sound_checkpoint, server):
    with (
        Ranker(scorer=SGLangScorer(sound_checkpoint, base_url=server.url)) as ranker,
        pytest.raises(ValueError, match="query_likelihood reads the probability of a whole text"),
    ):
        ranker.rank("q", TEXTS, method="query_likelihood")
    with pytest.raises(FileNotFoundError, match="no tokenizer"):
        SGLangScorer(Path(__file__).parent, base_url=server.url)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"relayout": "worst"}, "relayout must be one of 'keep', 'best_first', not 'worst'"),
        ({"truncate": "left"}, "truncate must be one of 'error', 'end', 'middle', not 'left'"),
        ({"context": 0}, "context must be at least 1, not 0"),
        ({"guesses": -1}, "guesses must be at least 0, not -1"),
    ],
)
def test_wrong_settings_are_named(sound_checkpoint, settings, message):
    with pytest.raises(ValueError, match=message):
        SGLangScorer(sound_checkpoint, base_url="http://127.0.0.1:1/v1", **settings)
