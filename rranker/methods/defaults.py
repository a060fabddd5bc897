"""Which method suits a language model that was never trained to rank."""

from __future__ import annotations

UNTRAINED = {
    "passage": "query_likelihood",
    "generic": "query_likelihood",
    "recommendation": "query_likelihood",
    "routing": "query_likelihood",
}
"""By template. As measured on validation queries: docs/pretrained.md."""
