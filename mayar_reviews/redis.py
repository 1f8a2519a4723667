"""One request budget for many processes and machines, kept in Redis: `RedisRateLimit`.

Like `RateLimit` it lets through at most N requests in any window, here for all processes that
name the same Redis and scope. All times come from Redis; no client's clock is used. Redis holds
who has a slot and until when, who waits and since when, and whether the server has answered 429.
All of it expires by itself.

Needs the extra `redis`, and Redis 5 or newer, Valkey, or a service that speaks their protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import itertools
import json
import logging
import math
import traceback
import uuid
import weakref
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import define, field

try:
    from redis.asyncio import Redis, RedisCluster
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import (
        AuthenticationError,
        BusyLoadingError,
        ClusterDownError,
        MasterDownError,
        NoScriptError,
        OutOfMemoryError,
        ReadOnlyError,
        RedisError,
        ResponseError,
        TryAgainError,
    )
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "mayar_reviews.redis is an extra: pip install 'mayar-reviews[redis]'", name=_missing.name
    ) from _missing

from .checks import check_id, check_integer, check_seconds, check_type
from .credentials import Secret
from .errors import (
    APIError,
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidArgumentError,
    MayarError,
)
from .rate_limit import Slot

if TYPE_CHECKING:
    from typing import Self

_Client: TypeAlias = "Redis | RedisCluster"

_log = logging.getLogger("mayar_reviews")
_TIMEOUT = 5.0  # seconds for one answer of Redis
# A call without a deadline waits so many seconds for a Redis that is away.
_PATIENCE = 3600.0
# A process with waiters or slots asks at least every `_POLL` seconds (or every window, if that is
# shorter): its turn may come sooner than it was told, and Redis may have lost its memory. One that
# is `_LATE` seconds late loses its places, as it may be dead. It gets them back if it was slow.
_POLL = 5.0
_LATE = 1.0
# Two clocks never agree exactly: slots come back this many seconds late.
_MARGIN = 0.001
# A call ends so many seconds before its deadline, so that the failure of Redis is its error.
_EARLY = 0.01
_MOST = 1000  # waiters of one process that one script serves, and scripts sent at a time
_PASSES = (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
"""Refusals that end by themselves, such as that of a replica that is becoming the master."""

# A budget is one sorted set, so that it is lost as a whole or not at all. Times are microseconds
# of Redis's clock, about 1.8e15; the range of its score says what a member is:
#   below 0      a waiter: the time at which it came, less 4e15
#   0 to 4e15    a slot in use: when it comes back
#   above 4e15   '@process': 4e15 more than the time by which it must ask again;
#                '!lost': 4e15 more than the time until which nobody gets a slot
#   infinite     '=requests:per@birth': the terms of the budget, and this set's own name
# A script runs alone, and its clock stands still. If an answer is lost, it runs again with
# `all`: all that the process holds and waits for. So running it twice must do no harm.
#
# A waiter takes a slot of each budget (KEYS holds three keys of each, the innermost first) or of
# none. It stands in the line of the innermost. While a slot of that is free for it, it also
# stands in the line of the next, at the place of its arrival.
_SYNC = """
local ask = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local BASE = 4e15
local depth = #ask.terms
local marks, lost = {}, ask.places and not redis.call('ZSCORE', KEYS[1], '@' .. ask.me)

for i, terms in ipairs(ask.terms) do
    local set = KEYS[3 * i - 2]
    redis.call('ZREMRANGEBYSCORE', set, 0, now)
    local mark = redis.call('ZRANGEBYSCORE', set, 'inf', 'inf')[1]
    if mark and mark:match('=(.*)@') ~= terms.said then return {'terms', i, mark} end
    if not mark then
        mark = '=' .. terms.said .. '@' .. ask.birth
        redis.call('ZADD', set, 'inf', mark)
    end
    if terms.mark ~= '' and terms.mark ~= mark then
        lost = true
        redis.call('ZADD', set, 'NX', BASE + now + terms.grace, '!lost')
    end
    local ttl = math.ceil((terms.lease + ask.poll + ask.late) / 1000)
    if redis.call('PTTL', set) < ttl then redis.call('PEXPIRE', set, ttl) end
    marks[i] = mark
