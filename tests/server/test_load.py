"""Many clients at once: nobody gets anything but a ranking or a 429, and rankings are those of direct calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from rranker import Ranker
from rranker.server.limits import Limits
from tests.server.conftest import serving

QUERIES = [f"note {i} on bees and rivers" for i in range(6)]
TEXTS = [
    f"text {i} on {name}" for i, name in enumerate(("bees", "tea", "rivers", "trains", "a bee", "rivers"))
]


@pytest.mark.parametrize("room", [64, 4])
def test_answers_under_load_are_those_of_direct_calls(room: int) -> None:
    # In float32: in bfloat16, which requests share a pass may show in the last bits.
    with Ranker(dtype="float32") as ranker:
        direct = {query: ranker.rank(query, TEXTS, template="passage") for query in QUERIES}
        with serving(ranker, limits=Limits(requests=room)) as server, ThreadPoolExecutor(16) as pool:
            asked = QUERIES * 12
            answers = list(
                pool.map(lambda q: server.post("/v2/rerank", {"query": q, "documents": TEXTS}), asked)
            )
    statuses = {answer.status for answer in answers}
    assert statuses == {200} if room == 64 else statuses <= {200, 429}
    served = [
        (query, answer.json) for query, answer in zip(asked, answers, strict=True) if answer.status == 200
    ]
    assert served
    for query, answer in served:
        assert [row["index"] for row in answer["results"]] == direct[query].order
        said = [row["relevance_score"] for row in answer["results"]]
        assert said == pytest.approx([item.relevance for item in direct[query]], abs=1e-5)
