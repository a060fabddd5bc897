"""Seeded readers of public ranking data: plain files in, `Case`s out."""

from .case import Case, data_file, data_folder
from .corpus import textbooks, wikipedia
from .lexical import BM25
from .passage import Topic, judged, list_cases, passage_cases, trecdl
from .questions import Question, cacm, cranfield, question_cases, squad
from .recommendation import Interactions, games, lastfm, movielens, recommendation_cases
from .routing import DESCRIPTIONS, RouterRow, max_cost, routerbench, routing_case, routing_cases

__all__ = [
    "BM25",
    "DESCRIPTIONS",
    "Case",
    "Interactions",
    "Question",
    "RouterRow",
    "Topic",
    "cacm",
    "cranfield",
    "data_file",
    "data_folder",
    "games",
    "judged",
    "lastfm",
    "list_cases",
    "max_cost",
    "movielens",
    "passage_cases",
    "question_cases",
    "recommendation_cases",
    "routerbench",
    "routing_case",
    "routing_cases",
    "squad",
    "textbooks",
    "trecdl",
    "wikipedia",
]
