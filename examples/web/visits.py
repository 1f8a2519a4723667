"""A limit per visitor: so many acts in a window, for as many visitors as memory may hold."""

from __future__ import annotations

import ipaddress
from collections import deque
from time import monotonic

_VISITORS = 10_000


class Visits:
    """Counts what each visitor does.

    Args:
        limit: how many acts of one visitor any window may hold.
        per: the window in seconds.
    """

    def __init__(self, limit: int, per: float) -> None:
        self._limit = limit
        self._per = per
        self._acts: dict[str, deque[float]] = {}

    def are_too_many(self, address: str) -> bool:
        """Whether the visitor has done it as often as anyone may."""
        acts = self._acts.get(_visitor(address), ())
        since = monotonic() - self._per
        return sum(at > since for at in acts) >= self._limit

    def add(self, address: str) -> None:
        """The visitor does it."""
        visitor = _visitor(address)
        acts = self._acts.pop(visitor, None) or deque(maxlen=self._limit)
        acts.append(monotonic())
        self._acts[visitor] = acts
        if len(self._acts) > _VISITORS:
            del self._acts[next(iter(self._acts))]


def _visitor(address: str) -> str:
    """An address; of version 6 its network, as one visitor has many of these."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
