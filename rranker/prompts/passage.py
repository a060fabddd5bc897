"""Passages for a search query."""

from .template import Template

PASSAGE = Template(
    name="passage",
    instruction="Rank the passages by how well they answer the query.",
    brief="",
    query_heading="Query: ",
    history_heading="Queries, oldest first:",
    list_heading="Passages:",
    worst="The least relevant passage",
    best="The most relevant passage",
    item="Passage",
    fits="Does the passage answer the query?",
    invites="Please write a question based on this passage.",
    search=True,
)
