"""What must hold in every simulation, by the server's ledger and clock.

Nothing here believes what the client says of itself: each law compares what a job was told with
what the simulated server did.
"""

from __future__ import annotations

import asyncio
import math
import traceback
from collections.abc import Iterable, Iterator
from itertools import pairwise

from mayar_reviews import (
    ConflictError,
    IncompleteListError,
    MayarError,
    OutcomeUnknownError,
    Review,
    StatusUpdateError,
)
from mayar_reviews.api_json import to_milliseconds

from .jobs import Leg, Program, Told, status_updates
from .loop import SimulatedLoop
from .plan import Job
from .world import PRIVATE, PRODUCTS, Exchange

_SLACK = 0.01
_WRITES = ("create", "update", "attach", "statuses")
_OPEN_ENDED = ("walk", "watch", "export")


def broken_laws(program: Program, loop: SimulatedLoop, log: list[str]) -> Iterator[str]:
    """Yield what was broken, each as `law: what happened`."""
    plan = program.world.plan
    for complaint in loop.complaints:
        yield f"nothing left behind: {complaint}"
    for text in log:
        if PRIVATE in text:
            yield f"no private data: the log says {text}"
    yield from _never_more_than_the_budget(program)
    yield from _pauses_are_kept(program)
    for told in program.told:
        job = told.job
        exchanges = [one for one in program.world.exchanges if one.job == job.number]
        where = f"job {job.number} ({job.kind})"
        laws: list[Iterable[str]] = [_ends_as_it_may(told, plan.close_at is not None)]
        for number, leg in enumerate(told.legs):
            last = told.legs[number + 1].first_exchange if leg is not told.legs[-1] else None
            laws.append(_leg(job, leg, exchanges[leg.first_exchange : last]))
        if job.kind == "create":
            laws.append(_no_blind_creation(exchanges))
        if job.kind in _WRITES and told.cancelled_at is None and told.legs:
            laws.append(_told_is_true(job, told.legs[-1], exchanges, program))
        if job.kind in ("walk", "export"):
            laws.append(_nothing_lost_nothing_twice(told, program))
        if job.kind == "watch" and told.cancelled_at is None:
            laws.append(_every_change_is_shown(told, program))
        if job.kind == "look_up" and told.cancelled_at is None:
            laws.append(_look_up_is_right(told, exchanges, program))
        for law in laws:
            for fault in law:
                yield f"{fault} [{where}]"


# --- the budget ------------------------------------------------------------------------------


def _never_more_than_the_budget(program: Program) -> Iterator[str]:
    plan = program.world.plan
    # A request that arrives after the client gave it up cannot be counted by any client.
    arrivals = sorted(
        (one.arrived_at, one.job)
        for one in program.world.exchanges
        if one.arrived_at is not None and one.was_awaited
    )
    limits = [(plan.requests, arrivals)]
    if plan.whole:
        parts = [[one for one in arrivals if one[1] % 2 == part] for part in (0, 1)]
        limits = [(plan.whole, arrivals), *((plan.requests, part) for part in parts)]
    for most, counted in limits:
        for (first, _), (last, _) in zip(counted, counted[most:], strict=False):
            if last - first < plan.per:
                yield (
                    f"never more than N in a window: {most + 1} requests arrive within "
                    f"{last - first:.3f} of {plan.per:g} s"
                )
                return


def _pauses_are_kept(program: Program) -> Iterator[str]:
    plan = program.world.plan
    probe_every = 2 * plan.per
    exchanges = program.world.exchanges
    for limited in exchanges:
        fault = limited.fault
        if not (fault and fault.kind == "limited" and limited.answer and fault.detail.isdigit()):
            continue
        if fault.detail == "4000":
            continue  # a call whose deadline is sooner may ignore it
        assert limited.ended_at is not None
        until = min(limited.ended_at + float(fault.detail), limited.sent_at + probe_every) - _SLACK
        for other in exchanges:
            if plan.whole and other.job % 2 != limited.job % 2:
                continue  # perhaps the 429 was about the other part's limit only
            if limited.ended_at < other.sent_at < until:
                yield f"a 429 pauses all: #{other.number} is sent in the pause of #{limited.number}"
                return


# --- one call --------------------------------------------------------------------------------


def _ends_as_it_may(told: Told, may_be_closed: bool) -> Iterator[str]:
    if told.ended_at is None:
        yield "every call ends: it still waits"
    elif told.cancelled_at is not None and told.ended_at > told.cancelled_at + _SLACK:
        yield f"a cancelled call ends at once: {told.ended_at - told.cancelled_at:.3f} s later"
    for leg in told.legs:
        error = leg.error
        if isinstance(error, asyncio.CancelledError):
            if told.cancelled_at is None:
                yield "only our exceptions: CancelledError, and nobody cancelled"
        elif isinstance(error, RuntimeError) and may_be_closed:
            pass
        elif error is not None and not isinstance(error, MayarError):
            yield f"only our exceptions: {error!r}"
        elif told.cancelled_at is not None and leg.ended_at > told.cancelled_at:
            yield "a cancelled call ends as cancelled"


