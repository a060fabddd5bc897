"""An error that came up in a batch, saying which query it is about."""

from __future__ import annotations

from .engine.errors import CapacityError
from .prompts.too_many import TooManyError
from .request import Request
from .scorers.remote.errors import RemoteError

# Other classes of errors, such as JSONDecodeError, are not made from a message alone.
_FROM_A_MESSAGE = (ValueError, TypeError, TooManyError, CapacityError, RemoteError)


def naming_query(error: Exception, place: int, request: Request) -> Exception:
    """The same error, saying which query of a batch it is about; of a class made otherwise, in a note."""
    where = f"queries[{place}]" + (f" (id {request.query_id!r})" if request.query_id is not None else "")
    if type(error) in _FROM_A_MESSAGE:
        named = type(error)(f"{where}: {error}")
        named.__cause__ = error
        return named
    error.add_note(f"raised while ranking {where}")
    return error
