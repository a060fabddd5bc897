"""What the engine refuses, and why."""

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
