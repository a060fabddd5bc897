"""`datasets` in and out, and `load_dataset` on small files in the schema of the full-size originals."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from rranker.data import (
    RankingExample,
    amazon_reviews,
    from_dataset,
    load_rows,
    ml_1m,
    ms_marco,
    router_table,
    to_dataset,
)

pytestmark = pytest.mark.data

pytest.importorskip("datasets", reason="needs the train extra")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def test_cases_survive_the_round_trip() -> None:
    cases = [
        RankingExample("passage", "who?", None, ["a", "b", ""], [0.0, 2.5, 1.0], "1"),
        RankingExample("recommendation", ["x", "ü"], "Be kind.", ["c"], [1.0], "2"),
    ]
    dataset = to_dataset(cases)
    assert set(dataset.column_names) == {
        "id",
        "task",
        "query",
        "history",
        "instruction",
        "candidates",
        "relevance",
    }
    assert from_dataset(dataset) == cases
    assert from_dataset(to_dataset(cases[:1])) == cases[:1]
    assert from_dataset(dataset.rename_column("relevance", "grades")) == cases  # as 0.1 wrote it


def test_movielens_1m(tmp_path: Path) -> None:
    movies = "1::Amélie (2001)::Comedy\n2::Heat (1995)::Crime\n3::Alien (1979)::Horror\n"
    (tmp_path / "movies.dat").write_text(movies, encoding="latin-1")
    (tmp_path / "ratings.dat").write_text("7::3::5::300\n7::1::4::100\n8::2::3::50\n7::2::4::200\n")
    found = ml_1m(tmp_path)
    named = [[found.titles[i] for i in items] for items in found.histories]
    assert named == [["Amélie (2001)", "Heat (1995)", "Alien (1979)"], ["Heat (1995)"]]


def test_amazon_reviews(tmp_path: Path) -> None:
    items = [{"parent_asin": "B1", "title": "Chess &amp; Go"}, {"parent_asin": "B2", "title": ""}]
    items.append({"parent_asin": "B3", "title": "Dice"})
    reviews = [("u", "B3", 5), ("u", "B1", 2), ("u", "B2", 1), ("v", "B3", 9)]
    lines = [{"user_id": u, "parent_asin": b, "timestamp": t, "rating": 5.0} for u, b, t in reviews]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, items)))
    (tmp_path / "reviews.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = amazon_reviews(tmp_path / "reviews.jsonl", tmp_path / "items.jsonl")
    assert [[found.titles[i] for i in items] for items in found.histories] == [
        ["Chess & Go", "Dice"],
        ["Dice"],
    ]


def test_ms_marco(tmp_path: Path) -> None:
    rows = [
        {
            "query_id": 1,
            "query": "q",
            "passages": {"is_selected": [0, 1, 0], "passage_text": ["a", "b", "b"]},
        },
        {"query_id": 2, "query": "r", "passages": {"is_selected": [0, 0], "passage_text": ["a", "b"]}},
    ]
    (tmp_path / "train.json").write_text("\n".join(map(json.dumps, rows)))
    (found,) = ms_marco(tmp_path / "train.json")
    assert (found.id, found.text, found.good, found.bad) == ("marco-1", "q", ("b",), ("a",))


def test_router_table(tmp_path: Path) -> None:
    text = "sample_id,prompt,m1,m1|total_cost,m2,m2|total_cost\na.1,Why?,1.0,0.002,0.5,0.0001\na.2,How?,,,1.0,0.1\n"
    (tmp_path / "wide.csv").write_text(text)
    (row,) = router_table(tmp_path / "wide.csv", {"m1": "Model one", "m2": "Model two"})
    assert row.scores == (1.0, 0.5)
    assert row.costs == (0.002, 0.0001)
    assert row.candidates == ("Model one", "Model two")


@pytest.mark.parametrize("name", ["rows.ndjson", "ROWS.JSON", "rows.jsonl.gz"])
def test_a_file_is_known_by_its_name_however_that_is_spelled(tmp_path: Path, name: str) -> None:
    data = json.dumps({"query": "q"}).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert list(load_rows(tmp_path / name)) == [{"query": "q"}]


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.xls").write_text("")
    with pytest.raises(ValueError, match=r"format of .*x\.xls"):
        load_rows(tmp_path / "x.xls")
