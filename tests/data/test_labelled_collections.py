"""Readers of collections whose near misses are labelled, on a few hand-written rows in each owner's format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rranker.data.collections.labelled import Judged, labelled
from rranker.data.collections.products import TWO_GRADES
from tests.support.question_files import QuestionFiles, json_lines, table


def test_judgements_of_equal_questions_are_merged_and_the_best_counts() -> None:
    found = labelled(
        "x",
        [
            Judged("who was at the sea", "rain", False),
            Judged("who was at the sea", "he was at the sea", False),
            Judged("Who was at the sea", "Ann", True),
            Judged("who was at the sea", "Bob", False),
            Judged("who was at the sea", "bob", None),
            Judged("who was at the sea", "no: Ann.", False),  # holds a good text
            Judged("who else", "Ann", True),
            Judged("who was at the sea", "Ann", True, group="other"),
        ],
    )
    assert [(q.id, q.text, q.good, q.bad) for q in found] == [
        ("x-0", "who was at the sea", ("Ann",), ("he was at the sea", "rain"))
    ]


def test_claims_are_met_by_what_speaks_for_or_against_them(files: QuestionFiles) -> None:
    def found(text: str, label: str) -> dict[str, str]:
        return {"evidence": text, "evidence_label": label}

    sentences = [found("It is.", "SUPPORTS"), found("It was.", "REFUTES"), found("Ice.", "NOT_ENOUGH_INFO")]
    rows = [{"claim": "Warm", "evidences": sentences}, {"claim": "Cold", "evidences": sentences[:2]}]
    files.write("climate_fever/climate-fever.jsonl.gz", json_lines(rows))
    assert files.read("climate_fever") == [("Warm", {"It is.", "It was."}, {"Ice."})]
    files.write("climate_fever/climate-fever.jsonl.gz", json_lines([rows[0], {"claim": "Cold"}]))
    with pytest.raises(ValueError, match=r"climate-fever.jsonl.gz, line 2: no 'evidences'"):
        files.read("climate_fever")

    def studied(text: str, label: str) -> dict[str, str]:
        return {"evidence": text, "claim": "Masks help", "label": label}

    files.write("healthver/healthver_dev.csv", table([studied("They do, often.", "Supports")]))
    files.write("healthver/healthver_test.csv", table([studied("Cloth.", "Neutral")]))
    assert files.read("healthver") == [("Masks help", {"They do, often."}, {"Cloth."})]


def test_sentences_of_all_supporting_sets_are_good(files: QuestionFiles) -> None:
    row = {
        "claim": "He ran.",
        "evidence": ["Menu", "He did.", "He ran."],
        "supporting_sentences": [[1], [1, 2]],
    }
    files.write("wice/claim_dev.jsonl.gz", json_lines([row, {**row, "supporting_sentences": []}]))
    assert files.read("wice") == [("He ran.", {"He did.", "He ran."}, {"Menu"})]
    files.write("wice/claim_dev.jsonl.gz", json_lines([{**row, "supporting_sentences": [[3]]}]))
    with pytest.raises(ValueError, match=r"claim_dev.jsonl.gz, line 1: no sentence 3 among 3"):
        files.read("wice")


def test_products_have_two_grades_or_three(files: QuestionFiles) -> None:
    def row(text: str, label: str, question: str = "how big?") -> dict[str, str]:
        return {"question": question, "candidate": text, "label": label}

    for name in TWO_GRADES:
        files.write(f"amazon_pqa/{name}", table([row('size: "5"', "1"), row("colour: red", "0")], "\t"))
    graded = [row("not sure", "1", "heavy?"), row("2 kg", "2", "heavy?"), row("red", "0", "heavy?")]
    files.write("amazon_pqa/ePQA.dev.csv.gz", table(graded))
    assert files.read("amazon_pqa") == [
        ("how big?", {'size: "5"'}, {"colour: red"}),
        ("heavy?", {"2 kg"}, {"red"}),
    ]
    files.write("amazon_pqa/ePQA.dev.csv.gz", table([row("2 kg", "3")]))
    with pytest.raises(ValueError, match=r"ePQA.dev.csv.gz, line 2: no '3'"):
        files.read("amazon_pqa")


def test_sentences_are_selected(files: QuestionFiles) -> None:
    record: dict[str, Any] = {"question": "Who?", "candidates": ["It rained.", "Ann did."], "answers": [1]}
    files.write(
        "selqa/selqa-ass-dev.json.gz", json.dumps([record, {**record, "question": "Why?", "answers": []}])
    )
    assert files.read("selqa") == [("Who?", {"Ann did."}, {"It rained."})]

    rows = [{"qtext": "Who 's he ?", "label": 1, "atext": "`` Ann '' , -LRB- they said -RRB- ."}]
    files.write("trecqa/train.csv", table(rows))
    files.write("trecqa/dev.csv", table([{"qtext": "Who 's he ?", "label": 0, "atext": "It is n't ."}]))
    assert files.read("trecqa") == [("Who's he?", {'"Ann", (they said).'}, {"It isn't."})]


def test_the_question_that_test_has_too_is_left_out(files: QuestionFiles) -> None:
    train = "who ?\tAnn .\t1\nwho ?\tRain\t0\nwhat is homebrew for wii ?\tA\t1\nwhat is homebrew for wii ?\tB\t0\n"
    header = "QuestionID\tQuestion\tDocumentID\tDocumentTitle\tSentenceID\tSentence\tLabel\n"
    files.write("wikiqa/WikiQASent-train.txt.gz", train)
    files.write("wikiqa/WikiQA-dev.tsv", header + 'Q\tWhy?\tD\tT\tS\t"So.\t1\nQ\tWhy?\tD\tT\tS\tNo.\t0\n')
    assert files.read("wikiqa") == [("who?", {"Ann."}, {"Rain"}), ("Why?", {'"So.'}, {"No."})]
    files.write("wikiqa/WikiQASent-train.txt.gz", train + "who ?\tBob\n")
    with pytest.raises(
        ValueError, match=r"WikiQASent-train.txt.gz, line 5: 3 columns are needed, this row has 2"
    ):
        files.read("wikiqa")


def test_scored_answers_and_entailed_questions(files: QuestionFiles) -> None:
    answers = "".join(
        f"<Answer ReferenceScore='{score}' SystemRank='1'><AnswerText>text\n{score}</AnswerText></Answer>"
        for score in (4, 3, 2, 1)
    )
    scored = f"<Task><Question><QuestionText>Why?</QuestionText><AnswerList>{answers}</AnswerList></Question></Task>"
    pairs = [("long", "short", "true"), ("long", "Long", "true"), ("long", "else", "false")]
    body = "".join(
        f"<pair value='{value}'><chq>\n {asked}</chq><faq>\n {faq}\n</faq></pair>"
        for asked, faq, value in pairs
    )
    name = "mediqa2019/MEDIQA2019-Task3-QA"
    files.write(f"{name}-TrainingSet1-LiveQAMed.xml.gz", scored)
    files.write(f"{name}-TrainingSet2-Alexa.xml.gz", "<Task/>")
    files.write(f"{name}-ValidationSet.xml", "<Task/>")
    files.write("mediqa2019/MEDIQA2019-Task2-RQE-TrainingSet-AMIA2016.xml.gz", f"<Task>{body}</Task>")
    assert files.read("mediqa2019") == [
        ("Why?", {"text 4", "text 3"}, {"text 2", "text 1"}),
        ("long", {"short"}, {"else"}),
    ]
    broken = "<Task><Question><AnswerList/></Question></Task>"
    files.write(f"{name}-ValidationSet.xml", broken)
    with pytest.raises(ValueError, match=r"ValidationSet.xml, record 1: a text is needed, not NoneType"):
        files.read("mediqa2019")
