"""The words: Indonesian or English, as the visitor chose, and a sentence for each failure."""

from __future__ import annotations

import tomllib
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrs import frozen
from babel.dates import format_date
from babel.numbers import format_decimal

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


@frozen(eq=False)
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
        return _day(time.astimezone(_WIB).date(), self.language)

    def moment(self, time: datetime) -> str:
        """A day and a time in Jakarta, such as 20 November 2026, 14:05 WIB."""
        return f"{self.date(time)}, {time.astimezone(_WIB):%H:%M} WIB"

    def decimal(self, number: float) -> str:
        """A number, with one decimal if it is no whole one of its type."""
        return _number(number, "#,##0" if isinstance(number, int) else "0.0", self.language)

    def price(self, rupiah: int) -> str:
        """A price, such as Rp 149.000."""
        return f"Rp\N{NO-BREAK SPACE}{self.decimal(rupiah)}"

    def count(self, total: int) -> str:
        """How many reviews there are, in words."""
        name = "one_review" if total == 1 else "many_reviews"
        text: str = self[name]
        return text.format(self.decimal(total))


# A page has twenty dates, and the same ones for everybody.
@lru_cache(maxsize=4096)
def _day(day: date, language: str) -> str:
    return format_date(day, "d MMMM y", locale=language)


@lru_cache(maxsize=4096)
def _number(number: float, form: str, language: str) -> str:
    return format_decimal(number, form, locale=language)


def read_words() -> dict[str, Words]:
    """All languages; the first is for visitors who ask for none of them."""
    files = Path(__file__).with_name("words")
    return {
        language: Words(language, tomllib.loads((files / f"{language}.toml").read_text("utf-8")))
        for language in ("id", "en")
    }


def choose(words: dict[str, Words], chosen: str, accept_language: str) -> Words:
    """The words in the chosen language, or the one that an `Accept-Language` header likes best."""
    if chosen in words:
        return words[chosen]
    best, liked = 0.0, next(iter(words))
    for part in accept_language.split(","):
        tag, _, parameter = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        try:
            quality = float(parameter.partition("=")[2] or 1)
        except ValueError:
            continue
        if language in words and quality > best:
            best, liked = quality, language
    return words[liked]
