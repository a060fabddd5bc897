"""Readers of collections whose near misses are mined, on a few hand-written rows in each owner's format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from rranker.data import COLLECTIONS, collection_questions
from rranker.data.collections.mining import Asked, Group
from rranker.data.collections.products import SUBJECTIVE
from rranker.data.collections.texts import detokenised, passage_spans
from tests.support.question_files import QuestionFiles, json_lines, table


def test_an_unknown_collection_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no collection is called 'nq'; there are .*nq_oracle.*wikiqa"):
        collection_questions("nq")


def test_a_missing_file_is_named(files: QuestionFiles) -> None:
    for name in COLLECTIONS:
        with pytest.raises(FileNotFoundError, match=r"missing data file .*questions/\w+/.*RRANKER_DATA"):
            files.read(name)


def test_near_misses_neither_answer_nor_repeat_and_come_nearest_first() -> None:
    group = Group(
        [
            "a cat, sat",
            "A cat that sat in Rome",
            "Then the cat sat.",
            "a cat and a dog",
            "rain.",
            "a cat, sat",
        ]
    )
    asked = Asked("where is the cat that sat", ("The CAT sat!",), answers=("rome", "no"), unsure=("RAIN",))
    assert group.near_misses(asked) == ("a cat, sat", "a cat and a dog")
    assert group.near_misses(asked, near=1) == ("a cat, sat",)
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


def test_squad_format_mines_the_same_site_and_merges_its_equal_questions(files: QuestionFiles) -> None:
    site = {
        "We keep\nyour name.": [("What do you keep?", "your name")],
        "We also keep your age.": [("what do you keep?", "your age"), ("Why?", "keep")],
        "Sometimes your name is sold.": [],
        "Call us.": [],
    }
    files.write("policyqa/dev.json.gz", json.dumps({"data": [article("a.com", site)]}))
    other = {"We keep nothing.": [("What do you keep?", "nothing")]}
    files.write("policyqa/test.json.gz", json.dumps({"data": [article("b.com", other)]}))
    assert files.read("policyqa") == [
        ("What do you keep?", {"We keep your name.", "We also keep your age."}, {"Call us."}),
        ("Why?", {"We also keep your age."}, {"Sometimes your name is sold.", "Call us."}),
    ]


def test_a_paper_is_cut_around_the_answer(files: QuestionFiles) -> None:
    sentences = [f"Sentence {i} has exactly ten words and not one more. " for i in range(60)]
    paper = "".join(sentences)
    data = [article(None, {paper: [("Which?", "Sentence 33 has")]})]
    files.write("covidqa_deepset/200423_covidQA.json.gz", json.dumps({"data": data}))
    [(_, good_texts, bad)] = files.read("covidqa_deepset")
    [good] = good_texts
    assert "Sentence 33 has" in good
    assert len(good.split()) < 151
    assert sorted(" ".join((good, *bad)).split()) == sorted(paper.split())


def test_a_broken_article_is_named_by_file_and_record(files: QuestionFiles) -> None:
    files.write("policyqa/dev.json.gz", json.dumps({"data": [article("a", {"b": []}), {"title": "c"}]}))
    files.write("policyqa/test.json.gz", json.dumps({"data": []}))
    with pytest.raises(ValueError, match=r"policyqa/dev.json.gz, record 2: no 'paragraphs'"):
        files.read("policyqa")
    files.write("policyqa/dev.json.gz", json.dumps({"datum": []}))
    with pytest.raises(ValueError, match=r"policyqa/dev.json.gz, line 1: an object with a list 'data'"):
        files.read("policyqa")


def test_natural_questions_are_one_pool_and_qed_has_what_the_oracle_lacks(files: QuestionFiles) -> None:
    def gold(question: str, text: str, answer: str) -> dict[str, Any]:
        return {"question": question, "answers": [answer], "ctxs": [{"text": text, "isgold": True}]}

    def explained(question: str, text: str, answer: str) -> dict[str, Any]:
        answers = [[{"string": answer}]]
        return {"question_text": question, "paragraph_text": text, "original_nq_answers": answers}

    pairs = [("who won", "Ann won , twice .", "Ann"), ("who lost", "Bob lost .", "Bob lost")]
    files.write(
        "nq_oracle/nq-open-oracle.jsonl.gz", json_lines([gold(*pairs[0]), gold("why", "It rained.", "rain")])
    )
    files.write("qed/qed-dev.jsonlines.gz", json_lines([explained(*pair) for pair in pairs]))
    assert files.read("nq_oracle") == [
        ("who won", {"Ann won , twice ."}, {"It rained."}),
        ("why", {"It rained."}, {"Ann won , twice ."}),
    ]
    assert files.read("qed") == [("who lost", {"Bob lost."}, {"Ann won, twice."})]


def test_spans_of_tokens_are_answers(files: QuestionFiles) -> None:
    def row(question: str, context: str, label: str) -> dict[str, Any]:
        return {"question": question.split(), "context": context.split(), "label": label.split()}

    data = [
        row("who sang ?", "Dave Stewart and Ann sang .", "B I O B O O"),
        row("who left ?", "Mary Ann left .", "B I O O"),
        row("who ate ?", "Dave ate .", "B O O"),
    ]
    files.write("multispanqa/valid.json.gz", json.dumps({"data": data}))
    first, *_ = files.read("multispanqa")
    assert first == ("who sang?", {"Dave Stewart and Ann sang."}, {"Dave ate."})
    files.write("multispanqa/valid.json.gz", json.dumps({"data": [row("a", "b c", "O")]}))
    with pytest.raises(ValueError, match=r"valid.json.gz, record 1: 1 labels for 2 tokens"):
        files.read("multispanqa")


def test_stories_are_read_from_their_archive(files: QuestionFiles) -> None:
    story = [{"section": i, "text": f"part\n{i}"} for i in (1, 2, 3)]
    asked = [
        {"cor_section": "1,2", "question": "Who?", "answer1": "a fox", "answer2": ""},
        {"cor_section": "4", "question": "Where?", "answer1": "", "answer2": ""},
    ]
    name = "fairytaleqa/fairytaleqa_train_val.tar.gz"
    packed = {"s/train/fox-story.csv": table(story), "q/train/fox-questions.csv": table(asked[:1])}
    files.archive(name, packed)
    assert files.read("fairytaleqa") == [("Who?", {"part 1", "part 2"}, {"part 3"})]
    files.archive(name, packed | {"q/train/fox-questions.csv": table(asked)})
    with pytest.raises(ValueError, match=r"val.tar.gz:q/train/fox-questions.csv, line 3: no '4'"):
        files.read("fairytaleqa")
    files.write("fairytaleqa/fairytaleqa_train_val.tar.gz", "no archive")
    with pytest.raises(ValueError, match=r"not a whole tar archive"):
        files.read("fairytaleqa")


def test_pages_on_the_same_disease_are_one_and_lone_answers_take_the_same_kind(files: QuestionFiles) -> None:
    def page(focus: str, *pairs: tuple[str, str, str]) -> str:
        body = "".join(
            f"<QAPair><Question qtype='{kind}'>{asked}</Question><Answer>{answer}</Answer></QAPair>"
            for kind, asked, answer in pairs
        )
        return f"<Document><Focus>{focus}</Focus><QAPairs>{body}</QAPairs></Document>"

    name = "medquad/MedQuAD_1-9.tar.gz"
    packed = {
        "1/a.xml": page(
            "Flu", ("cause", "What causes Flu ?", "A virus."), ("sign", "Signs of Flu ?", "Fever.")
        ),
        "2/b.xml": page("flu", ("cause", "What causes flu?", "Influenza."), ("cure", "Cure of flu?", "")),
        "2/c.xml": page("Gout", ("cause", "What causes gout?", "Uric acid.")),
        "2/d.xml": page("Ague", ("cause", "What causes ague?", "Gnats. It is no gout.")),
    }
    files.archive(name, packed)
    assert files.read("medquad") == [
        ("What causes Flu?", {"A virus.", "Influenza."}, {"Fever."}),
        ("Signs of Flu?", {"Fever."}, {"A virus.", "Influenza."}),
        ("What causes gout?", {"Uric acid."}, {"A virus.", "Influenza."}),
        ("What causes ague?", {"Gnats. It is no gout."}, {"A virus.", "Influenza.", "Uric acid."}),
    ]
    files.archive(name, packed | {"2/b.xml": "<Document>\n<Focus></Document>"})
    with pytest.raises(ValueError, match=r"1-9.tar.gz:2/b.xml, line 2: not XML: mismatched tag"):
        files.read("medquad")


def test_facts_of_other_questions_are_misses(files: QuestionFiles) -> None:
    records = [{"question": f"Is {name}?", "facts": [f"{name} was", f"{name} is"]} for name in ("Ann", "Bob")]
    files.write("strategyqa/train.json.gz", json.dumps(records[:1]))
    files.write("strategyqa/dev.json", json.dumps(records[1:]))
    assert files.read("strategyqa") == [
        ("Is Ann?", {"Ann was", "Ann is"}, {"Bob was", "Bob is"}),
        ("Is Bob?", {"Bob was", "Bob is"}, {"Ann was", "Ann is"}),
    ]
    evidence = [{"question": "Who?", "answer": "Ann", "evidence": ["Rome | It fell.", "Ann ruled."]}]
    other = [{"question": "What?", "answer": "no", "evidence": ["No rain."]}]
    files.write("hotpotqa_evidence/train.jsonl", json_lines(evidence))
    files.write("hotpotqa_evidence/test.json", json.dumps(other))
    assert files.read("hotpotqa_evidence") == [
        ("Who?", {"Rome: It fell.", "Ann ruled."}, {"No rain."}),
        ("What?", {"No rain."}, {"Rome: It fell.", "Ann ruled."}),
    ]


def test_pairs_are_lines_of_two_files(files: QuestionFiles) -> None:
    sentences = [f"sentence {i} ." for i in range(61)]
    files.write("squad_nqg/src-test.txt.gz", "\n".join([*sentences, "the last ."]))
    files.write("squad_nqg/tgt-test.txt", "\n".join(f"which is {i} ?" for i in range(62)))
    questions = files.read("squad_nqg")
    assert questions[7][:2] == ("which is 7?", {"sentence 7."})
    assert len(questions[7][2]) == 20
    assert not questions[7][2] & {
        "sentence 7.",
        "sentence 60.",
        "the last.",
    }  # 60 lines on is another article
    assert questions[60] == ("which is 60?", {"sentence 60."}, {"the last."})
    files.write("squad_nqg/tgt-test.txt", "which ?\n")
    with pytest.raises(ValueError, match=r"tgt-test.txt, line 2: no line for that of .*src-test.txt.gz"):
        files.read("squad_nqg")


def test_paragraphs_of_a_report_and_a_table(files: QuestionFiles) -> None:
    def asked(question: str, answer: Any, relevant: list[str]) -> dict[str, Any]:
        return {"question": question, "answer": answer, "rel_paragraphs": relevant}

    paragraphs = [
        {"order": i, "text": text} for i, text in enumerate(("Cash is 5.", "Debt is high.", "Notes."), 1)
    ]
    questions = [asked("Debt?", ["high"], ["2"]), asked("Sum?", 7.0, ["1"]), asked("Table?", ["x"], [])]
    page = {"table": {"uid": "p"}, "paragraphs": paragraphs, "questions": questions}
    files.write("tatqa/tatqa_dataset_dev.json.gz", json.dumps([page]))
    assert files.read("tatqa") == [
        ("Debt?", {"Debt is high."}, {"Cash is 5.", "Notes."}),
        ("Sum?", {"Cash is 5."}, {"Debt is high.", "Notes."}),
    ]


def test_code_is_searched_without_the_queries_of_the_retrieval_sets(files: QuestionFiles) -> None:
    def row(number: int, label: int) -> dict[str, Any]:
        return {
            "idx": f"cosqa-dev-{number}",
            "doc": f"query {number}",
            "code": f"f{number}():\n  0",
            "label": label,
        }

    files.write("codesearch/cosqa-dev.json", json.dumps([row(0, 1), row(1, 1), row(2, 0), row(3, 1)]))
    assert files.read("codesearch") == [
        ("query 0", {"f0(): 0"}, {"f2(): 0", "f3(): 0"}),
        ("query 3", {"f3(): 0"}, {"f0(): 0", "f2(): 0"}),
    ]


def test_questions_are_asked_back(files: QuestionFiles) -> None:
    bank = ["", "do you mean rome", "do you mean paris", "any dates"]
    files.write("clariq/question_bank.tsv", table([{"question": text} for text in bank], "\t"))
    for part, text in (("train.tsv.gz", bank[1]), ("dev.tsv", bank[0]), ("test_with_labels.tsv.gz", bank[2])):
        rows = [{"initial_request": "Tell me of Rome.", "question": text}]
        files.write(f"clariq/{part}", table(rows, "\t"))
    assert files.read("clariq") == [("Tell me of Rome.", {bank[1], bank[2]}, {bank[3]})]


def test_reviews_that_name_the_aspect_are_no_misses(files: QuestionFiles) -> None:
    def row(review: str, spans: str, item: str = "i") -> dict[str, str]:
        return {
            "item_id": item,
            "nn_asp": "parking",
            "query_asp": "garage",
            "question": "How is parking?",
            "review": f"{review} ANSWERNOTFOUND",
            "human_ans_spans": spans,
        }

    found = [row("Parking &amp; beds\nare fine.", "fine"), row("Dear.", "ANSWERNOTFOUND")]
    found += [row("The garage leaks.", "ANSWERNOTFOUND"), row("Elsewhere.", "ANSWERNOTFOUND", "j")]
    for domain, parts in SUBJECTIVE.items():
        for part in parts:
            files.write(f"subjqa/{domain}.{part}", table(found))
    assert files.read("subjqa") == [("How is parking?", {"Parking & beds are fine."}, {"Dear."})]
