"""How option values are read where their type alone does not tell."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import CycloptsError, Parameter, Token

from mayar_reviews import Attachment, InvalidArgumentError


def _whole(_: object, tokens: Sequence[Token]) -> int:
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError("it must be an integer") from None


def _no_options(_: object, values: Any) -> None:
    for value in values or ():
        if value.startswith("-") and value != "-":
            raise CycloptsError(msg=f"Unknown option: {value}.")


Whole = Annotated[int, Parameter(converter=_whole)]
"""An integer; cyclopts by itself rounds 4.7 to 5."""

IDS = Parameter(allow_leading_hyphen=True, validator=_no_options)
"""For ids, of which `-` stands for those on standard input."""

TEXT = Parameter(allow_leading_hyphen=True)
"""For any text, `-` and what starts like it included."""


def read_ids(given: Sequence[str]) -> list[str]:
    """The ids, each once and in their order, with those on standard input where `-` stands."""
    ids: dict[str, None] = {}
    for text in given:
        ids.update(dict.fromkeys(_standard_input().split() if text == "-" else [text]))
    if given and not ids:
        raise InvalidArgumentError("standard input holds no ids")
    return list(ids)


def read_text(given: str | None) -> str | None:
    """The text, or for `-` all of standard input but for the line's end."""
    return _standard_input().removesuffix("\n") if given == "-" else given


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise InvalidArgumentError("standard input is not UTF-8") from None


def read_attachments(field: str, given: Sequence[str]) -> list[Attachment]:
    """Media given as `image:FILE_ID`, `video:FILE_ID` or `video:FILE_ID:MULTIPLE_FILE_ID`.

    Raises:
        InvalidArgumentError: one is not of that form.
    """
    attachments = []
    for text in given:
        kind, *ids = text.split(":", 2)
        try:
            attachments.append(Attachment(ids[0], kind, *ids[1:]))  # type: ignore[arg-type]
        except (ValueError, IndexError):
            raise InvalidArgumentError(
                f"{field} is not of that form: it must be image:FILE_ID or video:FILE_ID",
                field=field,
            ) from None
    return attachments
