"""The state of an export: the file beside the output that lets a later run continue."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from attrs import asdict, field, frozen
from attrs.validators import deep_iterable, ge, instance_of, optional

from mayar_reviews import InvalidArgumentError

from .durable import replacing

Gaps = tuple[tuple[int, int], ...]

_VERSION = 2
# What nothing was said about, in words.
_ANY = {
    "payment_link_id": "the whole store",
    "rating": "every rating",
    "status": "every status",
    "separator": "a comma",
}


def _counts(counts: Mapping[Any, int]) -> dict[int, int]:
    # In JSON, keys are strings.
    return {int(rating): operator.index(count) for rating, count in counts.items()}


def _gaps(gaps: Iterable[Iterable[int]]) -> Gaps:
    return tuple((operator.index(start), operator.index(until)) for start, until in gaps)


def _edge(edge: Mapping[str, int]) -> dict[str, int]:
    return dict(edge)


def _faults(faults: Mapping[str, str]) -> dict[str, str]:
    return dict(faults)


def _texts(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(texts)


_is_count = [instance_of(int), ge(0)]
_is_text = optional(instance_of(str))
_is_texts = deep_iterable(instance_of(str))


@frozen(kw_only=True)
class State:
    """What an export was asked for, and what is safe on the disk."""

    origin: str
    """The API's origin."""
    payment_link_id: str | None
    format: str
    rating: int | None
    status: str | None
    separator: str | None = field(default=None, validator=_is_text)

    owners: tuple[str, ...] = field(default=(), converter=_texts, validator=_is_texts)
    """Hashes of the `userId`s of the reviews: whose store it is."""
    cursor: str | None = field(default=None, validator=_is_text)
    """The cursor of the next page."""
    written: int = field(default=0, validator=_is_count)
    """How many reviews are in the journal; from the end on, how many are in the output."""
    offset: int = field(default=0, validator=_is_count)
    """How many bytes of the journal are safe. What follows is part of a page, and is cut off."""
    total: int | None = field(default=None, validator=optional(_is_count))
    """How many reviews the statistics announced; `None`: they did not."""
    fetched: bool = field(default=False, validator=instance_of(bool))
    """Whether every page is in the journal, or in the output made from it."""
    update: bool = field(default=False, validator=instance_of(bool))
    """Whether the journal has only what changed since the output was made."""
    has_invalid: bool = field(default=False, validator=instance_of(bool))
    """Whether a review may not be as the API documents it."""
    gaps: Gaps = field(default=(), converter=_gaps)
    """Spans of `createdAt` that the server could not show."""

    output: str | None = field(default=None, validator=_is_text)
    """Size and hash of the output; `None`: not made yet."""
    replaces: str | None = field(default=None, validator=_is_text)
    """Size and hash of the file that the output replaces; `None`: there was none."""
    finished_at: str | None = field(default=None, validator=_is_text)
    """When the output was last known to be up to date."""
    ratings: Mapping[int, int] = field(factory=dict, converter=_counts)
    """How many reviews of each rating are in the output."""
    active: Mapping[int, int] = field(factory=dict, converter=_counts)
    """The same for the reviews that the statistics count."""
    newest_created: int = field(default=0, validator=instance_of(int))
    """The largest `createdAt` in the output."""
    newest_updated: int = field(default=0, validator=instance_of(int))
    """The largest `updatedAt` in the output."""
    edge: Mapping[str, int] = field(factory=dict, converter=_edge)
    """`updatedAt` by id of the newest reviews: an update will see them again."""
    invalid: Mapping[str, str] = field(factory=dict, converter=_faults)
    """What does not fit, by review; the first of them."""
    invalid_count: int = field(default=0, validator=_is_count)
    """How many reviews in the output are not as documented."""
    sorted_by: str | None = field(default=None, validator=_is_text)
    """What the list is sorted by, as far as its reviews tell."""

    def save(self, path: Path) -> None:
        """Replace the state file."""
        # The standard library's JSON: ids may hold what msgspec refuses.
        text = json.dumps({"version": _VERSION, **asdict(self)})
        with replacing(path) as file:
            file.write(text.encode())

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Return the state in a file; `None` if there is no file.

        Raises:
            InvalidArgumentError: the file is damaged or of another release (field `resume`), or
                it is something else (field `output`).
        """
        if path.is_symlink():
            raise _not_ours(path)
        try:
            fields = json.loads(path.read_bytes())
            version = fields.pop("version")
            fields["payment_link_id"]  # a state of any version has it
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            raise _not_ours(path) from None
        fault = f"has another version than {_VERSION}, the one of this release"
        if version == _VERSION:
            try:
                return cls(**fields)
            except (ValueError, TypeError, AttributeError):
                fault = "is damaged"
        raise InvalidArgumentError(
            f"is not possible: {path} {fault}; start again with force", field="resume"
        )

    def check_asked(self, asked: State, path: Path) -> None:
        """Refuse to continue an export that was asked for something else.

        Raises:
            InvalidArgumentError: origin, product, format, rating, status or separator differ.
        """
        for name in ("origin", "payment_link_id", "format", "rating", "status", "separator"):
            was, now = (
                _ANY.get(name) if value is None else f"{name} {value}"
                for value in (getattr(self, name), getattr(asked, name))
            )
            if was != now:
                raise InvalidArgumentError(
                    f"is not possible: {path} belongs to an export of {was}, not of {now}; "
                    "ask for the same, use another output, or start again with force",
                    field="resume",
                )


def _not_ours(path: Path) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"cannot be used: {path} is not the state of an export; move it away, or use another "
        "output",
        field="output",
    )
