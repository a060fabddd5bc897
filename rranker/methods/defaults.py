"""Which method suits a language model that was never trained to rank."""

from __future__ import annotations

UNTRAINED = {
    "passage": "query_likelihood",
    "generic": "query_likelihood",
    "recommendation": "dranker",
    "routing": "dranker",
}
"""By template, as measured on validation queries (docs/pretrained.md): the likelihood of a query ranks passages far
better than anything else that was asked; on histories and routes nothing is worth more than one pass.
"""
