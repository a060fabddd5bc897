"""Query likelihood (Ponte and Croft 1998; with language models Sachan et al. 2022, arXiv 2204.07496)."""

from __future__ import annotations

from .listwise import Listwise
from .registry import register


@register
class QueryLikelihood(Listwise):
    """Sorted by how probable each candidate, alone, makes the query: the mean log-probability of the query's tokens."""

    name = "query_likelihood"
    kind = "likelihood"
