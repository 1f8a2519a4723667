"""What every test can rely on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import ClientResponse
from aioresponses import CallbackResult, aioresponses


class _Response(ClientResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


class Answers(aioresponses):
    """aioresponses, for the argument that aiohttp 3.14 added to its responses."""

    callback_result = staticmethod(partial(CallbackResult, response_class=_Response))

    def add(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("response_class", _Response)
        super().add(*args, **kwargs)


@pytest.fixture
def answers() -> Iterator[Answers]:
    """Answers to requests that never leave the process."""
    mocked = Answers()
    with mocked:
        yield mocked


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAYAR_API_KEY", "MAYAR_API_URL"):
        monkeypatch.delenv(name, raising=False)
