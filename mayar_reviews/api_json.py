"""JSON as the API writes it: camelCase names, times in Unix milliseconds, any text.

orjson does the work. It refuses half of a surrogate pair, as a cut emoji leaves, and it turns an
integer of more than 64 bits into a float. The standard library reads and writes both, so that
one odd review does not block a whole list.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NoReturn

import orjson
from attrs import fields, has

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
# An integer of more than 64 bits has at least so many digits.
_LONG_INTEGER = b"0" * 20


def camel_case(name: str) -> str:
    """Return the API's form of a name: `payment_link_id` is `paymentLinkId`."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def to_time(milliseconds: int) -> datetime:
    """Return a time that the API wrote.

    Raises:
        OverflowError: it is outside the years that a `datetime` can have.
    """
    return EPOCH + milliseconds * MILLISECOND


def to_milliseconds(time: datetime) -> int:
    """Return a time as the API writes it."""
    return (time - EPOCH) // MILLISECOND


def to_api(value: Any) -> Any:
    """Return an attrs object as plain dicts, lists, strings and numbers, as the API writes it.

    A field that is `None` or `()` is left out.
    """
    if has(type(value)):
        named = {one.name: getattr(value, one.name) for one in fields(type(value))}
        return {
            camel_case(name): to_api(field)
            for name, field in named.items()
            if field is not None and field != ()
        }
    if isinstance(value, tuple):
        return [to_api(item) for item in value]
    if isinstance(value, datetime):
        return to_milliseconds(value)
    return value.value if isinstance(value, Enum) else value


def dump(value: Mapping[str, Any] | list[Any] | None) -> bytes:
    """Return a value as JSON on one line, without a line end.

    Raises:
        ValueError: it is nested too deeply.
    """
    with suppress(TypeError):
        return orjson.dumps(value)
    with suppress(RecursionError):
        return json.dumps(value, separators=(",", ":")).encode()
    raise ValueError("nested too deeply")


def load(text: bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: it is not JSON, or is nested too deeply.
    """
    if _LONG_INTEGER not in text.translate(_DIGITS):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(text)
    with suppress(ValueError, RecursionError):
        return json.loads(
            text.decode(errors="surrogatepass"), parse_constant=_refuse, parse_float=_finite
        )
    raise ValueError("not JSON")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)
