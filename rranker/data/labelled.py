"""Lists whose every candidate is labelled: it fits (1) or not (0). Relevance is calibrated and measured on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .collections import COLLECTIONS, RECURRING, collection_questions
from .example import RankingExample
from .passage import Hit, Topic, topics
from .questions import Question
from .splits import Split, in_validation
from .tasks import Folder, task_cases

QUESTIONS = "questions"
"""The collections' questions, a task of `labelled_cases` beside the nine."""
SIZE = 7
RELEVANT = 2
"""The least grade of TREC DL that counts as relevant: 1 is about the topic and does not answer."""


def labelled_cases(
    task: str, split: Split, count: int, *, seed: int = 0, folder: Folder = None
) -> list[RankingExample]:
    """At most `count` lists of a task, seeded, with labels for `relevance`.

    Recommendation: the next item fits. Routing: a model fits when its utility is above the mean of its list. Passages:
    of TREC DL, grade 2 or more fits; as a probability must hold whatever else a list offers, a quarter of the lists
    each is the task's own (one fits), judged passages as they come, those of another topic (none fits), and relevant
    ones only. `QUESTIONS` (validation only): a question's answer among its near misses, and as many lists of another's
    texts; collections whose questions recur over documents are left out, another's text may answer there. Out-of-domain
    tasks are taken as they are.

    Raises ValueError as `task_cases` does, for a count below 1, and for `QUESTIONS` in another split.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    rng = np.random.default_rng([seed, count])
    if task == QUESTIONS:
        if split != "validation":
            raise ValueError(f"{QUESTIONS} has labelled lists for validation only, not for {split}")
        names = [name for name in COLLECTIONS if name not in RECURRING]
        every = [q for name in names for q in collection_questions(name, folder)]
        return question_lists([q for q in every if in_validation(q.text)], SIZE, count, rng)
    cases = task_cases(task, split, folder=folder)
    if not task.startswith("passage-"):
        return [_labelled(case) for case in _some(cases, count, rng)]
    k, judged = int(task.removeprefix("passage-")), topics(split, folder)
    quarter = -(-count // 4)
    kinds = [
        [_labelled(case) for case in _some(cases, quarter, rng)],
        *(make(judged, k, quarter, rng) for make in (mixed_lists, irrelevant_lists, relevant_lists)),
    ]
    return [case for same in zip(*kinds, strict=False) for case in same][:count]


def mixed_lists(
    judged: Sequence[Topic], k: int, count: int, rng: np.random.Generator
) -> list[RankingExample]:
    """`k` judged passages of one topic a list, drawn whatever their grade is."""
    return _lists("mixed", judged, k, count, rng, lambda topic: list(topic.hits))


def relevant_lists(
    judged: Sequence[Topic], k: int, count: int, rng: np.random.Generator
) -> list[RankingExample]:
    """`k` relevant passages of one topic a list; all there are where there are fewer, but two."""
    several = [topic for topic in judged if len(_relevant(topic)) > 1]
    return _lists("all", several, k, count, rng, _relevant)


def irrelevant_lists(
    judged: Sequence[Topic], k: int, count: int, rng: np.random.Generator
) -> list[RankingExample]:
    """`k` passages of another topic a list: none has to do with the query.

    Raises ValueError for fewer than two topics.
    """
    if len({topic.query for topic in judged}) < 2:
        raise ValueError("passages of another topic need two topics at least")

    def of_another(topic: Topic) -> list[Hit]:
        others = [other for other in judged if other.query != topic.query]
        drawn, known = others[int(rng.integers(len(others)))], {hit.text for hit in topic.hits}
        return [replace(hit, grade=0) for hit in drawn.hits if hit.text not in known]

    return _lists("none", judged, k, count, rng, of_another)


def question_lists(
    questions: Sequence[Question], k: int, count: int, rng: np.random.Generator
) -> list[RankingExample]:
    """`k` texts a list: in turn a question's answer among its nearest misses, and the same of another question."""
    usable = [question for question in questions if len(question.bad) >= k - 1]
    cases, order = list[RankingExample](), rng.permutation(len(usable))
    for number in range(count if len(usable) > 1 else 0):
        question, other = usable[order[number % len(order)]], usable[order[(number + 1) % len(order)]]
        fits = number % 2 == 0
        shown = question if fits else other
        known = set[str]() if fits else {*question.good, *question.bad}
        texts = [shown.good[0], *shown.bad[: k - 1]]
        drawn = [(texts[i], float(fits and i == 0)) for i in rng.permutation(k) if texts[i] not in known]
        candidates, labels = [text for text, _ in drawn], [label for _, label in drawn]
        if candidates:
            cases.append(
                RankingExample("passage", question.text, None, candidates, labels, f"{question.id}-{number}")
            )
    return cases


def _relevant(topic: Topic) -> list[Hit]:
    return [hit for hit in topic.hits if (hit.grade or 0) >= RELEVANT]


def _lists(
    kind: str,
    judged: Sequence[Topic],
    k: int,
    count: int,
    rng: np.random.Generator,
    pool: Callable[[Topic], list[Hit]],
) -> list[RankingExample]:
    """Topics in turn, in a drawn order; `k` are drawn of each one's pool."""
    cases, order = list[RankingExample](), rng.permutation(len(judged))
    for number in range(count if judged else 0):
        topic = judged[order[number % len(judged)]]
        hits = pool(topic)
        chosen = [hits[i] for i in rng.permutation(len(hits))[:k]]
        labels = [float((hit.grade or 0) >= RELEVANT) for hit in chosen]
        texts, name = [hit.text for hit in chosen], f"{kind}-{topic.qid}-{number}"
        cases.append(RankingExample("passage", topic.query, None, texts, labels, name))
    return cases


def _some(cases: list[RankingExample], count: int, rng: np.random.Generator) -> list[RankingExample]:
    return [cases[i] for i in rng.permutation(len(cases))[:count]]


def _labelled(case: RankingExample) -> RankingExample:
    least = float(np.mean(case.relevance)) if case.task == "routing" else 0.0
    return replace(case, relevance=[float(value > least) for value in case.relevance])
