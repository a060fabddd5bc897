"""The one refusal of a prompt that has a way out: fewer candidates at once."""


class TooManyError(ValueError):
    """More candidates than can be shown at once. `most`: so many can, whichever they are; 0 where none can."""

    def __init__(self, message: str, most: int = 0) -> None:
        super().__init__(message)
        self.most = most