end
if lost and not ask.all then return {'lost'} end

local granted, waits = {}, {}
for i, terms in ipairs(ask.terms) do
    local set = KEYS[3 * i - 2]
    for _, held in ipairs(ask.held) do
        local back = now + held[i + 1]
        if tonumber(redis.call('ZSCORE', set, held[1]) or 0) < back then
            redis.call('ZADD', set, back, held[1])
        end
    end
    for _, ticket in ipairs(ask.left) do redis.call('ZREM', set, ticket) end
    for _, ticket in ipairs(ask.answered) do redis.call('ZADD', set, now + terms.per, ticket) end
    if ask.accepted then redis.call('DEL', KEYS[3 * i]) end
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', set, BASE, BASE + now)) do
        if dead:sub(1, 1) == '@' then
            redis.call('ZREM', set, dead)
            local prefix = dead:sub(2) .. '#'
            for _, ticket in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', 0)) do
                if ticket:sub(1, #prefix) == prefix then redis.call('ZREM', set, ticket) end
            end
        end
    end
end
for _, new in ipairs(ask.new) do
    local since = new[2]
    if since == 0 then since = now end
    if tonumber(redis.call('ZSCORE', KEYS[1], new[1]) or -1) > 0 then
        table.insert(granted, new[1])  -- it was granted, and the answer was lost
    else
        redis.call('ZADD', KEYS[1], since - BASE, new[1])
    end
end

local free, opens = {}, {}
for i, terms in ipairs(ask.terms) do
    local set = KEYS[3 * i - 2]
    free[i] = terms.requests - redis.call('ZCOUNT', set, 0, BASE)
    local pause = redis.call('PTTL', KEYS[3 * i - 1])
    -- A 429 of a part also holds up those who take from the whole directly.
    if i == 1 then pause = math.max(pause, redis.call('PTTL', KEYS[3])) end
    local lost_until = tonumber(redis.call('ZSCORE', set, '!lost') or 0) - BASE
    opens[i] = math.max(now, now + pause * 1000, lost_until)
end
local function turn(i, ticket)
    local set, terms = KEYS[3 * i - 2], ask.terms[i]
    local place, at = redis.call('ZRANK', set, ticket), opens[i]
    local nth = place % terms.requests - free[i]
    if nth >= 0 then
        local back = redis.call('ZRANGEBYSCORE', set, 0, BASE, 'WITHSCORES', 'LIMIT', nth, 1)[2]
        -- If the answer comes now, a slot that is held comes back before its lease ends.
        at = math.max(at, math.min(tonumber(back), now + terms.per))
    end
    return at - now + math.floor(place / terms.requests) * terms.per
end
local function wait_of(ticket)
    local wait = 0
    for i = 1, depth do
        if i > 1 and not redis.call('ZSCORE', KEYS[3 * i - 2], ticket) then
            redis.call('ZADD', KEYS[3 * i - 2], redis.call('ZSCORE', KEYS[1], ticket), ticket)
        end
        local longer = turn(i, ticket)
        wait = math.max(wait, longer)
        if longer > 0 then
            for outer = i + 1, depth do redis.call('ZREM', KEYS[3 * outer - 2], ticket) end
            return wait
        end
    end
    return wait
end

local wait = 0
for _, ticket in ipairs(ask.line) do
    if tonumber(redis.call('ZSCORE', KEYS[1], ticket)) < 0 then
        wait = wait_of(ticket)
        if wait > 0 then break end
        for i, terms in ipairs(ask.terms) do
            redis.call('ZADD', KEYS[3 * i - 2], now + terms.lease, ticket)
            free[i] = free[i] - 1
        end
        table.insert(granted, ticket)
    end
end
for n, new in ipairs(ask.new) do
    local waits_on = tonumber(redis.call('ZSCORE', KEYS[1], new[1])) < 0
    waits[n] = waits_on and math.max(wait, turn(1, new[1])) or 0
end
for i = 1, depth do
    if ask.line[1] then
        local again = BASE + now + math.min(wait, ask.poll) + ask.late
        redis.call('ZADD', KEYS[3 * i - 2], again, '@' .. ask.me)
    else
        redis.call('ZREM', KEYS[3 * i - 2], '@' .. ask.me)
    end
end
return {'ok', marks, now, wait, granted, waits}
"""
# A 429 pauses the budget that the request was taken from. A second 429, of another part of the
# same larger budget, is that one's.
_PAUSE = """
for i = 1, #KEYS / 3 do
    if redis.call('PTTL', KEYS[3 * i - 1]) < tonumber(ARGV[1]) then
        redis.call('SET', KEYS[3 * i - 1], 1, 'PX', ARGV[1])
    end
    local part, refused = KEYS[3 * i - 2], KEYS[3 * (i + 1)]
    if not refused then break end
    local before = redis.call('GET', refused)
    if not before or before == part then
        if redis.call('PTTL', refused) < tonumber(ARGV[1]) then
            redis.call('SET', refused, part, 'PX', ARGV[1])
        end
        break
    end
end
"""


def key_scope(api_key: str) -> str:
    """Return a scope for an API key. It is a hash, so it does not reveal the key."""
    return f"key-{hashlib.sha256(api_key.encode()).hexdigest()[:32]}"


class _Link:
    """The connection to one Redis that all budgets of an event loop share.

    Scripts that are asked for at the same time are sent together. The time-out is that of the
    wire: waiting to be sent does not count.
    """

    def __init__(self, client: _Client, *, is_ours: bool) -> None:
        self._client = client
        self._is_ours = is_ours
        self._pending: list[tuple[str, list[str], str, asyncio.Future[Any]]] = []
        self._sender: asyncio.Task[None] | None = None
        self._checked = False
        self.users = 0

    async def run(self, script: str, keys: list[str], argument: str) -> Any:
        """Run a script.

        Raises:
            ConnectionFailedError: Redis cannot be reached, or refuses the script.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._pending.append((script, keys, argument, answer))
        if self._sender is None or self._sender.done():
            self._sender = loop.create_task(self._send())
        return await answer

    async def close(self) -> None:
        """End it when its last budget is closed."""
        self.users -= 1
        if self.users:
            return
        if self._sender is not None:
            await asyncio.wait([self._sender])
        if self._is_ours:
            await self._client.aclose()

    async def _send(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:_MOST], self._pending[_MOST:]
            answers: list[Any]
            try:
                async with asyncio.timeout(_TIMEOUT):
                    answers = await self._exchange(batch)
            except asyncio.CancelledError as error:
                traceback.clear_frames(error.__traceback__)  # redis-py's frames hold the password
                raise
            except Exception as error:  # whatever it is, nobody must wait for ever
                answers = [error] * len(batch)
            for (*_, future), answer in zip(batch, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(_failure(answer))
                else:
                    future.set_result(answer)
            if any(isinstance(answer, ReadOnlyError) for answer in answers) and self._is_ours:
                # The name may by now lead to the new master.
                await self._client.aclose()

    async def _exchange(self, batch: list[tuple[str, list[str], str, Any]]) -> list[Any]:
        if not self._checked:
            await self._check_memory()
        answers = await self._run_all("EVALSHA", batch)
        unknown = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            again = await self._run_all("EVAL", [batch[n] for n in unknown])
            for n, answer in zip(unknown, again, strict=True):
                answers[n] = answer
        return answers

    async def _run_all(
        self, command: str, batch: list[tuple[str, list[str], str, Any]]
    ) -> list[Any]:
        if isinstance(self._client, RedisCluster):
            pipeline: Any = self._client.pipeline()
        else:
            pipeline = self._client.pipeline(transaction=False)
        for script, keys, argument, _ in batch:
            text = script if command == "EVAL" else _sha(script)
            pipeline.execute_command(command, text, len(keys), *keys, argument)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    async def _check_memory(self) -> None:
        """Warn of a Redis that may forget slots in use."""
        try:
            info: Any = await self._client.info("memory")
        except ResponseError as error:
            if isinstance(error, (AuthenticationError, *_PASSES)):
                raise
            info = {}  # a user that may not ask
        self._checked = True
        policy = info.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            _log.warning(
                "the rate limit's Redis may drop slots in use: its maxmemory-policy is %s; "
                "set it to noeviction",
                policy,
            )


def _sha(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _failure(error: Exception) -> ConnectionFailedError:
    if isinstance(error, TimeoutError):
        return ConnectionFailedError(
            f"nothing was sent: no answer from the rate limit's Redis in {_TIMEOUT:g} s"
        )
    away = isinstance(error, RedisError | OSError)
    refused = isinstance(error, AuthenticationError | ResponseError)
    return ConnectionFailedError(
        f"nothing was sent: the rate limit's Redis failed ({type(error).__name__})",
        transient=(away and not refused) or isinstance(error, _PASSES),
    )


_links: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Link]] = (
    weakref.WeakKeyDictionary()
)


@define(eq=False)
class _Waiter:
    until: float | None
    on_wait: Callable[[float], None] | None
    granted: asyncio.Future[None]
    since: int = field(default=0, init=False)
    """When it came, by Redis's clock; 0: Redis has not been told of it."""


class RedisRateLimit:
    """A budget of requests, shared by all clients of all processes that name its scope.

    Waiters are served in the order in which they came, whatever their process. When a process
    dies, its slots come back `lease + per` seconds after it took them. When Redis cannot be
    reached, calls wait for it up to their deadlines (up to an hour without one), then end with
    `ConnectionFailedError`, and nothing is sent. When Redis loses its memory, each process tells it
    again what it has used; meanwhile nobody gets a slot for a few seconds.

    A 429 pauses this budget in every process. If two budgets within the same larger one get a
    429, and no request of it is accepted in between, the larger one is paused.

    It connects on first use and belongs to one event loop until it is closed. The clients do not
    close it: use `async with`, or call `aclose()` after they are closed. All budgets of an event
    loop share one connection for each `url`.

    Args:
        url: the server, `redis://`, `rediss://` (TLS) or `unix://`, with its user, password and
            database: `rediss://user:password@host:6379/0`. No repr and no exception shows it. Or a
            client of your own, `redis.asyncio.Redis` (that of a Sentinel too) or `RedisCluster`,
            which is used as it is and never closed.
        requests: how many requests any window may hold; at least 1.
        per: the length of the window in seconds; more than 0.
        scope: what the server limits, 3-100 letters, digits, `_` or `-`: a name for the address
            that the processes share, or `key_scope(api_key)`. It is written to Redis, so it must
            not be the key itself. All processes must give the same `requests` and `per` for it.
        lease: how many seconds one request may take; more than 0. It must be at least the
            `timeout` of the clients plus the time (at most 5 s) that Redis takes to answer.
        within: a larger budget in the same Redis, such as that of the address of a key. A request
            takes a slot of both or of none.

    Raises:
        InvalidArgumentError: an argument is outside its limits.
    """

    # The state in one event loop; `_enter` begins it.
    _me: str
    _numbers: itertools.count[int]
    _waiting: dict[str, _Waiter]
    """In order of arrival."""
    _held: set[str]
    _used: dict[str, float]
    """The slots of this window, and when their requests were answered."""
    _left: list[str]
    _answered_since: list[str]
    _accepted: bool
    _anew: bool
    """Whether Redis must be told everything: an answer was lost, or Redis's memory."""
    _marks: list[str]
    _failure: MayarError | None
    _round_trip: float
    _wake: asyncio.Event
    _speaker: asyncio.Task[None] | None
    _pausing: set[asyncio.Task[None]]
    _link: _Link

    def __init__(
        self,
        url: str | _Client,
        requests: int,
        per: float,
        *,
        scope: str,
        lease: float = 35.0,
        within: RedisRateLimit | None = None,
    ) -> None:
        self._lent = url if isinstance(url, Redis | RedisCluster) else None
        self._url = Secret("" if self._lent is not None else url)  # type: ignore[arg-type]
        del url  # a traceback that shows local variables must not show the password
        self._requests = requests
        self._per = per
        self._scope = scope
        self._within = within
        check_integer("requests", requests, 1)
        check_seconds("per", per)
        check_id("scope", scope)
        check_seconds("lease", lease)
        if self._lent is None:
            self._make_client()
            self._where = hashlib.sha256(self._url.value.encode()).hexdigest()
        else:
            self._where = f"lent-{id(self._lent)}"
        per_us = round((per + _MARGIN) * 1e6)
        lease_us = per_us + round(lease * 1e6)
        terms = {
            "requests": requests,
            "per": per_us,
            "lease": lease_us,
            # All who use the budget ask within that time, and so learn that Redis lost its memory.
            "grace": round((min(_POLL, per) + _LATE) * 1e6),
            "said": f"{requests}:{per_us}",
        }
        self._terms: list[dict[str, Any]] = [terms]
        # One tag for all: a Cluster then keeps the budgets that a script needs on one node. A tag
        # for each budget would not do, as one may lie within another.
        name = f"{{mayar-reviews}}:{scope}"
        self._keys = [name, f"{name}:pause", f"{name}:refused"]
        self._pers = [per]
        if within is not None:
            check_type("within", within, RedisRateLimit)
            if within._where != self._where:  # noqa: SLF001  our own class
                raise InvalidArgumentError("must be in the same Redis", field="within")
            if name in within._keys:  # noqa: SLF001
                raise InvalidArgumentError("must have another scope", field="within")
            self._terms += within._terms  # noqa: SLF001
            self._keys += within._keys  # noqa: SLF001
            self._pers += within._pers  # noqa: SLF001
        self._poll = min(_POLL, *self._pers)
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        within = "" if self._within is None else f", within={self._within!r}"
        return f"RedisRateLimit({self._requests}, per={self._per}, scope={self._scope!r}{within})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Tell Redis of the last answers and close the connection, if no other budget uses it.

        When it is used again, in this or another event loop, it connects again. Who still waits
        for a slot gets a `RuntimeError`.

        Raises:
            RuntimeError: the budget is in use in another event loop.
        """
        self._enter(asyncio.get_running_loop())
        if self._speaker is not None:
            self._speaker.cancel()
            await asyncio.wait([self._speaker])
        for ticket, waiter in self._waiting.items():
            self._left.append(ticket)
            if not waiter.granted.done():
                waiter.granted.set_exception(RuntimeError("this RedisRateLimit was closed"))
        self._waiting.clear()
        try:
            if self._left or self._answered_since:
                await self._sync()
        except MayarError as error:
            _log.warning("Redis could not be told that a request has ended: %s", error)
        if self._loop is None:
            return  # another call has closed it meanwhile
        self._loop = None
        await self._link.close()
        if not self._link.users:
            _links.get(asyncio.get_running_loop(), {}).pop(self._where, None)

    def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Hold a slot for one request; see `RateLimiter.slot`.

        Raises:
            DeadlineExceededError: no slot comes free by then.
            ConnectionFailedError: Redis refuses the command, or cannot be reached until then.
            InvalidArgumentError: other processes give other `requests` or `per` for the scope.
            RuntimeError: the budget is in use in another event loop.
        """
        return Slot(self._acquire, self._release, until, on_wait)

    async def pause(self, seconds: float) -> None:
        """Hand out no slot for so many seconds, in any process: the server has answered 429."""
        self._enter(asyncio.get_running_loop())
        # All processes need this pause, even if this call is cancelled.
        task = asyncio.get_running_loop().create_task(self._pause(seconds))
        self._pausing.add(task)
        task.add_done_callback(self._pausing.discard)
        await asyncio.shield(task)

    async def _pause(self, seconds: float) -> None:
        try:
            milliseconds = math.ceil((seconds + _MARGIN) * 1000)
            await self._link.run(_PAUSE, self._keys, str(milliseconds))
        except MayarError as error:
            _log.warning("Redis could not be told of a pause: %s", error)

    async def _acquire(self, until: float | None, on_wait: Callable[[float], None] | None) -> str:
        loop = asyncio.get_running_loop()
        self._enter(loop)
        ticket = f"{self._me}#{next(self._numbers):010}"
        waiter = self._waiting[ticket] = _Waiter(until, on_wait, loop.create_future())
        self._speak()
        failure: MayarError | None = None
        try:
            async with asyncio.timeout_at(None if until is None else until - _EARLY):
                await waiter.granted
        except BaseException as error:
            self._waiting.pop(ticket, None)
            self._held.discard(ticket)  # it was granted just as it was given up
            if self._loop is loop:
                self._left.append(ticket)
                self._speak()
            if isinstance(error, MayarError) or not isinstance(error, TimeoutError):
                raise
            failure = self._failure
        else:
            return ticket
        if failure is not None:
            raise ConnectionFailedError(str(failure), transient=False)
        raise DeadlineExceededError("the deadline passed while waiting for the rate limit")

    def _release(self, ticket: str, error: BaseException | None) -> None:
        if self._loop is None or ticket not in self._held:
            return  # the budget or its loop was closed
        self._held.remove(ticket)
        self._used[ticket] = asyncio.get_running_loop().time()
        self._answered_since.append(ticket)
        self._accepted |= error is None or (isinstance(error, APIError) and not error.transient)
        self._speak()

    def _speak(self) -> None:
        """Let Redis hear of something new."""
        self._wake.set()
        if self._speaker is None or self._speaker.done():
            self._speaker = asyncio.get_running_loop().create_task(self._speak_for_all())

    async def _speak_for_all(self) -> None:
        """Speak to Redis for all tasks, while any waits, or has used a slot of this window."""
        loop = asyncio.get_running_loop()
        failing_since: float | None = None
        backoff = 0.05
        while self._waiting or self._held or self._used or self._left:
            self._wake.clear()
            try:
                wait = await self._sync()
            except MayarError as error:
                failing_since = failing_since or loop.time()
                passes = loop.time() - failing_since < _PATIENCE
                self._failure = error
                if not getattr(error, "transient", False) or not passes:
                    self._give_up(error)
                    return
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, 1.0)
                continue
            self._failure, failing_since, backoff = None, None, 0.05
            if not wait or self._wake.is_set():
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
        self._marks = [""] * len(self._terms)

    def _give_up(self, error: MayarError) -> None:
        if self._answered_since:
            _log.warning("Redis could not be told that a request has ended: %s", error)
        for waiter in self._waiting.values():
            if not waiter.granted.done():
                waiter.granted.set_exception(copy.copy(error))
        self._waiting.clear()

    async def _sync(self) -> float:
        """Tell Redis what is new, and serve waiters. Return how long to wait for the next time."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        over = [t for t, at in self._used.items() if at + max(self._pers) + _MARGIN <= now]
        for ticket in over:
            del self._used[ticket]
        left, answered, accepted = self._left[:], self._answered_since[:], self._accepted
        new = [
            (ticket, waiter)
            for ticket, waiter in self._waiting.items()
            if self._anew or not waiter.since
        ]
        lines = list(itertools.islice(self._waiting, _MOST))
        ask = {
            "me": self._me,
            "birth": uuid.uuid4().hex,
            "poll": round(self._poll * 1e6),
            "late": round(_LATE * 1e6),
            "terms": [
                {**terms, "mark": mark}
                for terms, mark in zip(self._terms, self._marks, strict=True)
            ],
            "all": self._anew,
            "places": any(waiter.since for waiter in self._waiting.values()),
            "new": [[ticket, waiter.since] for ticket, waiter in new],
            "line": lines,
            "left": left,
            "answered": answered,
            "accepted": accepted,
            "held": self._slots(now) if self._anew else [],
        }
        self._anew = True  # until the answer is here
        answer = await self._link.run(_SYNC, self._keys, json.dumps(ask))
        status = _text(answer[0])
        if status == "lost":
            _log.warning("the rate limit's Redis has lost its memory: telling it again")
            return 0.0
        if status == "terms":
            raise self._other_terms(_text(answer[2]))
        self._anew = False
        _, marks, redis_now, wait_us, granted, waits = answer
        self._marks = [_text(mark) for mark in marks]
        self._left = self._left[len(left) :]
        self._answered_since = self._answered_since[len(answered) :]
        self._accepted = self._accepted and bool(self._answered_since)
        for (ticket, waiter), wait in zip(new, waits, strict=True):
            if not waiter.since:
                waiter.since = redis_now
                if wait > 0:
                    self._announce(ticket, waiter, wait / 1e6)
        for ticket in map(_text, granted):
            # One that is gone meanwhile is among those that have left.
            if (given := self._waiting.pop(ticket, None)) and not given.granted.done():
                self._held.add(ticket)
                given.granted.set_result(None)
        spent = loop.time() - now
        self._round_trip = min(self._round_trip or spent, spent)
        if not self._waiting:
            return self._poll
        if not wait_us:
            return 0.0
        # So that the script is there when the slot is, and perhaps a few more slots with it.
        wait = max(wait_us / 1e6 - 0.9 * self._round_trip, 0.001) + min(self._per / 1000, 0.05)
        return float(min(wait, self._poll))

    def _slots(self, now: float) -> list[list[object]]:
        """Return the slots of this window, each with the microseconds left in each budget."""
        slots: list[list[object]] = [
            [ticket, *(terms["lease"] for terms in self._terms)] for ticket in self._held
        ]
        for ticket, at in self._used.items():
            rest = (round((per + _MARGIN - now + at) * 1e6) for per in self._pers)
            slots.append([ticket, *(max(each, 0) for each in rest)])
        return slots

    def _announce(self, ticket: str, waiter: _Waiter, wait: float) -> None:
        if waiter.granted.done():
            return
        until = waiter.until
        try:
            if until is not None and asyncio.get_running_loop().time() + wait > until:
                raise DeadlineExceededError(
                    f"the rate limit has no slot for another {wait:.1f} s, the deadline is sooner"
                )
            if waiter.on_wait is not None:
                waiter.on_wait(wait)
        except Exception as error:
            self._waiting.pop(ticket, None)
            waiter.granted.set_exception(error)

    def _other_terms(self, mark: str) -> InvalidArgumentError:
        requests, per = mark.partition("@")[0][1:].split(":")
        return InvalidArgumentError(
            f"differ from those of another process for the same scope: it says {requests} "
            f"requests per {int(per) / 1e6 - _MARGIN:g} s. All processes must say the same",
            field="requests",
        )

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is self._loop:
            return
        if self._loop is not None and not self._loop.is_closed():
            raise RuntimeError("this RedisRateLimit is in use in another event loop")
        self._loop = loop
        self._me = uuid.uuid4().hex[:16]
        self._numbers = itertools.count()
        self._waiting, self._held, self._used = {}, set(), {}
        self._left, self._answered_since, self._accepted = [], [], False
        self._anew, self._marks, self._failure = False, [""] * len(self._terms), None
        self._round_trip = 0.0
        self._wake, self._speaker, self._pausing = asyncio.Event(), None, set()
        links = _links.setdefault(loop, {})
        if self._where not in links:
            client = self._make_client() if self._lent is None else self._lent
            links[self._where] = _Link(client, is_ours=self._lent is None)
        self._link = links[self._where]
        self._link.users += 1

    def _make_client(self) -> Redis:
        client: Redis | None
        try:
            client = Redis.from_url(
                self._url.value,
                retry=Retry(NoBackoff(), 1),
                # The link has its own time-out.
                socket_timeout=None,
                socket_connect_timeout=None,
            )
            # This opens nothing yet, but it refuses URLs that `from_url` accepts.
            client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except Exception:  # redis-py raises many kinds, and their texts show the URL
            client = None  # and so does the client, to a report that shows local variables
        if client is not None:
            return client
        raise InvalidArgumentError(
            "is not the URL of a Redis server: it must look like "
            "rediss://user:password@host:6379/0",
            field="url",
        )


def _text(value: Any) -> str:
    """Return what a client, which may decode answers or not, has given."""
    return value.decode() if isinstance(value, bytes) else str(value)