def _leg(job: Job, leg: Leg, exchanges: list[Exchange]) -> Iterator[str]:
    deadline = math.inf if job.deadline is None else job.deadline
    if job.kind == "walk":
        taken = _longest_page(leg, exchanges)
    elif job.kind in ("watch", "export", "statuses"):
        taken = 0.0  # each request has a deadline of its own, or none
    else:
        taken = leg.ended_at - leg.started_at
    if taken > deadline + _SLACK:
        yield f"every call is over by its deadline: {taken:.3f} s of {deadline:g}"
    error = leg.error
    if not isinstance(error, MayarError):
        return
    if job.kind != "export" and error.attempts != len(exchanges):
        yield f"attempts equals the ledger: {error.attempts} of {len(exchanges)}"
    if isinstance(error, OutcomeUnknownError) and not any(one.in_doubt for one in exchanges):
        yield "doubt has a reason: every answer was clear"
    linked: BaseException | None = error
    seen: list[BaseException] = []
    while linked is not None and linked not in seen:
        seen.append(linked)
        if PRIVATE in f"{linked} {linked!r} {linked.args}":
            yield f"no private data: {type(linked).__name__} tells it"
        for frame, _ in traceback.walk_tb(linked.__traceback__):
            if "/mayar_reviews/" in frame.f_code.co_filename:
                for name, value in frame.f_locals.items():
                    if PRIVATE in repr(value):
                        yield f"no private data: {name} of {frame.f_code.co_qualname}"
        linked = linked.__cause__


def _longest_page(leg: Leg, exchanges: list[Exchange]) -> float:
    """Return how long the slowest page took, with all its attempts and waits."""
    longest, began = 0.0, leg.started_at
    for one in exchanges:
        assert one.ended_at is not None
        longest = max(longest, one.ended_at - began)
        if one.answer is not None and one.is_right:
            began = one.ended_at
    return max(longest, leg.ended_at - began)


# --- writes ----------------------------------------------------------------------------------


def _no_blind_creation(exchanges: list[Exchange]) -> Iterator[str]:
    """Between two creations of a call stands a look-up that was answered: it is not there."""
    creations = [one for one in exchanges if one.endpoint == "create_review"]
    for first, second in pairwise(creations):
        kind = first.fault.kind if first.fault else None
        if kind in ("refused", "limited"):
            continue
        looked = any(
            one.endpoint == "get_customer_review"
            and first.number < one.number < second.number
            and one.answer is not None
            and one.answer.body.endswith(b'"data":null}')
            for one in exchanges
        )
        if not looked:
            yield f"no blind creation: #{second.number} after #{first.number}"


def _told_is_true(job: Job, leg: Leg, exchanges: list[Exchange], program: Program) -> Iterator[str]:
    done = [one for one in exchanges if one.committed_at is not None]
    if job.kind == "statuses":
        yield from _statuses_are_true(job, leg, exchanges, program)
        return
    if job.kind in ("create", "attach") and len(done) > 1:
        yield f"no write is doubled: it was done {len(done)} times"
    if leg.error is None:
        if not any((one.committed_at or 0) <= leg.ended_at for one in done):
            yield "a write told as done is there: it was never done"
        elif not isinstance(leg.result, Review):
            yield f"a write told as done is there: {leg.result!r} came back"
    elif isinstance(leg.error, MayarError) and not isinstance(leg.error, OutcomeUnknownError):
        if done:
            yield (
                f"a write told as not done is not there: {type(leg.error).__name__}, "
                f"but #{done[0].number} did it"
            )
        if isinstance(leg.error, ConflictError) and leg.error.existing and job.size != 3:
            yield "a conflict has a rival: nobody else reviewed it"


def _statuses_are_true(
    job: Job, leg: Leg, exchanges: list[Exchange], program: Program
) -> Iterator[str]:
    asked = [update.id for update in status_updates(job, program.world.plan)]
    done = {
        update["id"]
        for one in exchanges
        if one.committed_at is not None
        for update in one.body["input"]
    }
    if leg.error is None:
        if missing := set(asked) - done:
            yield f"a write told as done is there: {sorted(missing)} were not"
        return
    if not isinstance(leg.error, StatusUpdateError):
        return
    error = leg.error
    named = [*error.applied, *error.refused, *error.unknown, *error.not_sent]
    if sorted(named) != sorted(asked):
        yield f"each status is named once: {sorted(named)} of {sorted(asked)}"
    if missing := set(error.applied) - done:
        yield f"a write told as done is there: {sorted(missing)} were not"
    if wrong := {*error.refused, *error.not_sent} & done:
        yield f"a write told as not done is not there: {sorted(wrong)} were"
    if error.unknown and not any(one.in_doubt for one in exchanges):
        yield "doubt has a reason: every answer was clear"


