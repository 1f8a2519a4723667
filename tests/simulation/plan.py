"""What happens in one simulation, as a plain value that a seed gives and that can be shrunk."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, TypeAlias, TypeVar

from attrs import evolve, frozen

from mayar_reviews.testing.personality import Cursor, Order, Stats

T = TypeVar("T")

FaultKind: TypeAlias = Literal[
    "refused",  # no connection: nothing is sent
    "lost",  # the request arrives or not, its answer never comes
    "late",  # the answer is lost, and the write is done seconds later
    "slow",  # the right answer, after a long time
    "garbage",  # the request arrives, and its answer cannot be understood
    "status",  # a status that says nothing about what was done
    "refusal",  # a documented refusal: nothing is done
    "limited",  # 429: nothing is done
    "swapped",  # the answer to another request
]
JobKind: TypeAlias = Literal[
    "create", "update", "attach", "statuses", "walk", "look_up", "stats", "watch", "export"
]


@frozen
class Fault:
    """What goes wrong in one exchange."""

    kind: FaultKind
    commit: bool = False
    """Whether a write is done all the same."""
    seconds: float = 0.0
    """How late it is."""
    detail: str = ""
    """The garbage, the status, or the `Retry-After`."""


@frozen
class Job:
    """One task of the program that uses the client."""

    kind: JobKind
    number: int
    """Tells the jobs of a plan apart."""
    start: float = 0.0
    cancel_after: float | None = None
    """Seconds; of an export, when its process is killed, to be resumed by another."""
    deadline: float | None = 120.0
    product: int = 0
    size: int = 3
    """Of a page or of a bulk update. Of a creation: 1 knows the customer's id, 3 has a rival, 50 has
    media."""
    flag: bool = False
    """A variant: the customer's id is known, the whole store instead of a product, and so on."""


@frozen
class Edit:
    """What somebody else does meanwhile."""

    at: float
    kind: Literal["edit", "create", "archive"]
    number: int


@frozen
class Plan:
    """All of one simulation."""

    seed: int
    order: Order = "updated"
    cursor: Cursor = "created"
    stats: Stats = "right"
    ignores: tuple[str, ...] = ()
    cliff: bool = False
    status_in_body: bool = False
    clock_ahead: float = 0.0
    """Seconds by which the server's clock is ahead of ours."""
    uplink: float = 0.0
    """How many seconds a request may travel."""
    downlink: float = 0.0
    reviews: int = 0
    """How many each product has at the start."""
    spread: int = 1000
    """Milliseconds between two of them."""
    edited: float = 0.0
    """The share of them that was edited later."""
    requests: int = 20
    per: float = 60.0
    whole: int = 0
    """If not 0: two budgets of so many `requests`, for even and odd jobs, within one of this."""
    attempts: int = 4
    timeout: float = 30.0
    close_at: float | None = None
    jobs: tuple[Job, ...] = ()
    faults: tuple[tuple[int, Fault], ...] = ()
    """By the number of the exchange, from 0."""
    edits: tuple[Edit, ...] = ()


