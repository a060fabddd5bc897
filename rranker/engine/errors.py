"""What the engine refuses, and why."""


class UnsupportedModelError(ValueError):
    """The model computes something this engine cannot reproduce exactly; the message says what."""


class CapacityError(ValueError):
    """One query alone needs more KV tokens than the engine was given."""
