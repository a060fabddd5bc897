"""A load leaves its caller's torch as it was: random numbers, and the device that tensors are made on by default."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def apart() -> Iterator[None]:
    """While it lasts tensors are made on the CPU unless a device is named; random numbers go on from before it.

    Models are built, and weights read, on the CPU, whatever `torch.set_default_device` says. On the way transformers
    and peft draw numbers for weights that are then read or dropped: a seeded run may not depend on whether its model
    was loaded before.
    """
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        yield
