"""Lists and a document that do not fit: `python -m bench.long --model smollm2`.

2,000 candidates, the beginnings of public passages, of which the best ten are asked for; then a document of 1 MB among
eight others, whole, by its parts. One passage of each is what the query asks about. Budgets are the defaults. Prints
Markdown: where that passage was ranked, tokens, passes, seconds (of the process itself), and how much memory was added
at most (see `bench.memory`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.memory import MB, peak_of, resident
from bench.pretrained_models import smollm2_folder
from rranker import Ranker, Ranking, data

QUERY = "how do honey bees tell each other where flowers are?"
ANSWER = (
    "A honey bee that has found flowers dances in the hive; the angle of her dance tells others where to fly."
)
METHODS = ("query_likelihood", "dranker", "tournament", "setwise", "iranker")


def passages() -> list[str]:
    """The passages of TREC DL 2019's lists, each once."""
    return list(dict.fromkeys(hit.text for topic in data.trecdl(19) for hit in topic.hits))


def row(name: str, ranker: Ranker, candidates: Sequence[str], right: int, **settings: Any) -> str:
    """Ranks, and says what came of it."""
    loaded = resident("VmRSS")
    began = time.process_time()
    with peak_of() as peak:
        ranking: Ranking = ranker.rank(QUERY, candidates, template="passage", **settings)
    seconds = time.process_time() - began
    (item,) = [item for item in ranking if item.index == right]
    place = f"{ranking.order.index(right) + 1}"
    if item.span is not None:
        place += ", the right part" if ANSWER in item.text[slice(*item.span)] else ", another part"
    told = "; ".join(repair.message for repair in ranking.repairs if repair.kind == "windowed")
    stats, added = ranking.stats, (peak[0] - loaded) / MB
    print(
        f"| {name} | {place} | {len(ranking.rounds):,} | {stats.tokens_encoded:,} | {stats.forward_passes} |",
        end="",
    )
    print(f" {seconds:.0f} | {added:,.0f} |", flush=True)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.long", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a checkpoint folder, or smollm2; left out, the bundled model")
    parser.add_argument("--candidates", type=int, default=2000)
    parser.add_argument("--characters", type=int, default=120, help="of each of them")
    parser.add_argument("--document", type=int, default=1_000_000, help="characters; 0: none")
    parser.add_argument("--methods", nargs="*", default=METHODS, help="for the list")
    options = parser.parse_args()
    model = smollm2_folder(Path("runs/models")) if options.model == "smollm2" else options.model
    texts = passages()
    short = list(dict.fromkeys(text[: options.characters] for text in texts))[: options.candidates - 1]
    many = [*short[:700], ANSWER, *short[700:]]
    text = "\n".join(texts)[: options.document]
    document = f"{text[: len(text) // 2]} {ANSWER} {text[len(text) // 2 :]}"
    notes = dict[str, str]()
    with Ranker(model) as ranker:
        ranker.rank(QUERY, ["a", "b"])  # what is made once is made here
        print("| | place | rounds | tokens | passes | CPU s | MB |\n|---|---|---:|---:|---:|---:|---:|")
        for method in options.methods:
            name = f"{len(many):,} candidates, {method}"
            try:
                notes[name] = row(name, ranker, many, many.index(ANSWER), method=method, top_k=10)
            except ValueError as error:
                print(f"({name}: left out, {error})", flush=True)
        if options.document:
            name = f"a document of {len(document) / MB:.1f} MB and 8 others"
            row(name, ranker, [*texts[:8], document], 8, long_text="chunk", top_k=1)
    for name, told in notes.items():
        if told:
            print(f"\n{name}: {told}")


if __name__ == "__main__":
    main()
