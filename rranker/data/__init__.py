"""Seeded readers of public ranking data: plain files in, `RankingExample`s out."""

from rranker.deprecated import renamed_members

from .agentcf import agentcf_cases
from .collections import COLLECTIONS, Collection, collection_questions
from .corpus import textbooks, wikipedia
from .episodes import iterative_cases
from .example import RankingExample, data_file, data_folder
from .lexical import BM25
from .originals import amazon_reviews, load_rows, ml_1m, ms_marco, router_table
from .own import own_examples, read_examples
from .passage import Topic, judged, list_cases, passage_cases, topics, trecdl
from .pubmedqa import pubmedqa
from .questions import Question, cacm, cranfield, question_cases, squad
from .recommendation import (
    INTERACTIONS,
    Interactions,
    games,
    interactions_from,
    lastfm,
    movielens,
    recommendation_cases,
)
from .routeprofile import routeprofile
from .routing import DESCRIPTIONS, RouterRow, max_cost, routerbench, routing_case, routing_cases
from .splits import Split, in_validation
from .table import from_dataset, read_parquet, to_dataset, write_parquet
from .tasks import BENCHMARK_TASKS, OUT_OF_DOMAIN, task_cases
from .texts import read_texts

__all__ = [
    "BENCHMARK_TASKS",
    "BM25",
    "COLLECTIONS",
    "DESCRIPTIONS",
    "INTERACTIONS",
    "OUT_OF_DOMAIN",
    "Collection",
    "Interactions",
    "Question",
    "RankingExample",
    "RouterRow",
    "Split",
    "Topic",
    "agentcf_cases",
    "amazon_reviews",
    "cacm",
    "collection_questions",
    "cranfield",
    "data_file",
    "data_folder",
    "from_dataset",
    "games",
    "in_validation",
    "interactions_from",
    "iterative_cases",
    "judged",
    "lastfm",
    "list_cases",
    "load_rows",
    "max_cost",
    "ml_1m",
    "movielens",
    "ms_marco",
    "own_examples",
    "passage_cases",
    "pubmedqa",
    "question_cases",
    "read_examples",
    "read_parquet",
    "read_texts",
    "recommendation_cases",
    "routeprofile",
    "router_table",
    "routerbench",
    "routing_case",
    "routing_cases",
    "squad",
    "task_cases",
    "textbooks",
    "to_dataset",
    "topics",
    "trecdl",
    "wikipedia",
    "write_parquet",
]

__getattr__ = renamed_members(__name__, {"Case": "RankingExample", "NINE": "BENCHMARK_TASKS"})
