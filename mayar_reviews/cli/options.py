"""Reading option values that need more than their type."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import CycloptsError, Parameter, Token

from mayar_reviews import Attachment, InvalidArgumentError


def _integer(_: object, tokens: Sequence[Token]) -> int:
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError("it must be an integer") from None


def _no_options(_: object, values: Any) -> None:
    for value in values or ():
        if value.startswith("-") and value != "-":
            raise CycloptsError(msg=f"Unknown option: {value}.")


Integer = Annotated[int, Parameter(converter=_integer)]
"""An integer. cyclopts itself would round 4.7 to 5."""

IDS = Parameter(allow_leading_hyphen=True, validator=_no_options)
"""Ids. `-` stands for the ids on standard input."""

TEXT = Parameter(allow_leading_hyphen=True)
"""Any text, also one that starts with a hyphen."""


def read_ids(given: Sequence[str]) -> list[str]:
    """Return the ids, each once, in their order. `-` is replaced by the ids on standard input."""
    ids: dict[str, None] = {}
    for text in given:
        ids.update(dict.fromkeys(_standard_input().split() if text == "-" else [text]))
    if given and not ids:
        raise InvalidArgumentError("standard input holds no ids")
    return list(ids)


def read_text(given: str | None) -> str | None:
    """Return the text. For `-` return standard input, without the line end after it."""
    return _standard_input().removesuffix("\n") if given == "-" else given


def _standard_input() -> str:
    if sys.stdin is None:
        raise InvalidArgumentError("standard input is closed")
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise InvalidArgumentError("standard input is not UTF-8") from None


def read_attachments(field: str, given: Sequence[str]) -> list[Attachment]:
    """Return the media given as `image:FILE_ID` or `video:FILE_ID`.

    A video may have a third part, its `multiple_file_id`.

    Raises:
        InvalidArgumentError: one has another form.
    """
    attachments = []
    for text in given:
        kind, *ids = text.split(":", 2)
        try:
            attachments.append(Attachment(ids[0], kind, *ids[1:]))  # type: ignore[arg-type]
        except (ValueError, IndexError):
            raise InvalidArgumentError(
                "is malformed: it must be image:FILE_ID or video:FILE_ID", field=field
            ) from None
    return attachments
