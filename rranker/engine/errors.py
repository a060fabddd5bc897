"""What the engine refuses, and why."""

from traceback import clear_frames

from ..prompts.too_many import TooManyError


class UnsupportedModelError(ValueError):
    """The model computes something this engine cannot reproduce exactly; the message says what."""


class SettingError(ValueError):
    """A setting does not suit the model or the machine; the message names it and says what to pass."""


class CapacityError(TooManyError):
    """One query alone needs more KV tokens than the engine was given."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out. torch has a type of its own for it on GPUs, but not on CPUs."""
    from torch import OutOfMemoryError  # late: this module comes in without torch

    return isinstance(error, MemoryError | OutOfMemoryError) or "can't allocate memory" in str(error)


def device_broke(error: BaseException) -> bool:
    """Whether an error says that a device broke. It comes back with every later call, whatever is asked."""
    from torch import AcceleratorError

    return isinstance(error, AcceleratorError)


def release_frames(error: BaseException) -> None:
    """Lets go of what the frames of a failed call hold: activations, whose memory a retry needs.

    The traceback still says where it was.
    """
    chain, links = set[int](), [error]
    while links:
        link = links.pop()
        if id(link) not in chain:
            chain.add(id(link))
            clear_frames(link.__traceback__)
            links += [other for other in (link.__cause__, link.__context__) if other is not None]
