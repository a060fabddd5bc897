"""Health questions: the answers of public health sites (MedQuAD), and answers ranked by doctors (MEDIQA 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from rranker.files import read_bytes

from ..example import data_file
from ..questions import Question
from ..records import parsed_records, xml_root
from .archives import tar_files
from .labelled import Judged, labelled
from .mining import Asked, Group, merged
from .texts import detokenised, one_line

RELEVANT = 3  # of MEDIQA's scores 1 (incorrect) to 4 (excellent)


class _Answered(NamedTuple):
    question: str
    kind: str
    answer: str
    focus: str


def medquad(folder: str | Path | None = None) -> list[Question]:
    """MedQuAD: misses are what the pages on the same disease or drug answer to other kinds of question.

    Where there is none: answers to the same kind of question that do not name the disease or drug.
    """
    path = data_file("questions/medquad/MedQuAD_1-9.tar.gz", folder)
    pairs: list[_Answered] = []
    for name, data in tar_files(path, ".xml").items():
        root = xml_root(f"{path}:{name}", data)
        focus = one_line(root.findtext("Focus", ""))
        pairs += [
            _Answered(*pair, focus)
            for pair in parsed_records(f"{path}:{name}", root.iter("QAPair"), _answered)
            if pair[2]
        ]
    topics: dict[str, list[_Answered]] = {}
    kinds: dict[str, list[str]] = {}
    for pair in pairs:
        topics.setdefault(pair.focus.lower(), []).append(pair)
        kinds.setdefault(pair.kind, []).append(pair.answer)
    of_topic = {focus: Group(pair.answer for pair in found) for focus, found in topics.items()}
    of_kind = {kind: Group(answers) for kind, answers in kinds.items()}
    kind_of = {(pair.focus.lower(), pair.question.lower()): pair.kind for pair in pairs}
    questions = []
    asked = merged(Asked(pair.question, (pair.answer,), pair.focus.lower()) for pair in pairs)
    for number, one in enumerate(asked):
        kind = kind_of[one.group, one.text.lower()]
        same = tuple(pair.answer for pair in topics[one.group] if pair.kind == kind)
        bad = of_topic[one.group].near_misses(one._replace(unsure=same))
        bad = bad or of_kind[kind].near_misses(one._replace(answers=(one.group,)))
        if bad:
            questions.append(Question(f"medquad-{number}", one.text, one.good, bad))
    return questions


def mediqa2019(folder: str | Path | None = None) -> list[Question]:
    """MEDIQA 2019: answers that doctors scored (task 3), and shorter questions that entail a long one (task 2)."""
    judgements: list[Judged] = []
    for part in ("TrainingSet1-LiveQAMed.xml.gz", "TrainingSet2-Alexa.xml.gz", "ValidationSet.xml"):
        path = data_file(f"questions/mediqa2019/MEDIQA2019-Task3-QA-{part}", folder)
        root = xml_root(path, read_bytes(path))
        for rows in parsed_records(path, root.iter("Question"), _scored):
            judgements += rows
    path = data_file("questions/mediqa2019/MEDIQA2019-Task2-RQE-TrainingSet-AMIA2016.xml.gz", folder)
    pairs = parsed_records(path, xml_root(path, read_bytes(path)).iter("pair"), _entailed)
    # A question that entails itself teaches nothing.
    judgements += [pair for pair in pairs if pair.question.lower() != pair.text.lower()]
    return labelled("mediqa2019", judgements)


def _answered(pair: Element) -> tuple[str, str, str]:
    question = pair.find("Question")
    if question is None:
        raise ValueError("no <Question>")
    return detokenised(question.text), question.get("qtype", ""), one_line(pair.findtext("Answer", ""))


def _scored(question: Element) -> list[Judged]:
    text = one_line(question.findtext("QuestionText"))
    scored = (
        (answer.findtext("AnswerText"), answer.get("ReferenceScore", ""))
        for answer in question.iter("Answer")
    )
    return [Judged(text, one_line(answer), int(score) >= RELEVANT) for answer, score in scored]


def _entailed(pair: Element) -> Judged:
    relevant = {"true": True, "false": False}[pair.get("value", "")]
    return Judged(one_line(pair.findtext("chq")), one_line(pair.findtext("faq")), relevant)
