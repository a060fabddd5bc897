"""Thoughts are kept with their queries, found by similarity, and read back; other models get them as an example."""

from __future__ import annotations

import json
import re

import pytest

from rranker import RankedCandidate, Ranker, Ranking, Round
from rranker.scorers import ChatScorer
from rranker.thoughts import ThoughtStore, Trace
from tests.support.chat_server import completion

BEES = "how do bees find flowers?"


def ranking(*thoughts: str | None, selects: bool = False) -> Ranking:
    """Of three candidates; the rounds of an elimination, or of a selection."""
    texts = ["a jar of honey", "flowers have scent", "a share price"]
    items = tuple(RankedCandidate(rank, i, None, texts[i], 0.5) for rank, i in enumerate([1, 0, 2], start=1))
    gone = [2, 0] if not selects else [1, 0]
    rounds = tuple(
        Round((0, 1, 2), () if selects else (index,), (0.3,) * 3, thought, (index,) if selects else ())
        for thought, index in zip(thoughts, gone, strict=False)
    )
    return Ranking(items, rounds)


def test_rounds_with_a_thought_are_kept_with_their_verdict() -> None:
    store = ThoughtStore()
    assert store.add(BEES, ranking("shares say nothing of bees", None), template="passage") == 1
    assert store.add(BEES, ranking("scent it is", "  ", selects=True), template="passage") == 1
    assert store.add(["Alien", "Aliens"], ranking("she likes jars", "and shares")) == 2
    assert list(store)[:2] == [
        Trace(BEES, "passage", "exclude", "shares say nothing of bees", "a share price"),
        Trace(BEES, "passage", "select", "scent it is", "flowers have scent"),
    ]
    assert [(trace.template, trace.verdict) for trace in list(store)[2:]] == [
        ("recommendation", "a share price"),
        ("recommendation", "a jar of honey"),
    ]
    assert store.add(BEES, ranking(None, None)) == 0
    assert len(store) == 4


@pytest.mark.parametrize("similarity", ["bm25", "embedding"])
def test_the_most_similar_query_of_the_same_template_is_found(similarity) -> None:
    queries = ["what is honey made of?", "who wrote Emma?", "how do bees find their flowers?"]
    traces = [Trace(query, "passage", "exclude", f"thought {i}", "x") for i, query in enumerate(queries)]
    store = ThoughtStore(traces, similarity=similarity)
    assert store.find("how do bumblebees find flowers?", template="passage") == traces[2]
    assert store.find("who wrote Persuasion?", template="passage") == traces[1]
    assert store.find("who wrote Emma?", template="generic") is None
    assert store.add("who wrote Persuasion?", ranking("Austen"), template="passage") == 1
    found = store.find("who wrote Persuasion?", template="passage")
    assert found is not None
    assert found.thought == "Austen"


def test_meaning_is_found_by_vectors_where_no_word_is_shared() -> None:
    traces = [
        Trace(query, "generic", "exclude", query, "x")
        for query in ("a canine illness", "stock exchange rates")
    ]
    assert ThoughtStore(traces).find("my dog seems sick") is None
    found = ThoughtStore(traces, similarity="embedding").find("my dog seems sick")
    assert found == traces[0]


def test_a_function_may_say_what_is_similar() -> None:
    traces = [Trace(query, "generic", "exclude", "t", "v") for query in ("short", "a long one", "not that")]
    store = ThoughtStore(traces, similarity=lambda texts, query: [len(text) - 6 for text in texts])
    assert store.find("?") == traces[1]
    with pytest.raises(
        ValueError, match="similarity must be 'bm25', 'embedding' or a function, not 'cosine'"
    ):
        ThoughtStore(similarity="cosine")  # type: ignore[arg-type]


def test_an_example_goes_into_another_models_prompt(served) -> None:
    store = ThoughtStore()
    store.add(BEES, ranking("shares say nothing of bees"), template="passage")

    def answer(path, body):
        return completion("[2] > [1]")

    server = served(answer)
    query = "how do wasps find flowers?"
    with Ranker(scorer=ChatScorer("m", base_url=server.url, logprobs=False)) as other:
        instruction = store.instruction(query, template="passage")
        assert other.rank(query, ["sugar", "scent"], template="passage", instruction=instruction).order == [
            1,
            0,
        ]
    prompt = server.asked[0]["messages"][0]["content"]
    assert re.search(
        r"^Rank the passages.*judged:\nQuery: how do bees find flowers\?\nThought: shares say nothing of bees\n"
        r"The least relevant passage: a share price\n\n"
        r".*\n\nQuery: how do wasps find flowers\?\n\nPassages:\n\[1\] sugar",
        prompt,
        re.DOTALL,
    )


def test_without_a_similar_query_the_instruction_stays_as_it_was() -> None:
    store = ThoughtStore([Trace("bees", "generic", "exclude", "t" * 5000, "v")])
    assert store.instruction("wasps") is None
    assert store.instruction("wasps", instruction="Be brief.") == "Be brief."
    made = store.instruction("bees?", instruction="Be brief.")
    assert made is not None
    assert made.startswith("Be brief.\n\nThis is how")
    assert len(made) < 1000


def test_stores_are_saved_and_loaded(tmp_path) -> None:
    traces = [
        Trace(BEES, "passage", "exclude", "first\nsecond – ünï", "x"),
        Trace(["Alien", "lone \ud800"], "recommendation", "select", "t", "v"),
    ]
    ThoughtStore(traces).save(tmp_path / "thoughts.jsonl")
    assert list(ThoughtStore.load(tmp_path / "thoughts.jsonl")) == traces
    assert len((tmp_path / "thoughts.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"template": "other"}, "unknown template 'other'"),
        ({"asked": "judge"}, "question 'judge'"),
        ({"query": 3}, "query, thought and verdict must be text"),
        ({"query": ["a", 3]}, "query, thought and verdict must be text"),
        ({"thought": None}, "query, thought and verdict must be text"),
        ({"more": 1}, "a trace has the keys query, template, asked, thought, verdict"),
    ],
)
def test_a_line_that_is_no_trace_is_named(tmp_path, change, said) -> None:
    row = {"query": "q", "template": "generic", "asked": "exclude", "thought": "t", "verdict": "v"}
    path = tmp_path / "thoughts.jsonl"
    path.write_text(f"{json.dumps(row)}\n{json.dumps(row | change)}\n")
    with pytest.raises(ValueError, match=rf"thoughts\.jsonl, line 2: .*{said}"):
        ThoughtStore.load(path)
