"""Readers of the collections on a few hand-written rows in each owner's format."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rranker.data import COLLECTIONS, Question, collection_questions
from rranker.data.collections.mining import Asked, Group
from rranker.data.collections.texts import detokenised, passage_spans

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts a text into a file below `questions/` of a data folder in `tmp_path`, packed where it is called .gz."""

    def written(name: str, text: str) -> Path:
        path = tmp_path / "questions" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return written


def rows(records: Sequence[Mapping[str, Any]], delimiter: str = ",") -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(records[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


def lines(records: Sequence[Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def archive(write: Write, name: str, files: Mapping[str, str]) -> None:
    path = write(name, "")
    with tarfile.open(path, "w:gz") as packed:
        for member, text in files.items():
            info = tarfile.TarInfo(member)
            info.size = len(text.encode())
            packed.addfile(info, io.BytesIO(text.encode()))


def contents(questions: Sequence[Question]) -> list[tuple[str, set[str], set[str]]]:
    return [(question.text, set(question.good), set(question.bad)) for question in questions]


def test_an_unknown_collection_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no collection is called 'nq'; there are .*nq_oracle.*wikiqa"):
        collection_questions("nq")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in COLLECTIONS:
        with pytest.raises(FileNotFoundError, match=r"missing data file .*questions/\w+/.*RRANKER_DATA"):
            collection_questions(name, tmp_path)


def test_near_misses_neither_answer_nor_repeat_and_come_nearest_first() -> None:
    group = Group(["a cat sat", "The cat sat in Rome", "a cat and a dog", "rain", "a cat sat", "the cat sat"])
    asked = Asked("where is the cat that sat", ("The CAT sat",), answers=("rome", "no"), unsure=("RAIN",))
    assert group.near_misses(asked) == ("a cat sat", "a cat and a dog")
    assert group.near_misses(asked, near=1) == ("a cat sat",)
    assert Group([]).near_misses(asked) == ()


def test_tokens_are_put_back() -> None:
    assert (
        detokenised("He 's `` in '' -LRB- I think -RRB- , is n't he ?") == "He's \"in\" (I think), isn't he?"
    )
    assert detokenised("a .17 calibre costs $ 5 , 3.5 % more .") == "a .17 calibre costs $5, 3.5% more."
    with pytest.raises(TypeError, match="a text is needed, not NoneType"):
        detokenised(None)


def test_passages_cover_a_paper_and_end_with_sentences() -> None:
    text = " ".join(f"{'word ' * 9}end{i}." for i in range(40)) + " " + "long " * 300
    spans = list(passage_spans(text))
    assert " ".join(text[start:end] for start, end in spans).split() == text.split()
    sizes = [len(text[start:end].split()) for start, end in spans]
    assert max(sizes) <= 150
    assert min(sizes[:-1]) >= 90
    assert all(text[end - 1] == "." for _, end in spans[:4])


def article(title: str | None, paragraphs: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, Any]:
    return {
        "title": title,
        "paragraphs": [
            {
                "context": text,
                "qas": [
                    {"question": asked, "answers": [{"text": answer, "answer_start": text.index(answer)}]}
                    for asked, answer in questions
                ],
            }
            for text, questions in paragraphs.items()
        ],
    }


def test_squad_format_mines_the_same_site_and_merges_its_equal_questions(
    write: Write, tmp_path: Path
) -> None:
    site = {
        "We keep\nyour name.": [("What do you keep?", "your name")],
        "We also keep your age.": [("what do you keep?", "your age"), ("Why?", "keep")],
        "Sometimes your name is sold.": [],
        "Call us.": [],
    }
    write("policyqa/dev.json.gz", json.dumps({"data": [article("a.com", site)]}))
    other = {"We keep nothing.": [("What do you keep?", "nothing")]}
    write("policyqa/test.json.gz", json.dumps({"data": [article("b.com", other)]}))
    assert contents(collection_questions("policyqa", tmp_path)) == [
        ("What do you keep?", {"We keep your name.", "We also keep your age."}, {"Call us."}),
        ("Why?", {"We also keep your age."}, {"Sometimes your name is sold.", "Call us."}),
    ]


def test_a_paper_is_cut_around_the_answer(write: Write, tmp_path: Path) -> None:
    sentences = [f"Sentence {i} has exactly ten words and not one more. " for i in range(60)]
    paper = "".join(sentences)
    data = [article(None, {paper: [("Which?", "Sentence 33 has")]})]
    write("covidqa_deepset/200423_covidQA.json.gz", json.dumps({"data": data}))
    [question] = collection_questions("covidqa_deepset", tmp_path)
    [good] = question.good
    assert "Sentence 33 has" in good
    assert len(good.split()) < 151
    assert sorted(" ".join((good, *question.bad)).split()) == sorted(paper.split())


def test_a_broken_article_is_named_by_file_and_record(write: Write, tmp_path: Path) -> None:
    write("policyqa/dev.json.gz", json.dumps({"data": [article("a", {"b": []}), {"title": "c"}]}))
    write("policyqa/test.json.gz", json.dumps({"data": []}))
    with pytest.raises(ValueError, match=r"policyqa/dev.json.gz, record 2: no 'paragraphs'"):
        collection_questions("policyqa", tmp_path)
    write("policyqa/dev.json.gz", json.dumps({"datum": []}))
    with pytest.raises(ValueError, match=r"policyqa/dev.json.gz, line 1: an object with a list 'data'"):
        collection_questions("policyqa", tmp_path)


def test_natural_questions_are_one_pool_and_qed_has_what_the_oracle_lacks(
    write: Write, tmp_path: Path
) -> None:
    def gold(question: str, text: str, answer: str) -> dict[str, Any]:
        return {"question": question, "answers": [answer], "ctxs": [{"text": text, "isgold": True}]}

    def explained(question: str, text: str, answer: str) -> dict[str, Any]:
        answers = [[{"string": answer}]]
        return {"question_text": question, "paragraph_text": text, "original_nq_answers": answers}

    pairs = [("who won", "Ann won , twice .", "Ann"), ("who lost", "Bob lost .", "Bob lost")]
    write("nq_oracle/nq-open-oracle.jsonl.gz", lines([gold(*pairs[0]), gold("why", "It rained.", "rain")]))
    write("qed/qed-dev.jsonlines.gz", lines([explained(*pair) for pair in pairs]))
    assert contents(collection_questions("nq_oracle", tmp_path)) == [
        ("who won", {"Ann won , twice ."}, {"It rained."}),
        ("why", {"It rained."}, {"Ann won , twice ."}),
    ]
    assert contents(collection_questions("qed", tmp_path)) == [
        ("who lost", {"Bob lost."}, {"Ann won, twice."})
    ]


def test_spans_of_tokens_are_answers(write: Write, tmp_path: Path) -> None:
    def row(question: str, context: str, label: str) -> dict[str, Any]:
        return {"question": question.split(), "context": context.split(), "label": label.split()}

    data = [
        row("who sang ?", "Dave Stewart and Ann sang .", "B I O B O O"),
        row("who left ?", "Mary Ann left .", "B I O O"),
        row("who ate ?", "Dave ate .", "B O O"),
    ]
    write("multispanqa/valid.json.gz", json.dumps({"data": data}))
    first, *_ = contents(collection_questions("multispanqa", tmp_path))
    assert first == ("who sang?", {"Dave Stewart and Ann sang."}, {"Dave ate."})
    write("multispanqa/valid.json.gz", json.dumps({"data": [row("a", "b c", "O")]}))
    with pytest.raises(ValueError, match=r"valid.json.gz, record 1: 1 labels for 2 tokens"):
        collection_questions("multispanqa", tmp_path)


def test_stories_are_read_from_their_archive(write: Write, tmp_path: Path) -> None:
    story = [{"section": i, "text": f"part\n{i}"} for i in (1, 2, 3)]
    asked = [
        {"cor_section": "1,2", "question": "Who?", "answer1": "a fox", "answer2": ""},
        {"cor_section": "4", "question": "Where?", "answer1": "", "answer2": ""},
    ]
    name = "fairytaleqa/fairytaleqa_train_val.tar.gz"
    files = {"s/train/fox-story.csv": rows(story), "q/train/fox-questions.csv": rows(asked[:1])}
    archive(write, name, files)
    assert contents(collection_questions("fairytaleqa", tmp_path)) == [
        ("Who?", {"part 1", "part 2"}, {"part 3"})
    ]
    archive(write, name, files | {"q/train/fox-questions.csv": rows(asked)})
    with pytest.raises(ValueError, match=r"val.tar.gz:q/train/fox-questions.csv, line 3: no '4'"):
        collection_questions("fairytaleqa", tmp_path)
    write("fairytaleqa/fairytaleqa_train_val.tar.gz", "no archive")
    with pytest.raises(ValueError, match=r"not a whole tar archive"):
        collection_questions("fairytaleqa", tmp_path)
