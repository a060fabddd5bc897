"""What an exception of the `openai` client means: ask again, or give up; and what the call cost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isnan, nan
from typing import Any

from .budget import Usage
from .errors import MalformedError, RemoteError, StopError, TransientError

_AGAIN = frozenset({408, 409, 425, 429})
"""Besides all from 500: time-out, conflict, too early, too many requests."""
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"})
"""Of httpx or httpx2, by names: which of them `openai` goes through depends on its version."""
_READING_JSON = (json.JSONDecodeError, UnicodeDecodeError, RecursionError)


def as_fault(error: Exception) -> tuple[Exception, Usage | None]:
    """The error to raise in place of `error`, and what the call took where that is certain."""
    import openai

    if isinstance(error, StopError | RemoteError | TransientError):
        return error, None
    if isinstance(error, openai.APIStatusError):
        return _of_status(error), Usage(calls=1)
    if isinstance(error, openai.APIConnectionError):  # time-outs of the client's own among them
        cause = error.__cause__ or error
        if type(cause).__name__ == "LocalProtocolError":  # its words hold the header, which may be the key
            said = "no request can carry one of the client's headers: check its API key for spaces and line breaks"
            return RemoteError(said), Usage()
        fault = TransientError(f"the connection failed ({type(cause).__name__}: {cause})")
        return fault, Usage() if type(cause).__name__ in _NEVER_SENT else None
    if isinstance(error, (openai.APIResponseValidationError, MalformedError, *_READING_JSON)):
        return TransientError(f"the response is not what the protocol says: {error}"), None
    return error, None


def _of_status(error: Any) -> Exception:
    status, said = error.status_code, message_of(error)
    headers = error.response.headers
    if 300 <= status < 400:
        to = f"{error.request.url} leads to {headers.get('location', 'another address')} (HTTP {status})"
        return RemoteError(
            f"{to}, and redirects are not followed: pass the address that answers, base_url=", status
        )
    advice = headers.get("x-should-retry")
    # An account without money answers 429 as well, and no patience helps.
    again = (status in _AGAIN or status >= 500) and error.code != "insufficient_quota"
    if advice != "false" and (again or advice == "true"):
        return TransientError(f"HTTP {status}: {said}", retry_after(headers))
    cure = {
        401: ": check the API key (api_key=, or OPENAI_API_KEY)",
        403: ": this API key may not use the model",
        404: ": check base_url= and the model's name",
        413: ": rank fewer or shorter candidates at once",
    }.get(status, "")
    return RemoteError(f"the server refused the request (HTTP {status}): {said}{cure}", status)


def message_of(error: Any) -> str:
    """What a server says is wrong, in at most 300 characters."""
    body = error.body
    if isinstance(body, Mapping):
        detail = body.get("message") or body.get("detail") or body
        said = detail if isinstance(detail, str) else json.dumps(detail, default=str)
    else:
        said = str(body or error)
    return " ".join(said.split())[:300] or "nothing said"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a server wants to wait: `retry-after-ms`, or `Retry-After` as a number or a date.

    None where that is no time to come, as of a clock that runs behind: the pause is ours to choose.
    """
    milliseconds, given = headers.get("retry-after-ms"), headers.get("retry-after")
    wanted = _number(milliseconds) / 1000
    if isnan(wanted):
        wanted = _number(given)
    if isnan(wanted) and given is not None:
        try:
            wanted = parsedate_to_datetime(given).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return wanted if wanted > 0 else None


def _number(text: str | None) -> float:
    try:
        return nan if text is None else float(text)
    except ValueError:
        return nan
