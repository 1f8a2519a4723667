"""A model of `create_review`: every way in which up to twelve requests can go.

    python -m tests.model.create_once

The client follows the page "Why a retry never doubles", and not the code: `test_create_once.py`
replays paths of the model on the code. It knows the customer's id and sends a creation at most
three times, without a wait between. The network loses, delays and repeats answers. The server does
late what was asked, and shows late what it has done. Another program may review the same product
for the same customer.

The search is a breadth-first one over all states. It ends with the harm of the shortest path, or
without any. With every assumption there is none. Without one of them there is.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from itertools import product
from typing import Literal, NamedTuple, TypeAlias

STEPS = 12
ATTEMPTS = 3
PAUSES = (0.0, 1.0, 2.0)  # before each look-up
CLOCKS_DIFFER = 2.0
SHOWN_WITHIN = 3.0
SLOW = 20.0
"""Seconds that a late look-up takes, before or after the server has looked."""
LATE = (0.5, 2.0, 4.5, math.inf)
"""Seconds after which a creation whose answer was lost may still be done: between the first look-ups,
after the creation was sent again, and after everything."""


class Assumption(Enum):
    """What `create_review` rests on."""

    ONE_REVIEW = "A customer has at most one review of a product: the server refuses a second one."
    SHOWN_SOON = "A look-up shows a review at the latest three seconds after it was stored."
    CLOCKS_AGREE = "The server's `Date` and `createdAt` differ by at most two seconds."
    REFUSED_IS_NOT_DONE = "What the server answers with 429 it has not done."
    NOBODY_ELSE = "Nobody else gives the product the same rating for the same customer meanwhile."


Assumptions: TypeAlias = frozenset[Assumption]
ALL = frozenset(Assumption)


class Harm(Enum):
    """What must not become of a call."""

    TWICE = "The call has created two reviews."
    ANOTHERS = "The call returns the review of somebody else."
    DENIED = "The call raises ConflictError, but has created its review."
    NOT_SEEN = (
        "The call raises OutcomeUnknownError, though a look-up was answered three seconds after "
        "the review was stored."
    )


FOLLOWS = {
    Assumption.ONE_REVIEW: Harm.TWICE,
    Assumption.SHOWN_SOON: Harm.NOT_SEEN,
    Assumption.CLOCKS_AGREE: Harm.ANOTHERS,
    Assumption.REFUSED_IS_NOT_DONE: Harm.DENIED,
    Assumption.NOBODY_ELSE: Harm.ANOTHERS,
}
"""What goes wrong first without an assumption."""


class Review(NamedTuple):
    """A review as the server stored it."""

    ours: bool
    age: float
    """Seconds since it was stored."""
    same_rating: bool = True
    same_message: bool = True


class Shop(NamedTuple):
    """What a call is about; it only matters once a review was found, and is chosen then."""

    media: bool
    """Whether media were to be attached."""
    tidies: bool
    """Whether the server changes the text of what it stores."""
    clock: float
    """How far `createdAt` is ahead of `Date`, in seconds."""


class Said(NamedTuple):
    """What the client hears."""

    what: Literal["created", "conflict", "429", "lost", "absent", "found"]
    review: Review | None = None
    """As it was when the server showed it."""


class Step(NamedTuple):
    """One request, and what the client heard of it."""

    request: Literal["create", "look"]
    pause: float
    """Seconds before it was sent."""
    said: Said
    before: float
    """Seconds until the server did something about it."""
    after: float
    """Seconds until the client heard of that, or, after a 429, sent it again."""
    words: str


class State(NamedTuple):
    """Where the client and the server are. Times are in seconds from now."""

    stored: tuple[Review, ...]
    creations: int = 0
    """That failed, without those that met a 429."""
    look: int | None = None
    """Which look-up is next; `None`: the creation is."""
    lost: int = 0
    """How often this look-up was lost."""
    doubtful_for: float | None = None
    """Since the first creation was sent that may have been done."""
    met_conflict: bool = False
    under_way: tuple[float, ...] = ()
    """When creations that nobody waits for any longer will be done."""
    may_repeat: bool = False
    """Whether an answer to a look-up, that there is no review, may come once more."""
    end: Literal["returned", "conflict", "unknown"] | None = None
    shop: Shop | None = None
    found: Review | None = None
    should_know: bool = False
    """Whether the last look-up was answered, three seconds after the review was stored or later."""


class Found(NamedTuple):
    """The end of a path."""

    harm: Harm | None
    before: tuple[Review, ...]
    steps: tuple[Step, ...]
    end: State


# --- the server -----------------------------------------------------------------------------------

OURS = Review(ours=True, age=0.0)


def _store(state: State, review: Review, rests_on: Assumptions) -> tuple[State, bool]:
    """Store a review, if the server lets it."""
    if state.stored and Assumption.ONE_REVIEW in rests_on:
        return state, False
    return state._replace(stored=(*state.stored, review)), True


def _wait(state: State, seconds: float, rests_on: Assumptions) -> State:
    """Let time pass, and do what is under way."""
    for due in sorted(due for due in state.under_way if due <= seconds):
        state, _ = _store(state, OURS._replace(age=-due), rests_on)
    return state._replace(
        stored=tuple(one._replace(age=one.age + seconds) for one in state.stored),
        under_way=tuple(sorted(due - seconds for due in state.under_way if due > seconds)),
        doubtful_for=None if state.doubtful_for is None else state.doubtful_for + seconds,
    )


def _may_be_shown(state: State, rests_on: Assumptions) -> list[Review | None]:
    """What a look-up may show: the first review, or nothing if it was stored a moment ago."""
    if not state.stored:
        return [None]
    first = state.stored[0]
    late = first.age < SHOWN_WITHIN or Assumption.SHOWN_SOON not in rests_on
    return [first, None] if late else [first]


# --- what can happen ------------------------------------------------------------------------------

Next: TypeAlias = Iterator[tuple[State, Step]]


def _create(state: State, rests_on: Assumptions) -> Next:
    def step(said: Said, words: str, seconds: float = 0.0) -> Step:
        return Step("create", 0.0, said, 0.0, seconds, f"The client sends the creation. {words}")

    in_doubt = state.doubtful_for is not None
    failed = state._replace(
        creations=state.creations + 1,
        look=0,
        doubtful_for=state.doubtful_for if in_doubt else 0.0,
        met_conflict=False,
    )
    after, stored = _store(state, OURS, rests_on)
    if stored:
        yield (
            after._replace(end="returned", found=OURS),
            step(Said("created"), "The server stores the review and says so."),
        )
        yield (
            failed._replace(stored=after.stored),
            step(Said("lost"), "The server stores the review. Its answer is lost."),
        )
    else:
        refused = failed._replace(met_conflict=True) if in_doubt else state._replace(end="conflict")
        yield refused, step(Said("conflict"), "The server answers 409: there is a review.")
    yield failed, step(Said("lost"), "It is lost on its way.")
    for seconds in LATE:
        late = failed._replace(under_way=tuple(sorted((*state.under_way, seconds))))
        when = "after the call" if math.isinf(seconds) else f"{seconds:g} s later"
        yield late, step(Said("lost"), f"It is delayed: the server gets it {when}.")
    again = _wait(state, 1.0, rests_on)
    yield again, step(Said("429"), "The server answers 429, and has done nothing.", 1.0)
    if stored and Assumption.REFUSED_IS_NOT_DONE not in rests_on:
        again = _wait(after, 1.0, rests_on)
        yield again, step(Said("429"), "The server answers 429, but has stored the review.", 1.0)


def _look(state: State, rests_on: Assumptions) -> Next:
    assert state.look is not None
    pause = 0.0 if state.lost else PAUSES[state.look]
    state = _wait(state, pause, rests_on)

    def step(said: Said, words: str, before: float = 0.0, after: float = 0.0) -> Step:
        return Step("look", pause, said, before, after, f"The client looks for the review. {words}")

    for before, after in ((0.0, 0.0), (SLOW, 0.0), (0.0, SLOW)):
        asked = _wait(state, before, rests_on)
        heard = _wait(asked, after, rests_on)
        late = f"{SLOW:g} s later it hears" if before or after else "It hears"
        when = f", written {SLOW:g} s before" if after else ""
        for review in _may_be_shown(asked, rests_on):
            words = f"{late}{when}: {_in_words(review)}"
            if review is None:
                stands = bool(asked.stored) and asked.stored[0].age >= SHOWN_WITHIN
                absent = _absent(heard._replace(may_repeat=True), should_know=stands)
                yield absent, step(Said("absent"), f"{words}.", before, after)
                continue
            for shop in _shops(rests_on, review):
                said = Said("found", review._replace(same_message=_same_message(review, shop)))
                judged = _judge(heard, review, shop, before + after)
                yield judged, step(said, f"{words}{_about(shop, review)}.", before, after)
    if state.may_repeat:
        words = "It hears the answer to an earlier look-up once more: there is none."
        yield _absent(state), step(Said("absent"), words)
    lost = state._replace(lost=state.lost + 1)
    ended = lost._replace(end="unknown") if lost.lost == ATTEMPTS else lost
    yield ended, step(Said("lost"), "Its answer is lost.")


def _absent(state: State, *, should_know: bool = False) -> State:
    """What follows an answer that there is no review."""
    assert state.look is not None
    if state.look + 1 < len(PAUSES):
        return state._replace(look=state.look + 1, lost=0)
    # After a 409, that it is not there makes no sense.
    if state.met_conflict or state.creations == ATTEMPTS:
        return state._replace(end="unknown", should_know=should_know)
    return state._replace(look=None, lost=0)


def _judge(state: State, review: Review, shop: Shop, seconds: float) -> State:
    """What the client makes of a review that was found.

    The server wrote `Date` at some time of the `seconds` that the look-up took.
    """
    assert state.doubtful_for is not None
    age = review.age - shop.clock  # by the server's clock, when it wrote `Date`
    end: Literal["returned", "conflict", "unknown"] = "conflict"
    if review.same_rating:
        equal = _same_message(review, shop) and not shop.media
        if equal or age <= state.doubtful_for - seconds + CLOCKS_DIFFER:
            end = "returned"
        elif age <= state.doubtful_for + CLOCKS_DIFFER:
            end = "unknown"
    return state._replace(end=end, shop=shop, found=review)


def _same_message(review: Review, shop: Shop) -> bool:
    return not shop.tidies if review.ours else review.same_message


def _shops(rests_on: Assumptions, found: Review) -> Iterator[Shop]:
    if not found.same_rating:  # nothing else matters
        yield Shop(media=False, tidies=False, clock=0.0)
        return
    clocks = [0.0, -CLOCKS_DIFFER, CLOCKS_DIFFER]
    if Assumption.CLOCKS_AGREE not in rests_on:
        clocks += [-20.0, 20.0]
    yield from (Shop(*one) for one in product([False, True], [False, True], clocks))


def _in_words(review: Review | None) -> str:
    if review is None:
        return "there is none"
    if review.ours:
        return "the review of this call"
    rating = "the same rating" if review.same_rating else "another rating"
    message = "the same text" if review.same_message else "another text"
    return f"somebody else's review, with {rating} and {message}"


def _about(shop: Shop, review: Review) -> str:
    tidied = ", whose text the server has changed" if review.ours and shop.tidies else ""
    ahead = "ahead of" if shop.clock > 0 else "behind"
    clock = f", whose `createdAt` is {abs(shop.clock):g} s {ahead} `Date`" if shop.clock else ""
    return tidied + clock + (", and a photo was to be attached" if shop.media else "")


def _follow(state: State, rests_on: Assumptions) -> Next:
    """Each request may be preceded by a review of somebody else."""
    act = _create if state.look is None else _look
    yield from act(state, rests_on)
    if any(not review.ours for review in state.stored):
        return
    for same_rating in [False] if Assumption.NOBODY_ELSE in rests_on else [False, True]:
        other = Review(ours=False, age=0.0, same_rating=same_rating, same_message=False)
        before, stored = _store(state, other, rests_on)
        if stored:
            words = f"The server stores {_in_words(other)}. "
            for after, step in act(before, rests_on):
                yield after, step._replace(words=words + step.words)


# --- the search -----------------------------------------------------------------------------------


def _harm(state: State, rests_on: Assumptions) -> Harm | None:
    """What is wrong at the end of a call, once everything has been done that is under way."""
    final = _wait(state, math.inf, rests_on)
    ours = sum(review.ours for review in final.stored)
    if ours > 1:
        return Harm.TWICE
    found, shop = state.found, state.shop
    if state.end == "returned" and found and shop:
        equal = found.same_rating and _same_message(found, shop) and not shop.media
        if not found.ours and not equal:
            return Harm.ANOTHERS
    if state.end == "conflict" and ours:
        return Harm.DENIED
    if state.should_know:
        return Harm.NOT_SEEN
    return None


def _beginnings() -> Iterator[State]:
    """With and without a review from before."""
    yield State(())
    for same in product([False, True], repeat=2):
        yield State((Review(False, 10.0, *same),))


def search(rests_on: Assumptions = ALL, steps: int = STEPS) -> Iterator[Found]:
    """Yield the end of a shortest path to each state in which a call is over."""
    first = list(_beginnings())
    came_from: dict[State, tuple[State, Step] | None] = dict.fromkeys(first)
    level = first
    for _ in range(steps):
        following = []
        for state in level:
            for after, step in _follow(state, rests_on):
                if after not in came_from:
                    came_from[after] = state, step
                    if after.end is None:
                        following.append(after)
                    else:
                        yield _found(after, came_from, rests_on)
        level = following


def _found(
    end: State,
    came_from: dict[State, tuple[State, Step] | None],
    rests_on: Assumptions,
) -> Found:
    steps: list[Step] = []
    state = end
    while (link := came_from[state]) is not None:
        state, step = link
        steps.append(step)
    return Found(_harm(end, rests_on), state.stored, tuple(reversed(steps)), end)


def counterexample(without: Assumption) -> Found:
    """Return a shortest path to the harm that follows without an assumption."""
    return next(found for found in search(ALL - {without}) if found.harm is FOLLOWS[without])


def in_words(found: Found) -> list[str]:
    """Tell a path, a line for each request."""
    lines = [f"At the start there is {_in_words(review)}." for review in found.before]
    now = 0.0
    for step in found.steps:
        now += step.pause
        lines.append(f"At {now:g} s: {step.words}")
        now += step.before + step.after
    if found.end.under_way:
        lines.append("After the call: the server gets the delayed creation.")
    return [*lines, *([found.harm.value] if found.harm else [])]


def main() -> None:
    """Print what the search finds."""
    ends: Counter[str] = Counter()
    for found in search():
        ends[str(found.end.end)] += 1
        if found.harm:
            sys.exit("\n".join(in_words(found)))
    lines = [f"No harm in {ends.total():,} ends of a call: {dict(ends)}"]
    for assumption in Assumption:
        lines += ["", f"Without: {assumption.value}", *in_words(counterexample(assumption))]
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
