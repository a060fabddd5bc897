"""A load and its caller leave each other's torch alone: random numbers, the default device, autocast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..autocast import without_autocast


@contextmanager
def apart() -> Iterator[None]:
    """While it lasts tensors are made on the CPU unless a device is named; random numbers go on from before it.

    Models are built, and weights read, on the CPU, whatever `torch.set_default_device` says. On the way transformers
    and peft draw numbers for weights that are then read or dropped: a seeded run may not depend on whether its model
    was loaded before. Nor is a model checked in other types than its own because the caller has autocast on.
    """
    uncast = without_autocast("cpu"), without_autocast("cuda")
    with torch.device("cpu"), torch.random.fork_rng(devices=[]), uncast[0], uncast[1]:
        yield
