"""Items for a user's history."""

from .template import Template

RECOMMENDATION = Template(
    name="recommendation",
    instruction="Rank the items by how likely the user is to choose them next.",
    brief="",
    query_heading="The user: ",
    history_heading="The user's history, oldest first:",
    list_heading="Items:",
    worst="The least likely item",
    best="The most likely item",
    item="Item",
    fits="Does the item fit the history?",
    invites="List what somebody chose before who chooses this item.",
)
