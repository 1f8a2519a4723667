"""The words: Indonesian or English, as the visitor's browser asks, and one for each failure."""

from __future__ import annotations

import tomllib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from attrs import frozen

from mayar_reviews import (
    ConflictError,
    DeadlineExceededError,
    InvalidArgumentError,
    MayarError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ValidationError,
)

_WIB = timezone(timedelta(hours=7))
_STATUSES: dict[type[Exception], int] = {
    InvalidArgumentError: 422,
    ValidationError: 422,
    PermissionDeniedError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    # Not 429: it is the shop that has asked too often, not the visitor.
    RateLimitError: 503,
    DeadlineExceededError: 503,
    OutcomeUnknownError: 504,
    MayarError: 502,
}


def status_of(error: MayarError) -> int:
    """The HTTP status that tells a failure."""
    return next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)


@frozen
class Words:
    """The words of one language, from its file in `words/`."""

    language: str
    texts: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.texts[name]

    def apology(self, error: MayarError) -> str:
        """What to tell people of a failure."""
        sentences: dict[str, str] = self["errors"]
        return next(
            sentences[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in sentences
        )

    def date(self, time: datetime) -> str:
        """A day in Jakarta, such as 20 November 2026."""
        day = time.astimezone(_WIB)
        return f"{day.day} {self['months'][day.month - 1]} {day.year}"

    def clock(self, time: datetime) -> str:
        """A time of day in Jakarta, such as 14:05."""
        return f"{time.astimezone(_WIB):%H:%M}"

    def decimal(self, number: float) -> str:
        """A number with one decimal."""
        return f"{number:.1f}".replace(".", self["decimal_point"])


def read_words() -> dict[str, Words]:
    """All languages; the first is for visitors who ask for none of them."""
    files = Path(__file__).with_name("words")
    return {
        language: Words(language, tomllib.loads((files / f"{language}.toml").read_text("utf-8")))
        for language in ("id", "en")
    }


def choose(words: dict[str, Words], accept_language: str) -> Words:
    """The words in the language that an `Accept-Language` header likes best."""
    best, chosen = 0.0, next(iter(words))
    for part in accept_language.split(","):
        tag, _, parameter = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        try:
            quality = float(parameter.partition("=")[2] or 1)
        except ValueError:
            continue
        if language in words and quality > best:
            best, chosen = quality, language
    return words[chosen]
