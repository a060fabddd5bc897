"""Language models for a query: which one should answer it."""

from .template import Template

ROUTING_INSTRUCTIONS = {
    "performance": "Best answer quality; ignore cost.",
    "balance": "Balance answer quality and cost.",
    "cost": "Low cost first; quality second.",
}
"""Instructions for the three usual trade-offs between score and cost: weights 1:0, 0.5:0.5 and 0.2:0.8."""

ROUTING = Template(
    name="routing",
    instruction="Rank the language models by how well each would serve the query. "
    + ROUTING_INSTRUCTIONS["balance"],
    brief=ROUTING_INSTRUCTIONS["balance"],
    query_heading="Query: ",
    history_heading="Conversation, oldest first:",
    list_heading="Models:",
    worst="The least suitable model",
    best="The most suitable model",
    item="Model",
    fits="Would the model serve the query well?",
    invites="Write a query that the model would serve well.",
)