def _look_up_is_right(told: Told, exchanges: list[Exchange], program: Program) -> Iterator[str]:
    job, leg = told.job, told.legs[-1]
    if leg.error is not None or any(one.fault and one.fault.kind == "swapped" for one in exchanges):
        return
    there = f"review-{job.product}-0" in program.world.store.reviews
    if there != (leg.result is not None):
        yield f"a look-up is right: {leg.result!r}"


# --- lists -----------------------------------------------------------------------------------


def _is_undetectable(job: Job, program: Program) -> bool:
    """Whether no client can see that the list is not whole; see the docstring of `walk`."""
    plan = program.world.plan
    if plan.cliff and job.size >= 50:
        return True  # such a page lacks some and says that it is the last
    if plan.cursor == "offset":
        # What is archived or edited meanwhile moves the others across the border of a page.
        changed = [fields for marks in program.world.touched.values() for _, fields in marks]
        return any(plan.order != "updated" or "status" in fields for fields in changed)
    return plan.order == "created" and plan.cursor == "updated"


def _expected(told: Told, program: Program) -> set[str]:
    """Return the reviews that were in the list from the start of the job to its end."""
    job = told.job
    assert told.ended_at is not None
    began = told.legs[0].started_at
    ids = set()
    for review in program.world.store.reviews.values():
        if review["createdAt"] >= program.world.clock_at(began):
            continue
        if not job.flag and review["paymentLinkId"] != PRODUCTS[job.product]:
            continue
        marks = program.world.touched.get(review["id"], [])
        changed = {name for at, fields in marks if at >= began for name in fields}
        if changed & {"status", "rating"}:
            continue
        if review["status"] != "ACTIVE" and not job.flag:
            continue
        if job.kind == "walk" and job.number % 4 == 3 and review["rating"] != 3:
            continue
        ids.add(review["id"])
    return ids


def _nothing_lost_nothing_twice(told: Told, program: Program) -> Iterator[str]:
    for leg in told.legs:
        if program.world.plan.order == "added" and told.job.size == 1:
            break  # one review a page does not tell that the list is sorted by no time
        latest: dict[str, int] = {}
        for review_id, updated in leg.reviews:
            if review_id in latest and latest[review_id] >= updated:
                yield f"nothing twice: {review_id}"
            latest[review_id] = updated
    last = told.legs[-1]
    if told.cancelled_at is not None or not last.ended_at or not last.is_whole:
        return
    if told.job.kind == "export":
        if last.result is None:
            return
        gaps = last.result.files[0].gaps
        ids = [review_id for review_id, _ in last.reviews]
        if len(ids) != len(set(ids)):
            yield "nothing twice: an export holds a review twice"
        shown = last.reviews
    else:
        gaps = last.error.gaps if isinstance(last.error, IncompleteListError) else ()
        shown = [row for leg in told.legs for row in leg.reviews]
    if _is_undetectable(told.job, program):
        return
    spans = [(to_milliseconds(start), to_milliseconds(until)) for start, until in gaps]
    store = program.world.store
    for lost in sorted(_expected(told, program) - {row[0] for row in shown}):
        created = store.reviews[lost]["createdAt"]
        if not any(start <= created < until for start, until in spans):
            yield f"nothing lost: {lost}, and the gaps are {spans}"


def _every_change_is_shown(told: Told, program: Program) -> Iterator[str]:
    leg, plan = told.legs[0], program.world.plan
    if len(leg.reviews) != len(set(leg.reviews)):
        yield "each change once: one came twice"
    if not leg.answered or told.watched_until is None or leg.error is not None:
        return
    if plan.order != "updated" or plan.close_at is not None:
        return
    came: dict[str, int] = dict(leg.reviews)
    # Each customer that the store began with took a millisecond of its clock.
    ahead = 2 * plan.reviews + len(plan.jobs) + 1
    since = program.world.clock_at(leg.answered[0]) + ahead
    until = program.world.clock_at(told.watched_until)
    for review in program.world.store.reviews.values():
        if not told.job.flag and (
            review["paymentLinkId"] != PRODUCTS[told.job.product] or review["status"] != "ACTIVE"
        ):
            continue
        if since < review["updatedAt"] <= until and (
            came.get(review["id"], 0) < review["updatedAt"]
        ):
            yield f"every change is shown: {review['id']} was changed and did not come"