class Draw:
    """Random choices that are the same on every Python: they rest on `random()` alone."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, share: float) -> bool:
        return self._random() < share

    def number(self, low: int, high: int) -> int:
        """Return a whole number, both ends included."""
        return low + int(self._random() * (high - low + 1))

    def seconds(self, low: float, high: float) -> float:
        return round(low + self._random() * (high - low), 3)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[int(self._random() * len(choices))]


_SHARES: dict[JobKind, int] = {
    "create": 8,
    "update": 3,
    "attach": 2,
    "statuses": 3,
    "walk": 5,
    "look_up": 3,
    "stats": 1,
    "watch": 1,
}
_JOBS = tuple(kind for kind, share in _SHARES.items() for _ in range(share))
_ORDERS: tuple[Order, ...] = ("updated", "updated", "created", "added")
_CURSORS: tuple[Cursor, ...] = ("created", "created", "updated", "offset")
_GARBAGE = ("html", "nothing", "array", "no messages", "wrong shape", "cut", "nested")
_STATUSES = ("500", "502", "503", "504", "408", "418", "301", "204", "500 json", "200 json 503")
_REFUSALS = ("400", "401", "403", "404", "409", "failed")
_RETRY_AFTER = ("", "0", "1", "7", "90", "-5", "soon", "1e3", "200", "4000", "date")


def draw_plan(seed: int) -> Plan:
    """Return the plan of a seed."""
    draw = Draw(seed)
    exports = draw.chance(0.01)
    kinds: list[JobKind] = [draw.one_of(_JOBS)]
    if exports:
        kinds.append("export")
    if draw.chance(0.08):
        # Few, as a rule: two or three tasks show most of what can go wrong between them.
        kinds += [draw.one_of(_JOBS) for _ in range(draw.number(1, draw.number(1, 7)))]
    lists = any(kind in ("walk", "watch", "export") for kind in kinds)
    crowd = draw.chance(0.02) and lists
    share = draw.one_of((0.0, 0.2, 0.4, 0.7))
    order = draw.one_of(_ORDERS)
    cursor = draw.one_of(_CURSORS)
    plan = Plan(
        seed=seed,
        order=order,
        # The oldest first, and a cursor that asks for what is older: no server is like that.
        cursor="offset" if order == "added" else cursor,
        stats=draw.one_of(("right", "right", "stale", "broken")),
        ignores=draw.one_of(((), (), (), ("rating",), ("limit",), ("status", "paymentLinkId"))),
        cliff=draw.chance(0.5 if crowd else 0.1),
        status_in_body=draw.chance(0.1),
        clock_ahead=draw.one_of((0.0, 0.0, 600.0, -600.0)),
        uplink=draw.one_of((0.0, 0.0, 0.05, 2.0)),
        downlink=draw.one_of((0.0, 0.05, 0.5)),
        reviews=draw.number(45, 110) if crowd else draw.number(0, 7) if lists else 1,
        spread=draw.one_of((0, 1, 1000, 3_600_000)),
        edited=draw.one_of((0.0, 0.1, 0.5)),
        requests=draw.one_of((20, 20, 1, 3)),
        per=draw.one_of((60.0, 60.0, 5.0)),
        whole=draw.one_of((0, 0, 0, 1, 4)),
        attempts=draw.one_of((4, 4, 1, 2, 7)),
        timeout=draw.one_of((30.0, 3.0)),
        close_at=draw.seconds(0, 5) if draw.chance(0.03) else None,
        jobs=tuple(_draw_job(draw, kind, number) for number, kind in enumerate(kinds)),
        faults=tuple(
            (number, _draw_fault(draw)) for number in range(12) if share and draw.chance(share)
        ),
        edits=tuple(
            Edit(
                draw.seconds(0, 30),
                draw.one_of(("edit", "edit", "create", "archive")),
                draw.number(0, 9),
            )
            for _ in range(draw.number(1, 6) if lists and draw.chance(0.5) else 0)
        ),
    )
    return _with_long_pauses(draw, plan) if draw.chance(0.01) else plan


def _with_long_pauses(draw: Draw, plan: Plan) -> Plan:
    """Let several tasks compete for two small budgets within another one, and get many a 429."""
    kinds = [draw.one_of(_JOBS) for _ in range(draw.number(2, 7))]
    return evolve(
        plan,
        reviews=draw.number(0, 7),
        requests=draw.one_of((1, 2, 3, 20)),
        per=draw.one_of((5.0, 60.0)),
        whole=draw.one_of((1, 1, 2, 3)),
        attempts=draw.one_of((4, 7)),
        jobs=tuple(_draw_job(draw, kind, number) for number, kind in enumerate(kinds)),
        faults=tuple(
            (number, Fault("limited", detail=draw.one_of(("200", "200", "90", "4000", "7", ""))))
            for number in range(14)
            if draw.chance(0.35)
        ),
    )


def _draw_job(draw: Draw, kind: JobKind, number: int) -> Job:
    return Job(
        kind,
        number,
        start=draw.seconds(0, 3) if number else 0.0,
        cancel_after=draw.seconds(0, 6) if draw.chance(0.5 if kind == "export" else 0.1) else None,
        deadline=draw.one_of((120.0, 120.0, None, 10.0, draw.seconds(0.001, 5))),
        product=draw.number(0, 1),
        size=draw.one_of((1, 2, 3, 10, 50)),
        flag=draw.chance(0.3),
    )


def _draw_fault(draw: Draw) -> Fault:
    kind: FaultKind = draw.one_of(
        (
            "refused",
            "lost",
            "lost",
            "late",
            "slow",
            "garbage",
            "status",
            "refusal",
            "refusal",
            "limited",
            "limited",
            "swapped",
        )
    )
    later = draw.seconds(0, 5)
    details = {"garbage": _GARBAGE, "status": _STATUSES, "refusal": _REFUSALS}
    return Fault(
        kind,
        commit=draw.chance(0.5),
        seconds=draw.seconds(0, 5) if kind == "late" else draw.one_of((0.0, later, 40.0)),
        detail=draw.one_of(_RETRY_AFTER if kind == "limited" else details.get(kind, ("",))),
    )
