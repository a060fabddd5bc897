"""What a server takes on: how much at once, how large, how long, and from whom."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..real import real_number

KEYS_VARIABLE = "RRANKER_API_KEYS"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a server.

    requests: accepted and not yet answered, over all clients; whoever comes on top is told to come again (429).
    candidates: of one request. body_bytes: of its body. seconds: from its acceptance to its answer, or the end
    of its stream.
    """

    requests: int = 256
    candidates: int = 1000
    body_bytes: float = 8 * 2**20
    seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            real_number(getattr(self, name), f"the limit of {name}", above=0)


def api_keys(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The keys that let a client in, from the environment: separated by commas. None: whoever reaches it is let in."""
    return tuple(key for key in map(str.strip, environment.get(KEYS_VARIABLE, "").split(",")) if key)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(host: str, keys: Sequence[str]) -> None:
    """Raises ValueError for a server without keys that others could reach."""
    if not keys and not is_loopback(host):
        raise ValueError(
            f"{host} can be reached from other machines, and there is no API key: set {KEYS_VARIABLE}=key1,key2, or "
            "listen on 127.0.0.1"
        )


def may_enter(keys: Sequence[str], authorization: str, given: str) -> bool:
    """Whether one of the keys is in `Authorization: Bearer …` or `X-API-Key`; compared in constant time."""
    scheme, _, token = authorization.partition(" ")
    offered = (token.strip() if scheme.lower() == "bearer" else given).encode()
    matches = [hmac.compare_digest(key.encode(), offered) for key in keys]
    return any(matches) or not keys
