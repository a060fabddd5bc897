"""Readers of public collections of questions with passages: `collection_questions(name)` reads one."""

from .catalogue import COLLECTIONS, RECURRING, Collection, collection_questions

__all__ = ["COLLECTIONS", "RECURRING", "Collection", "collection_questions"]
