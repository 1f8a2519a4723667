"""Where an export stands: the file beside its output that lets it go on after a kill."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from attrs import asdict, field, frozen
from attrs.validators import ge, instance_of, optional

from mayar_reviews import InvalidArgumentError

from .durable import replacing

_VERSION = 1


def _counts(counts: Mapping[Any, int]) -> dict[int, int]:
    # In JSON, keys are strings.
    return {int(rating): operator.index(count) for rating, count in counts.items()}


def _counts_or_none(counts: Mapping[Any, int] | None) -> dict[int, int] | None:
    return None if counts is None else _counts(counts)


def _ids(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(ids)


@frozen(kw_only=True)
class State:
    """What an export was asked for, and what of it is safe in the journal."""

    payment_link_id: str | None
    format: str
    rating: int | None
    status: str | None

    cursor: str | None = field(default=None, validator=optional(instance_of(str)))
    """Of the page that comes next."""
    written: int = field(default=0, validator=[instance_of(int), ge(0)])
    offset: int = field(default=0, validator=[instance_of(int), ge(0)])
    """The journal's length in bytes; what lies behind it is torn."""
    last_ids: tuple[str, ...] = field(default=(), converter=_ids)
    """Of the last page: a review that is on the next one as well is not written twice."""
    ratings: Mapping[int, int] = field(factory=dict, converter=_counts)
    active: Mapping[int, int] = field(factory=dict, converter=_counts)
    """As `ratings`, of the reviews that the statistics count."""
    expected: Mapping[int, int] | None = field(default=None, converter=_counts_or_none)
    """As `active`, by the statistics before the first page."""
    finished: bool = field(default=False, validator=instance_of(bool))
    """Whether every page is in the journal."""

    def save(self, path: Path) -> None:
        """Replace the state file."""
        # The standard library's JSON: ids may hold what orjson refuses.
        text = json.dumps({"version": _VERSION, **asdict(self)})
        with replacing(path) as file:
            file.write(text.encode())

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """The state in a file, `None` where there is none.

        Raises:
            InvalidArgumentError: it is not a state that this release understands.
        """
        try:
            fields = json.loads(path.read_bytes())
            if fields.pop("version") == _VERSION:
                return cls(**fields)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            fault = "is not the state of an export"
        else:
            fault = f"has another schema than this release's version {_VERSION}"
        raise InvalidArgumentError(f"{path} {fault}: start again with force", field="resume")

    def check_asked(self, asked: State, path: Path) -> None:
        """Refuse to go on with an export that was asked for something else.

        Raises:
            InvalidArgumentError: product, format, rating or status differ.
        """
        for name in ("payment_link_id", "format", "rating", "status"):
            was, now = getattr(self, name), getattr(asked, name)
            if was != now:
                raise InvalidArgumentError(
                    f"{path} is of an export with {name} {was}, not {now}: "
                    "ask for the same, use another output, or start again with force",
                    field="resume",
                )
