"""How an encoder compares texts, read from what sentence-transformers saves beside its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rranker import UnsupportedModelError
from rranker.engine.loading.sentence_encoder import SentenceEncoding, read_sentence_encoding
from tests.support.encoders import add_sentence_files

OLD = {f"pooling_mode_{name}": False for name in ("cls_token", "mean_tokens", "max_tokens", "lasttoken")}


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({**OLD, "pooling_mode_mean_tokens": True}, "mean"),
        ({**OLD, "pooling_mode_cls_token": True}, "cls"),
        (OLD, "mean"),
        ({"pooling_mode": "cls", "include_prompt": True}, "cls"),
        ({"pooling_mode": ["mean"]}, "mean"),
    ],
)
def test_pooling_is_read_as_every_release_wrote_it(pooling: Any, expected: str, tmp_path: Path) -> None:
    assert read_sentence_encoding(add_sentence_files(tmp_path, pooling)) == SentenceEncoding(expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ({}, ("", "")),
        ({"query": "query: ", "document": "passage: "}, ("query: ", "passage: ")),
        ({"query": "", "corpus": "c ", "passage": "p "}, ("", "p ")),
        ({"web_search_query": "Find: "}, ("", "")),
    ],
)
def test_prompts_are_those_that_encode_query_and_encode_document_take(
    prompts: dict[str, str], expected: tuple[str, str], tmp_path: Path
) -> None:
    found = read_sentence_encoding(add_sentence_files(tmp_path, {"pooling_mode": "mean"}, prompts))
    assert (found.query_prompt, found.document_prompt) == expected


def test_a_bare_encoder_compares_means(tmp_path: Path) -> None:
    assert read_sentence_encoding(tmp_path) == SentenceEncoding("mean", "", "")


@pytest.mark.parametrize(
    ("pooling", "said"),
    [
        ({"pooling_mode": "lasttoken"}, "pooling 'lasttoken' is not"),
        ({**OLD, "pooling_mode_max_tokens": True}, "pooling 'max' is not"),
        ({"pooling_mode": ["cls", "mean"]}, r"pooling \['cls', 'mean'\] is not"),
        (
            {"pooling_mode": "mean", "include_prompt": False},
            "pooling 'mean' without the prompt's tokens is not",
        ),
    ],
)
def test_other_pooling_is_refused_by_its_name(pooling: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=said):
        read_sentence_encoding(add_sentence_files(tmp_path, pooling))


def test_a_layer_behind_the_pooling_is_refused(tmp_path: Path) -> None:
    add_sentence_files(tmp_path, {"pooling_mode": "mean"}, last="Dense")
    with pytest.raises(
        UnsupportedModelError, match="made by Transformer, Pooling, Dense, and a ranking model"
    ):
        read_sentence_encoding(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("modules.json", "{}", r"modules\.json must hold a list of modules"),
        ("modules.json", "[", r"modules\.json is not valid JSON"),
        ("1_Pooling/config.json", "[]", r"config\.json must hold a JSON object"),
        ("config_sentence_transformers.json", '{"prompts": ["a"]}', "`prompts` must be an object of texts"),
    ],
)
def test_a_damaged_file_is_named(name: str, content: str, said: str, tmp_path: Path) -> None:
    add_sentence_files(tmp_path, {"pooling_mode": "mean"})
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=said):
        read_sentence_encoding(tmp_path)


def test_a_missing_pooling_file_is_named(tmp_path: Path) -> None:
    add_sentence_files(tmp_path, {})
    modules = json.loads((tmp_path / "modules.json").read_text())
    modules[1]["path"] = "elsewhere"
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(FileNotFoundError, match=r"elsewhere/config\.json is missing"):
        read_sentence_encoding(tmp_path)
