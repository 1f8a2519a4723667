"""Faults to plant in the code, to prove that the simulation finds them.

A plant replaces one piece of text in one module, in a copy of the package.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from attrs import frozen

import tests

_PACKAGE = Path(tests.__file__).parents[1] / "mayar_reviews"


@frozen
class Plant:
    """One planted fault."""

    law: str
    """The law that it breaks, as the simulation writes it; empty if it can be any."""
    module: str
    old: str
    new: str


def plant(name: str, folder: Path) -> None:
    """Copy the package into a folder, with a fault.

    Raises:
        ValueError: the code has changed, so the plant must be written anew.
    """
    shutil.copytree(_PACKAGE, folder / "mayar_reviews")
    planted = PLANTS[name]
    file = folder / "mayar_reviews" / planted.module
    text = file.read_text()
    if text.count(planted.old) != 1:
        raise ValueError(f"{name}: its text stands {text.count(planted.old)} times in {file.name}")
    file.write_text(text.replace(planted.old, planted.new))


PLANTS = {
    # Creations.
    "blind_retry": Plant(
        "no blind creation",
        "retry.py",
        "        return Next.LOOK\n",
        "        return Next.AGAIN\n",
    ),
    "failed_look_up_is_absence": Plant(
        "no blind creation",
        "creation.py",
        "                raise delivery.outcome_unknown()\n            if found is not None:",
        "                found = None\n            if found is not None:",
    ),
    "any_review_is_ours": Plant(
        "a write told as done",
        "creation.py",
        "    if found.rating == new.rating:\n",
        "    if True:\n        return found\n",
    ),
    "clock_of_the_client": Plant(
        "a write told as not done",
        "creation.py",
        "        if found.created_at >= latest - _CLOCKS_DIFFER:\n            return found\n"
        "        if found.created_at >= earliest - _CLOCKS_DIFFER:\n",
        "        if False:\n",
    ),
    # Other writes.
    "blind_media": Plant(
        "no write is doubled",
        "retry.py",
        "effect in (Effect.READ, Effect.SET) or not failure.in_doubt",
        "effect is not Effect.CREATE",
    ),
    "doubt_forgotten": Plant(
        "a write told as not done",
        "delivery.py",
        "return failure if self.doubt is None else self.outcome_unknown()",
        "return failure",
    ),
    "doubt_at_everything": Plant(
        "doubt has a reason",
        "delivery.py",
        "if outcome.in_doubt and self._endpoint.effect",
        "if self._endpoint.effect",
    ),
    "all_applied": Plant(
        "a write told as",
        "status_updates.py",
        "            if failure is None:\n                progress.applied",
        "            if failure is None or len(part) > 1:\n                progress.applied",
    ),
    "half_forgotten": Plant(
        "",
        "status_updates.py",
        "left += [part[middle:], part[:middle]]",
        "left += [part[middle:]]",
    ),
    "refused_though_in_doubt": Plant(
        "a write told as not done",
        "status_updates.py",
        "            if delivery.doubt is not None:\n",
        "            if False:\n",
    ),
    # Lists.
    "stale_watermark": Plant(
        "nothing lost",
        "walk.py",
        "            return self._updated.time + 1\n",
        "            return self._updated.time\n",
    ),
    "cursor_of_the_server": Plant(
        "nothing lost",
        "walk.py",
        "        if is_time and rows and self._order",
        "        if False and rows and self._order",
    ),
    "no_second_look": Plant(
        "nothing lost",
        "walk.py",
        '        if self._pages == 1 or self._order in ("created", "none") or self._newest is None:',
        "        if True:",
    ),
    "gap_without_a_name": Plant(
        "nothing lost",
        "walk.py",
        "        self._gaps.append((start, until))\n",
        "",
    ),
    "page_of_fifty_trusted": Plant(
        "nothing lost",
        "checks.py",
        "WHOLE_PAGE_SIZE = 40",
        "WHOLE_PAGE_SIZE = 50",
    ),
    "twice_at_a_tie": Plant(
        "nothing twice",
        "walk.py",
        "time < self.time or (time == self.time and review_id not in self.ids)",
        "time <= self.time",
    ),
    "twice_after_an_offset": Plant(
        "nothing twice",
        "walk.py",
        "            self._recent[row.id] = row.updated\n",
        "",
    ),
    "change_passed_over": Plant(
        "every change is shown",
        "pagination.py",
        "        while found:\n            yield found.pop()\n",
        "        if found:\n            yield found.pop()\n",
    ),
    "wrong_place_to_go_on": Plant(
        "nothing lost",
        "pagination.py",
        "                error.starting_after = starting_after\n",
        "                error.starting_after = walk.cursor and str(int(walk._created.time) - 1)\n",
    ),
    # The budget.
    "slot_at_send": Plant(
        "never more than N",
        "rate_limit.py",
        "        self._returns.append(self._now() + self._per + _MARGIN)\n",
        "        self._returns.append(self._now() + self._per * 0.97)\n",
    ),
    "slot_twice": Plant(
        "never more than N",
        "rate_limit.py",
        "            if waiter.done() and not waiter.cancelled():\n",
        "            if True:\n",
    ),
    "slot_lost": Plant(
        "",
        "rate_limit.py",
        "        if ticket.loop is not self._loop:\n            return  #",
        "        if ticket.loop is not self._loop or isinstance(error, asyncio.CancelledError):\n"
        "            return  #",
    ),
    "pause_ignored": Plant(
        "a 429 pauses all",
        "rate_limit.py",
        "        self._paused_until = max(self._paused_until, now + seconds)\n",
        "",
    ),
    "old_answer_ends_a_pause": Plant(
        "a 429 pauses all",
        "rate_limit.py",
        "if accepted and self._limited_at < ticket.taken and ",
        "if accepted and ",
    ),
    "pause_forgotten_by_who_waits_for_the_whole": Plant(
        "a 429 pauses all",
        "rate_limit.py",
        "max(parts[0]._opens_directly_at, *(part._lets_go_at for part in parts))",
        "parts[0]._opens_directly_at",
    ),
    # Time, and what is left behind.
    "deadline_forgotten": Plant(
        "every call is over",
        "call.py",
        "limit = min(settings.timeout, self._until - started)",
        "limit = settings.timeout",
    ),
    "wait_beyond_the_deadline": Plant(
        "every call is over",
        "call.py",
        "        if seconds > self.time_left():\n",
        "        if seconds > self.time_left() + 5:\n",
    ),
    "cancellation_swallowed": Plant(
        "",
        "call.py",
        '                self._tell("attempt", endpoint, loop.time() - started, "CancelledError")\n'
        "            raise\n",
        '                self._tell("attempt", endpoint, loop.time() - started, "CancelledError")\n'
        "            outcome = DeadlineExceededError()\n",
    ),
    "attempt_not_counted": Plant(
        "attempts equals the ledger",
        "call.py",
        "                self.attempts += 1\n                self.sent_at = started\n"
        "                answer = await settings.transport.send(endpoint, limit)\n",
        "                self.sent_at = started\n"
        "                answer = await settings.transport.send(endpoint, limit)\n"
        "                self.attempts += 1\n",
    ),
    "generator_left_open": Plant(
        "nothing left behind",
        "pagination.py",
        "    async with aclosing(pages):\n        async for page in pages:\n            left",
        "    if True:\n        async for page in pages:\n            left",
    ),
    "foreign_answer_taken": Plant(
        "",
        "answers.py",
        "    if found != asked:\n",
        "    if False:\n",
    ),
    "key_in_the_error": Plant(
        "no private data",
        "answers.py",
        '        key.hide(messages) if isinstance(messages, str) else "",\n',
        '        messages if isinstance(messages, str) else "",\n',
    ),
    "locals_in_the_traceback": Plant(
        "no private data",
        "tracebacks.py",
        "            traceback.clear_frames(error.__traceback__)\n",
        "",
    ),
    # Exports.
    "page_lost_at_a_kill": Plant(
        "nothing lost",
        "export/file_export.py",
        "                    journal.append(page)\n",
        "                    if progress.pages or not self._resumed_from:\n"
        "                        journal.append(page)\n",
    ),
}
