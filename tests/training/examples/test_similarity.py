"""The encoder that teaches compares texts as sentence-transformers would, each text once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as t

from rranker.data import Question
from rranker.training.examples.passages import DOUBT, Passages
from rranker.training.examples.similarity import Similarity
from rranker.training.sft.from_encoder import main
from tests.support.encoders import add_sentence_files, save_encoder
from tests.support.toy_examples import WORDS

TEXTS = [
    "red lamps turn current into heat",
    "the cat sat on the mat",
    "heat",
    "a red lamp and a cat on the mat",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_encoder(tmp_path, words=WORDS)


def test_scores_are_scaled_cosines_of_mean_states(folder: Path) -> None:
    teacher = Similarity(folder, batch=3)
    lm, tokenizer = t.AutoModel.from_pretrained(folder).eval(), t.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        means = [lm(**tokenizer(x, return_tensors="pt")).last_hidden_state[0].mean(0) for x in TEXTS]
    expected = [20 * float(torch.cosine_similarity(means[0], other, dim=0)) for other in means[1:]]
    np.testing.assert_allclose(
        teacher.scores(TEXTS[0], TEXTS[1:]), expected, atol=0.4
    )  # in bfloat16 on some CPUs


def test_texts_are_pooled_and_prompted_as_the_encoder_was_trained(folder: Path, tmp_path: Path) -> None:
    add_sentence_files(folder, {"pooling_mode_cls_token": True}, {"query": "heat: ", "document": "cat "})
    lm, tokenizer = t.AutoModel.from_pretrained(folder).eval(), t.AutoTokenizer.from_pretrained(folder)
    prompted = [f"heat: {TEXTS[0]}", *(f"cat {text}" for text in TEXTS[1:])]
    with torch.no_grad():
        firsts = [lm(**tokenizer(x, return_tensors="pt")).last_hidden_state[0, 0] for x in prompted]
    expected = [20 * float(torch.cosine_similarity(firsts[0], other, dim=0)) for other in firsts[1:]]
    found = Similarity(folder, batch=3).scores(TEXTS[0], TEXTS[1:])
    np.testing.assert_allclose(found, expected, atol=0.4)  # in bfloat16 on some CPUs
    main([str(folder), str(tmp_path / "ranker")])  # a ranking model of it compares as it does
    np.testing.assert_allclose(Similarity(tmp_path / "ranker").scores(TEXTS[0], TEXTS[1:]), found, atol=0.4)


def test_a_text_is_encoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher, seen = Similarity(folder), list[str]()
    encode = teacher._encoded
    monkeypatch.setattr(teacher, "_encoded", lambda texts: (seen.extend(texts), encode(texts))[1])
    first = teacher.vectors([*TEXTS, TEXTS[0]])
    assert np.array_equal(teacher.vectors(TEXTS), first[:4])
    assert np.array_equal(first[0], first[4])
    assert sorted(seen) == sorted(TEXTS)


def test_what_was_read_before_is_not_encoded_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher, other = Similarity(folder), Similarity(folder)
    teacher.read([*TEXTS[1:], TEXTS[1]], TEXTS[:1], torch.device("cpu"))
    monkeypatch.setattr(teacher, "_encoded", None)
    np.testing.assert_allclose(
        teacher.vectors(TEXTS), other.vectors(TEXTS), atol=0.02
    )  # bfloat16 on some CPUs


def test_where_questions_recur_no_text_that_answers_another_fills_a_list() -> None:
    asked = [Question(f"{i}", "do you share data?", (f"we share {i}",), (f"cookies {i}",)) for i in range(4)]
    made, rng = Passages(lambda _, texts: np.zeros(len(texts))), np.random.default_rng(0)
    filled, short = (
        [made.question(asked, rng, 4, fill=fill).ranking.candidates for _ in range(20)]
        for fill in (True, False)
    )
    assert any(
        sum("we share" in text for text in texts) > 1 for texts in filled
    )  # right answers, called wrong
    assert {frozenset(texts) for texts in short} <= {
        frozenset((f"we share {i}", f"cookies {i}")) for i in range(4)
    }


def test_a_mined_negative_that_the_teacher_likes_much_better_is_left_out() -> None:
    question = Question("q", "which?", ("gold",), ("near", "better"))
    scores = {"gold": 1.0, "near": 1.0 + 0.9 * DOUBT, "better": 1.0 + 1.1 * DOUBT}
    for doubts in (False, True):
        made = Passages(lambda _, texts: np.array([scores[text] for text in texts]), doubts=doubts)
        rng = np.random.default_rng(0)
        drawn = [made.question([question], rng, 3) for _ in range(50)]
        texts = {text for example in drawn for text in example.ranking.candidates}
        assert texts == ({"gold", "near"} if doubts else {"gold", "near", "better"})
        for example in drawn:
            case = example.ranking
            assert [text for text, grade in zip(case.candidates, case.relevance, strict=True) if grade] == [
                "gold"
            ]
            assert example.teacher_scores.tolist() == [scores[text] for text in case.candidates]
