"""TREC DL 2020 and 2021 by two-fold: each year's top-100 lists, re-ranked by what was trained on the other year's.

    python -m training.sft.from_encoder MINILM runs/start
    python -m training.sft.late_interaction runs/start runs/late
    python -m bench.two_fold --base runs/late --teacher MINILM --out runs/two-fold

trains twice (a finished run is kept, an interrupted one resumes), and prints nDCG@10 of both years and of all their
topics together, beside BM25 and MiniLM's rows, with the difference to the best of these, paired by topic.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.quality import Figures, compare, list_rows, table, told
from rranker import Ranker
from rranker.data import RankingExample, Topic
from rranker.data.passage import TRAIN_YEARS, judged

LISTS, PASSAGES = 8, 10
"""How many lists a topic makes to train on, and of how many judged passages."""
OPTIONS = (
    *("--weights", "own=0.4", "questions=0.4", "squad=0.2"),
    *("--optimizer", "adamw", "--lr", "1e-4", "--anchor", "0.5", "--tokens", "4096", "--accumulate", "1"),
    *("--steps", "150", "--save_every", "50"),
)


def lists_of(topic: Topic, seed: int) -> Iterator[RankingExample]:
    """Random judged passages of a topic with their grades as gains, 2^grade - 1; none where all are alike."""
    rng = np.random.default_rng([seed, int(topic.qid)])
    for number in range(LISTS):
        chosen = [topic.hits[i] for i in rng.permutation(len(topic.hits))[:PASSAGES]]
        gains = [2.0 ** (hit.grade or 0) - 1 for hit in chosen]
        if len(set(gains)) > 1:
            texts = [hit.text for hit in chosen]
            yield RankingExample("passage", topic.query, None, texts, gains, f"{topic.qid}-{number}")


def write_lists(year: int, path: Path) -> Path:
    """All lists of a year, as rows of one's own data."""
    rows = [asdict(example) for topic in judged(year) for example in lists_of(topic, year)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def train(year: int, base: str, teacher: str, out: Path) -> Path:
    """The model that has seen this year's judgements alone. Raises RuntimeError when its training fails."""
    folder = out / f"on-{year}"
    out.mkdir(parents=True, exist_ok=True)
    if not (folder / "final").exists():
        words = [sys.executable, "-m", "training.sft", "--out", str(folder), "--start", base]
        words += ["--data", str(write_lists(year, out / f"{year}.jsonl")), "--teacher", teacher, *OPTIONS]
        words += ["--resume"] * (folder / "state.pt").exists()
        with open(out / f"on-{year}.log", "a", encoding="utf-8") as log:
            code = subprocess.run(words, stdout=log, stderr=log, check=False).returncode
        if code:
            raise RuntimeError(f"training on 20{year} ended with {code}: see {log.name}, and run this again")
    return folder / "final"


def together(rows: dict[int, dict[str, Figures]]) -> dict[str, Figures]:
    """One table of all topics of all years, row by row."""
    result: dict[str, Figures] = {}
    for name in next(iter(rows.values())):
        means: dict[str, float] = {}
        for found in rows.values():
            means |= found[name]["ndcg_by_query"]
        result[name] = told("ndcg", means)
    compare(result, ["untrained", "two-fold"], "ndcg")
    return result


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.two_fold",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", required=True, help="folder of the ranking model that both begin with")
    parser.add_argument("--teacher", required=True, help="folder of the encoder that teaches passages")
    parser.add_argument("--out", type=Path, default=Path("runs/two-fold"))
    parser.add_argument("--lists", type=int, default=10_000, help="topics a year, at most")
    options = parser.parse_args(words)
    rows: dict[int, Any] = {}
    for year in TRAIN_YEARS:
        (other,) = set(TRAIN_YEARS) - {year}
        folder = train(other, options.base, options.teacher, options.out)
        with Ranker(options.base) as untrained, Ranker(folder) as trained:
            rankers = {"untrained": untrained, "two-fold": trained}
            rows[year] = list_rows(year, rankers, options.lists)
        print(table(f"TREC DL 20{year} top-100, trained on 20{other}", rows[year]), flush=True)
    print(table("both years", together(rows)), flush=True)
    (options.out / "two-fold.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
