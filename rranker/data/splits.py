"""What of the training side is kept from training, so that choices are made on it: by a hash, the same everywhere."""

from __future__ import annotations

from typing import Literal
from zlib import crc32

Split = Literal["train", "validation", "test"]


def in_validation(key: str, one_in: int = 10) -> bool:
    """Whether a user or query of the training side, named by `key`, belongs to validation: one in so many does."""
    return crc32(key.encode("utf-8", "replace")) % one_in == 0
