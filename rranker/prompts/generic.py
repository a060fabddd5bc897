"""Anything for anything: what is used when no task is named and the query is a string."""

from .template import Template

GENERIC = Template(
    name="generic",
    instruction="Rank the candidates by how well they fit the query.",
    brief="",
    query_heading="Query: ",
    history_heading="Items, oldest first:",
    list_heading="Candidates:",
    worst="The least fitting candidate",
    best="The most fitting candidate",
    item="Candidate",
    fits="Does the candidate fit the query?",
    invites="Write a query that the candidate fits.",
    search=True,
)
