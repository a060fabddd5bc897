"""What goes between the host and the device in one step: many small arrays, few copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]

_ALIGNED = 16
"""Each array begins at so many bytes, as the compiled kernels assume."""
_BYTES = 1 << 22
"""Of the first buffer. What does not fit goes into another one of twice the size, which takes a copy of its own."""


class Transfer:
    """What the host tells a device: written side by side into pinned memory, and sent without waiting, in one copy.

    It may be sent several times; each time what was added since goes. On a CPU nothing is copied: a tensor lies over
    its array's own memory. A buffer is used for one step only: torch's allocators take it back, and give pinned memory
    out again when the copy has been made.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._host = self._there = torch.empty(0, dtype=torch.uint8, device="cpu")
        self._used = self._sent = 0

    def add(self, array: Array) -> Tensor:
        """A tensor of the array's shape and type on the device. It holds the array once `send` was called."""
        array = np.ascontiguousarray(array)
        if self.device.type == "cpu":
            return torch.from_numpy(array)
        begin = aligned(self._used)
        if begin + array.nbytes > len(self._host):
            self.send()
            self._reserve(array.nbytes)
            begin = 0
        self._used = begin + array.nbytes
        self._host.numpy()[begin : self._used] = array.reshape(-1).view(np.uint8)
        dtype = torch.from_numpy(array[:0]).dtype
        return self._there[begin : self._used].view(dtype).view(array.shape)

    def send(self) -> None:
        """Begins the copy of what was added since the last one."""
        if self._used > self._sent:
            part = slice(self._sent, self._used)
            self._there[part].copy_(self._host[part], non_blocking=True)
        self._sent = self._used

    def _reserve(self, needed: int) -> None:
        size = max(_BYTES, needed, 2 * len(self._host))
        # Pinned where something is there to pin it for; a device that is no GPU takes plain memory as well.
        pinned = self.device.type == "cuda"
        self._host = torch.empty(size, dtype=torch.uint8, device="cpu", pin_memory=pinned)
        self._there = torch.empty(size, dtype=torch.uint8, device=self.device)
        self._used = self._sent = 0


def aligned(size: int) -> int:
    """The next multiple of 16 bytes."""
    return -(-size // _ALIGNED) * _ALIGNED


class Readback:
    """What a device tells the host at the end of a step, in one copy, which waits for all that the step computes."""

    def __init__(self) -> None:
        self._tensors = list[Tensor]()
        self._arrays = list[Array]()

    def add(self, tensor: Tensor) -> Callable[[], Array]:
        """Asks for a tensor's numbers; the call gives them as an array of its shape, once `fetch` was called."""
        place = len(self._tensors)
        self._tensors.append(tensor)
        return lambda: self._arrays[place]

    def fetch(self) -> None:
        """Waits for the numbers of all tensors that were added."""
        if all(tensor.device.type == "cpu" for tensor in self._tensors) or len(self._tensors) == 1:
            self._arrays = [tensor.cpu().numpy() for tensor in self._tensors]
            return
        there = [tensor.contiguous().view(-1).view(torch.uint8) for tensor in self._tensors]
        flat, begin, arrays = torch.cat(there).cpu().numpy(), 0, list[Array]()
        for tensor in self._tensors:
            some = flat[begin : begin + tensor.nbytes].copy()  # from its own beginning on, as its type needs
            dtype = torch.empty(0, dtype=tensor.dtype, device="cpu").numpy().dtype
            arrays.append(some.view(dtype).reshape(tuple(tensor.shape)))
            begin += tensor.nbytes
        self._arrays = arrays
