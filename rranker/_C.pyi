"""Types of the C++ extension. Ragged batches are CSR: values and int64 offsets, row i at
offsets[i]:offsets[i+1]."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_I64 = NDArray[np.int64]
_I32 = NDArray[np.int32]
_F64 = NDArray[np.float64]
_Ranked = tuple[_I64, _I32, _I64, _I32, NDArray[np.uint8]]

# permutation.cpp
def invert(order: _I64, offsets: _I64) -> _I64: ...
def compose(first: _I64, second: _I64, offsets: _I64) -> _I64: ...
def inversions(order: _I64, offsets: _I64) -> _I64: ...
def kendall_tau(a: _I64, b: _I64, offsets: _I64) -> _F64: ...
def spearman(a: _I64, b: _I64, offsets: _I64) -> _F64: ...
def rbo(a: _I64, b: _I64, offsets: _I64, p: float) -> _F64: ...

# parse.cpp
def parse_permutation(
    text: bytes, n: int, base: int, candidates: Sequence[bytes] | None, fallback: _I64 | None
) -> tuple[_I64, int, list[tuple[str, int]]]: ...
def parse_choice(
    text: bytes, n: int, base: int, candidates: Sequence[bytes] | None
) -> tuple[int, list[tuple[str, int]]]: ...

# batch.cpp
class BatchBuilder:
    @property
    def rows(self) -> int: ...
    def segment(self, start: int, length: int, position: int) -> int: ...
    def segments(self, start: int, lengths: _I64, position: int) -> _I64: ...
    def chunk(self, tokens: _I64, position: int, visible: _I64, query_index: int, first_slot: int) -> int: ...
    def questions(
        self,
        tokens: _I64,
        positions: _I64,
        always: _I64,
        places: _I64,
        subsets: Sequence[tuple[int, ...]],
        query_index: int,
        reads: int,
    ) -> int: ...
    def read(self, row: int) -> int: ...
    def reads(self, rows: _I64) -> int: ...
    def arrays(self) -> tuple[_I64, _I64, _I64, _I64, _I64, _I64, _I64, _I64, _I64, _I64, _I64]: ...

# attention_work.cpp
def attention_work(
    row_offsets: _I64,
    query_indices: _I64,
    visible: _I64,
    visible_offsets: _I64,
    segment_starts: _I64,
    segment_lengths: _I64,
    bidirectional: bool,
    height: int,
    limits: tuple[int, int, int, int, int],
) -> tuple[NDArray[np.int32], list[tuple[int, int]], list[tuple[int, int, int, int]], int, int, int]: ...
def hidden_keys(
    chunks: _I64,
    segments: _I64,
    row_offsets: _I64,
    visible: _I64,
    visible_offsets: _I64,
    segment_lengths: _I64,
) -> NDArray[np.bool_]: ...

# rewards.cpp, advantages.cpp
def step_rewards(
    relevance: _F64,
    relevance_offsets: _I64,
    exclusions: _I64,
    exclusion_offsets: _I64,
    hit: float,
    miss: float,
    invalid: float,
    gold: float,
) -> _F64: ...
def graded_rewards(
    relevance: _F64,
    relevance_offsets: _I64,
    exclusions: _I64,
    exclusion_offsets: _I64,
    k: int,
    exponential: bool,
    invalid: float,
) -> _F64: ...
def listing_rewards(
    relevance: _F64,
    relevance_offsets: _I64,
    listed: _I64,
    listed_offsets: _I64,
    k: int,
    exponential: bool,
    weight: float,
) -> _F64: ...
def format_scores(responses: list[str], prefilled: bool) -> _F64: ...
def returns(rewards: _F64, offsets: _I64, gamma: float) -> _F64: ...
def group_advantages(
    values: _F64, offsets: _I64, group_offsets: _I64, by_step: bool, scale: bool, epsilon: float
) -> _F64: ...

# join_qrels.cpp, join_qrels_dicts.cpp: (ranked offsets, ranked levels, judged offsets, judged levels, and 1 for queries
# whose two sides share no document)
def rank_int_ids(
    run_offsets: _I64,
    run_ids: _I64,
    run_scores: _F64,
    qrel_offsets: _I64,
    qrel_ids: _I64,
    qrel_levels: _I32,
    run_rows: _I64,
    qrel_rows: _I64,
    single: bool,
    max_docs: int,
    judged_only: bool,
) -> _Ranked: ...
def rank_text_ids(
    run_offsets: _I64,
    run_buffer: bytes,
    run_starts: _I64,
    run_lengths: _I32,
    run_scores: _F64,
    qrel_offsets: _I64,
    qrel_buffer: bytes,
    qrel_starts: _I64,
    qrel_lengths: _I32,
    qrel_levels: _I32,
    run_rows: _I64,
    qrel_rows: _I64,
    single: bool,
    max_docs: int,
    judged_only: bool,
) -> _Ranked: ...
def rank_aligned(
    offsets: _I64, scores: _F64, relevance: _I32, single: bool, max_docs: int, judged_only: bool
) -> _Ranked: ...
def rank_dicts(
    qrels: dict[str, dict[str, Any]],
    run: dict[str, dict[str, Any]],
    queries: list[str],
    single: bool,
    max_docs: int,
    judged_only: bool,
) -> _Ranked | None: ...  # None when a document id is not a str

# measures.cpp
def ndcg(
    ranked_offsets: _I64,
    ranked: _I32,
    judged_offsets: _I64,
    judged: _I32,
    k: int,
    gains: _F64,
    exponential: bool,
) -> _F64: ...
def reciprocal_rank(
    ranked_offsets: _I64, ranked: _I32, judged_offsets: _I64, judged: _I32, k: int, level: int
) -> _F64: ...
def average_precision(
    ranked_offsets: _I64, ranked: _I32, judged_offsets: _I64, judged: _I32, k: int, level: int
) -> _F64: ...
def found_within(
    ranked_offsets: _I64, ranked: _I32, judged_offsets: _I64, judged: _I32, k: int, level: int
) -> _F64: ...
def bpref(
    ranked_offsets: _I64, ranked: _I32, judged_offsets: _I64, judged: _I32, k: int, level: int
) -> _F64: ...
def err(
    ranked_offsets: _I64, ranked: _I32, judged_offsets: _I64, judged: _I32, k: int, max_level: int
) -> _F64: ...
def rbp(
    ranked_offsets: _I64,
    ranked: _I32,
    judged_offsets: _I64,
    judged: _I32,
    k: int,
    level: int,
    p: float,
    max_level: int,
) -> _F64: ...
def relevant_count(
    ranked_offsets: _I64, ranked: _I32, judged_offsets: _I64, judged: _I32, level: int
) -> _F64: ...

# trec.cpp: (queries, offsets, id starts, id lengths, values, run tag)
def parse_trec(text: bytes, run: bool, name: str) -> tuple[list[str], _I64, _I64, _I32, _F64, str]: ...

# significance.cpp
def bootstrap_means(differences: _F64, rounds: int, seed: int) -> _F64: ...
def randomisation_extremes(differences: _F64, rounds: int, seed: int) -> int: ...
