"""The full-size public originals, through `datasets.load_dataset`: by hub name, or by path to their files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rranker.files import ending

from .questions import Question
from .recommendation import Interactions, interactions_from
from .routing import RouterRow
from .table import library

FORMATS = {
    ".csv": "csv",
    ".dat": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}


def load_rows(source: str | Path, *, split: str = "train", **options: Any) -> Any:
    """A `datasets.Dataset`: from a file (its ending says how to read it, `.gz` left aside), else from the hub.

    `options` go to `load_dataset`: `sep` and `column_names` for csv, `name` for a hub configuration.
    """
    datasets = library()
    path = Path(source)
    if not path.suffix or not path.exists():
        return datasets.load_dataset(str(source), split=split, **options)
    form = FORMATS.get(ending(path))
    if form is None:
        raise ValueError(f"cannot tell the format of {path}: use {', '.join(FORMATS)}")
    return datasets.load_dataset(form, data_files=str(path), split="train", **options)


def ml_1m(folder: str | Path, seed: int = 0) -> Interactions:
    """MovieLens-1M as GroupLens packs it: `ratings.dat` and `movies.dat`, `::` between the fields, Latin-1."""
    form: dict[str, Any] = {"sep": "::", "engine": "python", "encoding": "latin-1"}
    movies = load_rows(Path(folder) / "movies.dat", column_names=["item", "title", "genres"], **form)
    names = {str(row["item"]): str(row["title"]) for row in movies}
    rows = load_rows(Path(folder) / "ratings.dat", column_names=["user", "item", "rating", "time"], **form)
    events = [(str(r["user"]), int(r["time"]), names[str(r["item"])]) for r in rows]
    return interactions_from("movies", events, seed)


def amazon_reviews(
    reviews: str | Path, items: str | Path, *, name: str = "games", seed: int = 0, **options: Any
) -> Interactions:
    """Amazon Reviews 2023: reviews with `user_id`, `parent_asin`, `timestamp`; items with their `title`."""
    titles = {row["parent_asin"]: row["title"] for row in load_rows(items, **options)}
    events = [
        (str(row["user_id"]), int(row["timestamp"]), titles[row["parent_asin"]])
        for row in load_rows(reviews, **options)
        if titles.get(row["parent_asin"])
    ]
    return interactions_from(name, events, seed)


def ms_marco(source: str | Path = "microsoft/ms_marco", **options: Any) -> list[Question]:
    """MS MARCO QA: a query with its ten or so retrieved passages, of which annotators selected some.

    Queries without a selected passage say nothing about order and are left out.
    """
    questions = []
    for row in load_rows(source, **options):
        passages = row["passages"]
        pairs = list(zip(passages["passage_text"], passages["is_selected"], strict=True))
        good = tuple(dict.fromkeys(text for text, selected in pairs if selected))
        bad = tuple(dict.fromkeys(text for text, selected in pairs if not selected and text not in good))
        if good and bad:
            questions.append(Question(f"marco-{row['query_id']}", row["query"], good, bad))
    return questions


def router_table(source: str | Path, descriptions: dict[str, str], **options: Any) -> list[RouterRow]:
    """RouterBench's wide table: `sample_id`, `prompt`, and per model a score and `model|total_cost`.

    `descriptions` says which models to read and what the ranker reads about each. Rows that miss a score are
    left out.
    """
    rows: Iterable[dict[str, Any]] = load_rows(source, **options)
    result = []
    for row in rows:
        scores = [row[model] for model in descriptions]
        costs = [row[f"{model}|total_cost"] for model in descriptions]
        if None not in scores and None not in costs:
            numbers = tuple(map(float, scores)), tuple(map(float, costs))
            texts = tuple(descriptions.values())
            result.append(RouterRow(str(row["sample_id"]), str(row["prompt"]), *numbers, texts))
    return result
