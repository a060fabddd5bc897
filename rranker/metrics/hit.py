"""Hit rate: the recommender's name for success."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rranker.metrics.success import Success


@dataclass(frozen=True)
class Hit(Success):
    """1 when a held-out item stands within k, else 0; its mean is HR@k (Deshpande and Karypis 2004).

    The same number as Success@k; with a single held-out item also that of R@k.
    """

    label: ClassVar[str] = "Hit"
