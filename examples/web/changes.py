"""What was changed lately, so that no page shows what its own shop has taken down.

Mayar tells nobody of changes. A process knows its own; processes of one machine that are given the
same file know each other's.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from mayar_reviews import Review, ReviewStatus

_KEPT = 10_000


class Changes:
    """The last change of each product, and what became of moderated reviews.

    Args:
        file: where the processes tell each other; `None`: there is one process. Times in it are
            the event loop's, which on one machine is one clock for all processes.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._products: dict[str, float] = {}
        self._statuses: dict[str, tuple[str, float]] = {}
        self._file = file
        # What was changed before we started is in no page of ours.
        self._read = file.stat().st_size if file is not None and file.exists() else 0

    def tell(self, products: Iterable[str], statuses: Mapping[str, str] | None = None) -> None:
        """Products have changed just now, and reviews have got a status."""
        change = {
            "at": asyncio.get_running_loop().time(),
            "products": sorted(set(products)),
            "statuses": dict(statuses or {}),
        }
        if self._file is None:
            self._learn(change)
            return
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, json.dumps(change).encode() + b"\n")  # in one piece
        finally:
            os.close(descriptor)

    def of(self, product: str) -> float:
        """The event loop's time of a product's last change; 0.0: none is known."""
        self.catch_up()
        return self._products.get(product, 0.0)

    def status(self, review: Review, as_of: float) -> ReviewStatus | str:
        """A review's status, as it may have been set since its page was read."""
        status, at = self._statuses.get(review.id, (review.status, as_of))
        return status if at >= as_of else review.status

    def catch_up(self) -> None:
        """Learn what the other processes have told."""
        if self._file is None or not self._file.exists():
            return
        size = self._file.stat().st_size
        if size == self._read:
            return
        with self._file.open("rb") as lines:
            lines.seek(self._read if self._read < size else 0)  # it was emptied
            for line in lines:
                self._learn(json.loads(line))
            self._read = lines.tell()

    def _learn(self, change: Mapping[str, object]) -> None:
        at, products, statuses = change["at"], change["products"], change["statuses"]
        assert isinstance(at, float)
        assert isinstance(products, list)
        assert isinstance(statuses, dict)
        self._products |= dict.fromkeys(products, at)
        for review, status in statuses.items():
            self._statuses.pop(review, None)
            self._statuses[review] = status, at
        while len(self._statuses) > _KEPT:
            del self._statuses[next(iter(self._statuses))]
