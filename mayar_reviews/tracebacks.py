"""Keeping private data out of the tracebacks that error reports show."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def without_locals(
    method: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Empty the frames of a coroutine function's exceptions.

    An error report that shows local variables must not show a customer's email or message, nor
    the API key in aiohttp's frames.
    """

    @functools.wraps(method)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            coroutine = method(*args, **kwargs)
        finally:
            del args, kwargs
        try:
            return await coroutine
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)
            raise

    return run
