"""How a remote model is reached, and how much may be asked of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, TypedDict

from ...real import real_number
from ...whole import whole_number
from .budget import Budget, Usage


@dataclass(frozen=True, slots=True)
class Prices:
    """Money per million tokens, in any currency: read, written, read from the server's cache (None: as `prompt`).

    Raises TypeError or ValueError for what is no number from 0.
    """

    prompt: float
    completion: float
    cached: float | None = None

    def __post_init__(self) -> None:
        real_number(self.prompt, "the price of prompt tokens", least=0)
        real_number(self.completion, "the price of completion tokens", least=0)
        if self.cached is not None:
            real_number(self.cached, "the price of cached tokens", least=0)

    def cost(self, used: Usage) -> float:
        """What that costs."""
        cached = self.prompt if self.cached is None else self.cached
        read = (used.prompt - used.cached) * self.prompt + used.cached * cached
        return (read + used.completion * self.completion) / 1e6


class CallSettings(TypedDict, total=False):
    """What all remote scorers take; see `Settings`."""

    base_url: str | None
    api_key: str | None
    client: Any
    concurrency: int
    timeout: float
    time_limit: float | None
    retries: int
    backoff: float
    budget: Budget
    prices: Prices


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of calls to a server.

    `base_url`, `api_key`: those of the `openai` client, which reads OPENAI_BASE_URL and OPENAI_API_KEY where they are
    None; or a `client` that was made (`openai.AsyncOpenAI`, `openai.AsyncAzureOpenAI`), which is not closed.
    `concurrency`: calls under way at once, over all threads. `timeout`: seconds a call may take. `time_limit`: seconds
    a `rank` or a `rank_batch` may take, after which it ends with what is known. `retries`: how often a call is repeated
    where the fault may pass, after `backoff` seconds, then twice that, and so on, or when the server says
    (`Retry-After`). `budget` and `prices` say what may be spent and what it costs.

    Raises TypeError or ValueError, naming the setting, for a wrong one.
    """

    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    client: Any = None
    concurrency: int = 8
    timeout: float = 60.0
    time_limit: float | None = None
    retries: int = 4
    backoff: float = 0.5
    budget: Budget = field(default_factory=Budget)
    prices: Prices | None = None

    def __post_init__(self) -> None:
        whole_number(self.concurrency, "concurrency", least=1)
        whole_number(self.retries, "retries", least=0)
        real_number(self.timeout, "timeout (seconds)", above=0)
        real_number(self.backoff, "backoff (seconds)", above=0)
        if self.time_limit is not None:
            real_number(self.time_limit, "time_limit (seconds, or None for none)", above=0)
        _instance(self.budget, Budget, "budget must be a Budget, such as Budget(calls=100)")
        if self.prices is not None:
            wanted = "prices must be Prices(prompt, completion), a million tokens each, or None"
            _instance(self.prices, Prices, wanted)
        if self.base_url is not None:
            _instance(self.base_url, str, "base_url must be a string, or None for the environment's")
        if self.api_key is not None:
            _check_key(self.api_key, "api_key")
        if self.client is not None and (self.base_url is not None or self.api_key is not None):
            raise ValueError("client= brings its own address and key: leave base_url and api_key out")

    @classmethod
    def of(cls, calls: Mapping[str, Any]) -> Settings:
        """Settings by name. Raises TypeError for a name that there is not, and what `Settings` raises."""
        known = [each.name for each in fields(cls)]
        for name in calls:
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
                raise TypeError(f"calls have no setting {name!r}; {hint}")
        return cls(**calls)

    def make_client(self) -> Any:
        """An asynchronous client that neither retries nor gives up by itself, nor goes where it is redirected.

        Raises ImportError, naming the extra, without the `openai` package; ValueError without a key.
        """
        openai = _openai()
        if self.client is not None:
            if not hasattr(self.client, "with_options") or not isinstance(self.client, openai.AsyncOpenAI):
                raise TypeError(
                    f"client must be an asynchronous one (openai.AsyncOpenAI), not {type(self.client).__name__}"
                )
            return self.client.with_options(max_retries=0, timeout=None)
        key = self.api_key
        if key is None and (known := os.environ.get("OPENAI_API_KEY")):
            _check_key(known, "OPENAI_API_KEY")
        elif key is None:
            if self.base_url is None and not os.environ.get("OPENAI_BASE_URL"):
                raise ValueError(
                    "no API key: pass api_key=, or set OPENAI_API_KEY; for a server of your own pass base_url="
                )
            key = "none"  # servers of one's own ask for none, and the client insists on one
        # Each redirect is a request, which nobody would count.
        http = openai.DefaultAsyncHttpxClient(follow_redirects=False)
        return openai.AsyncOpenAI(
            base_url=self.base_url, api_key=key, max_retries=0, timeout=None, http_client=http
        )


def _check_key(key: Any, name: str) -> None:
    """Raises TypeError or ValueError, which never show it, for an API key that no request can carry."""
    if not isinstance(key, str):
        raise TypeError(f"{name} must be a string, or None for the environment's, not {type(key).__name__}")
    if not key:
        raise ValueError(f"{name} is empty: pass a key, or None for the environment's")
    if key != key.strip() or not key.isascii() or not key.isprintable():
        raise ValueError(
            f"{name} begins or ends with a space or a line break, or holds a character that is not plain ASCII, so no "
            "request can carry it: a key that was read from a file often ends with a line break (use .strip())"
        )


def _instance(value: Any, kind: type, wanted: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{wanted}, not {value!r}")


def _openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise ImportError(
            "remote models are reached with the openai package, which is missing: pip install 'rranker[openai]'"
        ) from error
    return openai
