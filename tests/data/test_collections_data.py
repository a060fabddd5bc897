"""Every collection as it lies in the data folder: counts, and what near misses must not be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import pytest

from rranker.data import COLLECTIONS, Question, collection_questions, data_file, data_folder, squad
from rranker.data.__main__ import report_collections
from rranker.data.records import json_file, parsed_lines
from rranker.files import text_lines

pytestmark = pytest.mark.data

# Questions as the owners count them, and the least share with a good text and a near miss.
COUNTS = {
    "amazon_pqa": (3690, 0.8),
    "clariq": (299, 1.0),
    "climate_fever": (1535, 0.6),
    "codesearch": (313 - 34, 1.0),
    "covidqa_deepset": (1380, 0.97),
    "fairytaleqa": (9573, 0.99),
    "healthver": (460, 0.4),
    "hotpotqa_evidence": (1500, 1.0),
    "medquad": (16056, 0.85),  # 14,228 of them differ
    "mediqa2019": (233 + 4639, 0.6),
    "multispanqa": (653, 1.0),
    "nq_oracle": (2655, 1.0),
    "policyqa": (7961, 0.6),  # equal ones of a website are merged
    "qed": (1355 - 1020, 1.0),
    "selqa": (785, 0.98),
    "squad_nqg": (11877, 0.98),
    "squadshifts": (27626, 0.96),
    "strategyqa": (2290, 0.99),
    "subjqa": (4157, 0.7),
    "tatqa": (901, 0.97),
    "trecqa": (93 + 81, 0.8),
    "wice": (349, 0.9),
    "wikiqa": (873 + 126, 0.95),
}
LABELLED = ("amazon_pqa", "climate_fever", "healthver", "mediqa2019", "selqa", "trecqa", "wice", "wikiqa")


@pytest.fixture(autouse=True, scope="module")
def _has_collections() -> None:
    if not (data_folder() / "questions").is_dir():
        pytest.skip(f"no questions/ in {data_folder()}")


@cache
def questions_of(name: str) -> list[Question]:
    return collection_questions(name)


def bare(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", COLLECTIONS)
def test_questions_are_as_many_as_their_owners_say_and_misses_are_none_of_the_good(name: str) -> None:
    questions = questions_of(name)
    count, share = COUNTS[name]
    assert share * count <= len(questions) <= count
    assert len({question.id for question in questions}) == len(questions)
    for question in questions:
        assert question.good
        assert question.bad
        assert not {text.lower() for text in question.good} & {text.lower() for text in question.bad}
        texts = (question.text, *question.good, *question.bad)
        assert all(text == bare(text) != "" for text in texts)
        assert len(set(question.bad)) == len(question.bad) <= (1000 if name in LABELLED else 20)


@pytest.mark.parametrize("name", ["wikiqa", "tatqa", "qed"])
def test_order_is_the_same_every_time(name: str) -> None:
    assert collection_questions(name) == questions_of(name)


def spans(name: str) -> Iterator[tuple[str, str, list[str]]]:
    """(question, paragraph, answers) of collections in SQuAD's form, and of Natural Questions."""
    if name == "nq_oracle":
        path = data_file("questions/nq_oracle/nq-open-oracle.jsonl.gz")
        for row in parsed_lines(path, json.loads):
            yield row["question"], row["ctxs"][0]["text"], row["answers"]
        return
    for path in sorted((data_folder() / "questions" / name).glob("*.json.gz")):
        for article in json_file(path)["data"]:
            for paragraph in article["paragraphs"]:
                for qa in paragraph["qas"]:
                    yield qa["question"], paragraph["context"], [answer["text"] for answer in qa["answers"]]


@pytest.mark.parametrize("name", ["squadshifts", "policyqa", "nq_oracle"])
def test_no_near_miss_holds_an_answer(name: str) -> None:
    asked: dict[str, list[Question]] = {}
    for question in questions_of(name):
        asked.setdefault(question.text.lower(), []).append(question)
    seen = 0
    for text, paragraph, answers in spans(name):
        wanted = [bare(answer).lower() for answer in answers if len(answer) >= 3]
        found = [
            question for question in asked.get(bare(text).lower(), []) if bare(paragraph) in question.good
        ]
        if found:  # websites may share a paragraph: then one of the questions is this one
            seen += 1
            held = [any(answer in bad.lower() for answer in wanted for bad in q.bad) for q in found]
            assert not all(held)
    assert seen >= len(questions_of(name))


def test_papers_are_cut_around_the_answers() -> None:
    questions = {question.text.lower(): question for question in questions_of("covidqa_deepset")}
    rows = [row for row in spans("covidqa_deepset") if bare(row[0]).lower() in questions]
    kept = [(questions[bare(asked).lower()], bare(answers[0])) for asked, _, answers in rows]
    assert sum(any(answer in good for good in question.good) for question, answer in kept) > 0.95 * len(kept)
    assert max(len(good.split()) for question, _ in kept for good in question.good) <= 150


def test_nothing_is_shared_that_should_not_be() -> None:
    open_questions = {question.text.lower() for question in questions_of("nq_oracle")}
    assert not open_questions & {question.text.lower() for question in questions_of("qed")}
    of_squad = {question.text.lower() for split in squad() for question in split}
    assert not of_squad & {question.text.lower() for question in questions_of("squadshifts")}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_licence_is_what_the_source_states(name: str) -> None:
    source = " ".join(line for _, line in text_lines(data_file(f"questions/{name}/SOURCE.md")))
    stated = source.split("Licence:")[1].split(" - Format")[0]
    licence = COLLECTIONS[name].licence
    assert licence.startswith("not stated") == stated.strip().startswith("not stated")
    for term in ("CC BY", "CC BY-SA", "MIT", "Apache-2.0", "ODC-BY", "CDLA-Sharing-1.0", "C-UDA"):
        assert (term in licence) <= (term in stated)
    assert not COLLECTIONS[name].permissive or any(
        term in stated for term in ("CC BY", "MIT", "Apache", "CDLA", "ODC-BY")
    )


def test_the_report_counts_a_collection(capsys: pytest.CaptureFixture[str]) -> None:
    report_collections(["trecqa"], None)
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["trecqa", str(len(questions_of("trecqa")))]
