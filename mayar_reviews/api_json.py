"""JSON as the API writes it: camelCase names, times in Unix milliseconds, any text.

msgspec does the work. It is as quick as orjson, and it keeps integers of more than 64 bits. It
refuses half of a surrogate pair, as a cut emoji leaves. The standard library reads and writes
that, so that one odd review does not block a whole list.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NoReturn

import msgspec
from attrs import fields, has

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
EARLIEST, LATEST = -62_135_596_800_000, 253_402_300_799_999
"""The times in Unix milliseconds that a `datetime` can hold."""

_PLAIN = frozenset({str, int, float, bool})
_decode = msgspec.json.Decoder().decode
_encoder = msgspec.json.Encoder()


@functools.cache
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
    if type(value) in _PLAIN:
        return value
    if has(type(value)):
        named = {one.name: getattr(value, one.name) for one in fields(type(value))}
        return {
            camel_case(name): to_api(one)
            for name, one in named.items()
            if one is not None and one != ()
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
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, RecursionError):
        pass
    with suppress(RecursionError):
        return json.dumps(value, separators=(",", ":")).encode()
    raise ValueError("nested too deeply")


def dump_lines(values: Sequence[Any]) -> bytes:
    """Return values as JSON, one a line.

    Raises:
        ValueError: one is nested too deeply.
    """
    try:
        return _encoder.encode_lines(values)
    except (UnicodeEncodeError, RecursionError):
        return b"".join(dump(value) + b"\n" for value in values)


def load(text: bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: it is not JSON, or is nested too deeply.
    """
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    with suppress(ValueError, RecursionError):
        return json.loads(
            text.decode(errors="surrogatepass"),
            object_pairs_hook=_named,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    raise ValueError("not JSON")


class LazyRows:
    """The objects of a list, or some of them. An answer is parsed when they are first asked for.

    Args:
        rows: the objects.
        body: an answer that has them in its `data`, in the place of `rows`.
        places: which of the answer's objects they are; `None`: all.
    """

    def __init__(
        self,
        rows: Iterable[Any] = (),
        body: bytes | None = None,
        places: Sequence[int] | None = None,
    ) -> None:
        self._rows = tuple(rows)
        self._body = body
        self._places = places

    def __reduce__(self) -> tuple[type[LazyRows], tuple[Any, ...]]:
        return LazyRows, (self.get(),)  # the answer may hold more than was asked for

    def keep(self, places: Sequence[int]) -> LazyRows:
        """Return the objects of these places."""
        body, known = self._body, self._places
        if body is None:
            return LazyRows(self._rows[i] for i in places)
        return LazyRows((), body, places if known is None else [known[i] for i in places])

    def get(self) -> tuple[Any, ...]:
        """Return the objects as they were sent.

        Raises:
            ValueError: they are nested too deeply to be parsed from a stack as deep as this.
        """
        body, places = self._body, self._places
        if body is not None:
            parsed = _load_checked(body)
            del body  # an error report that shows local variables must not show the reviews
            if parsed is None:
                raise ValueError("nested too deeply")
            rows = parsed["data"]
            self._rows = tuple(rows if places is None else (rows[i] for i in places))
            self._body = None
        return self._rows


def _load_checked(text: bytes) -> Any:
    """Return what a text says that was parsed before, but for fields that nobody knows.

    `None`: it is nested too deeply.
    """
    try:
        return _decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    with suppress(RecursionError):
        return json.loads(text, parse_float=_held(float), parse_int=_held(int))
    return None


def _held(kind: Callable[[str], float]) -> Callable[[str], float | None]:
    def parse(text: str) -> float | None:
        try:
            number = kind(text)
        except ValueError:
            return None  # Python refuses integers of more than 4300 digits
        return None if abs(number) == math.inf else number

    return parse


def to_rows(rows: Iterable[Any] | LazyRows) -> LazyRows:
    """Return objects in such a list."""
    return rows if isinstance(rows, LazyRows) else LazyRows(rows)


def _named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # msgspec cannot compare names with half of a surrogate pair.
    return {name.encode(errors="replace").decode(): value for name, value in pairs}


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)
