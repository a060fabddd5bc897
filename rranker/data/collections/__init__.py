"""Readers of public collections of questions with passages: `collection_questions(name)` reads one."""

from .catalogue import COLLECTIONS, Collection, collection_questions

__all__ = ["COLLECTIONS", "Collection", "collection_questions"]
