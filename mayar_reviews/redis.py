"""One request budget for many processes and machines, kept in Redis: `RedisRateLimit`.

Like `RateLimit` it lets through at most N requests in any window, here for all processes that
name the same Redis and scope. All times come from Redis; no client's clock is used. Redis holds
who has a slot and until when, who waits and since when, and whether the server has answered 429.
All of it expires by itself.

Needs the extra `redis`, and one server of Redis 5 or newer, or the proxy of a cluster.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import random
import traceback
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

try:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import (
        AuthenticationError,
        BusyLoadingError,
        ReadOnlyError,
        RedisError,
        ResponseError,
    )
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "mayar_reviews.redis is an extra: pip install 'mayar-reviews[redis]'", name=_missing.name
    ) from _missing

from .checks import check_id, check_integer, check_seconds
from .credentials import Secret
from .errors import ConnectionFailedError, DeadlineExceededError, InvalidArgumentError, MayarError
from .rate_limit import Slot

if TYPE_CHECKING:
    from typing import Self

_log = logging.getLogger("mayar_reviews")
_TIMEOUT = 5.0  # seconds for one answer of Redis
# A waiter asks again when its turn has come, and every `_POLL` seconds, because its turn may come
# sooner. If it is `_LATE` seconds late, it loses its place, as it may be dead. If it was only
# slow, it gets its old place back.
_POLL = 5.0
_LATE = 1.0
# Two clocks never agree exactly: slots come back this many seconds late.
_MARGIN = 0.001
_JITTER = 0.005  # so that not all processes ask at once when a pause ends

# Times are microseconds of Redis's clock. A script runs alone, and its clock stands still. If an
# answer is lost, the script runs again, so running it twice must do no harm.
_TAKE = """
local slots, queue, expected, pause = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ticket, since, requests = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local per, lease, poll, late =
    tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if since == 0 then since = now end

redis.call('ZREMRANGEBYSCORE', slots, '-inf', now)
if redis.call('ZSCORE', slots, ticket) then return {0, since} end
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', expected, '-inf', now)) do
    redis.call('ZREM', queue, dead)
    redis.call('ZREM', expected, dead)
end

redis.call('ZADD', queue, since, ticket)
local place = redis.call('ZRANK', queue, ticket)
local free = requests - redis.call('ZCARD', slots)
local turn = now + math.max(redis.call('PTTL', pause), 0) * 1000
if place < free and turn == now then
    redis.call('ZREM', queue, ticket)
    redis.call('ZREM', expected, ticket)
    redis.call('ZADD', slots, now + lease, ticket)
    redis.call('PEXPIRE', slots, math.ceil(lease / 1000))
    return {0, since}
end

local nth = place % requests - free
if nth >= 0 then
    local back = tonumber(redis.call('ZRANGE', slots, nth, nth, 'WITHSCORES')[2])
    -- If the answer comes now, a slot that is held comes back before its lease ends.
    turn = math.max(turn, math.min(back, now + per))
end
local wait = turn - now + math.floor(place / requests) * per
redis.call('ZADD', expected, now + math.min(wait, poll) + late, ticket)
redis.call('PEXPIRE', queue, math.ceil((poll + late) / 1000))
redis.call('PEXPIRE', expected, math.ceil((poll + late) / 1000))
return {wait, since}
"""
_ANSWERED = """
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000000 + time[2] + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[3] / 1000))
"""
_LEAVE = """
for key = 1, 3 do redis.call('ZREM', KEYS[key], ARGV[1]) end
"""
_PAUSE = """
if redis.call('PTTL', KEYS[4]) < tonumber(ARGV[1]) then
    redis.call('SET', KEYS[4], 1, 'PX', ARGV[1])
end
"""


def key_scope(api_key: str) -> str:
    """Return a scope for an API key. It is a hash, so it does not reveal the key."""
    return f"key-{hashlib.sha256(api_key.encode()).hexdigest()[:32]}"


class RedisRateLimit:
    """A budget of requests, shared by all clients of all processes that name its scope.

    Waiters are served in the order in which they came, whatever their process. A 429 to one of
    them pauses all. When a process dies, its slots come back `lease + per` seconds after it took
    them. When Redis cannot be reached, calls end with `ConnectionFailedError` after their
    retries, and nothing is sent. When Redis loses its memory, it forgets the requests of the
    current window; until that is over, only the server's 429 holds the clients back.

    It connects on first use and belongs to one event loop until it is closed. The clients do not
    close it: use `async with`, or call `aclose()` after they are closed.

    Args:
        url: the server, `redis://`, `rediss://` (TLS) or `unix://`, with its password and
            database: `rediss://user:password@host:6379/0`. No repr and no exception shows it.
        requests: how many requests any window may hold; at least 1.
        per: the length of the window in seconds; more than 0.
        scope: what the server limits, 3-100 letters, digits, `_` or `-`: a name for the address
            that the processes share, or `key_scope(api_key)`. It is written to Redis, so it must
            not be the key itself. All processes must give the same `requests` and `per` for it.
        lease: how many seconds one request may take; more than 0. It must be at least the
            `timeout` of the clients plus the time (at most 5 s) that Redis takes to answer.

    Raises:
        InvalidArgumentError: an argument is outside its limits.
    """

    def __init__(
        self, url: str, requests: int, per: float, *, scope: str, lease: float = 35.0
    ) -> None:
        self._url = Secret(url)
        del url  # a traceback that shows local variables must not show the password
        self._requests = requests
        self._per = per
        self._scope = scope
        check_integer("requests", requests, 1)
        check_seconds("per", per)
        check_id("scope", scope)
        check_seconds("lease", lease)
        per_us = round((per + _MARGIN) * 1e6)
        lease_us = per_us + round(lease * 1e6)
        self._terms = (requests, per_us, lease_us, round(_POLL * 1e6), round(_LATE * 1e6))
        # The braces keep the keys together on servers that spread keys over shards.
        names = ("slots", "queue", "expected", "pause")
        self._keys = [f"mayar-reviews:{{{scope}}}:{name}" for name in names]
        self._notifications: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connect()

    def __repr__(self) -> str:
        return f"RedisRateLimit({self._requests}, per={self._per}, scope={self._scope!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Release all slots and close the connection.

        When it is used again, in this or another event loop, it connects again.

        Raises:
            RuntimeError: the budget is in use in another event loop.
        """
        self._enter(asyncio.get_running_loop())
        await asyncio.gather(*self._notifications)
        await self._redis.aclose()
        self._loop = None

    def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Hold a slot for one request; see `RateLimiter.slot`.

        Raises:
            DeadlineExceededError: no slot comes free by then.
            ConnectionFailedError: Redis cannot be reached, or refuses the command.
            RuntimeError: the budget is in use in another event loop.
        """
        return Slot(self._acquire, self._release, until, on_wait)

    async def pause(self, seconds: float) -> None:
        """Hand out no slot for so many seconds, in any process: the server has answered 429."""
        self._enter(asyncio.get_running_loop())
        # All processes need this pause, even if this call is cancelled.
        await asyncio.shield(self._notify(_PAUSE, math.ceil((seconds + _MARGIN) * 1000)))

    async def _acquire(self, until: float | None, on_wait: Callable[[float], None] | None) -> str:
        self._enter(asyncio.get_running_loop())
        ticket = uuid.uuid4().hex
        try:
            await self._wait_for_slot(ticket, until, on_wait)
        except BaseException:
            self._notify(_LEAVE, ticket)
            raise
        return ticket

    def _release(self, ticket: str, _: BaseException | None) -> None:
        self._notify(_ANSWERED, ticket, *self._terms[1:3])

    async def _wait_for_slot(
        self, ticket: str, until: float | None, on_wait: Callable[[float], None] | None
    ) -> None:
        loop = asyncio.get_running_loop()
        since = 0
        while True:
            wait_us, since = await self._ask(_TAKE, ticket, since, *self._terms, until=until)
            if not wait_us:
                return
            wait = wait_us / 1e6 + random.uniform(0, _JITTER)  # noqa: S311  no secret
            if until is not None and loop.time() + wait > until:
                raise DeadlineExceededError(
                    f"the rate limit has no slot for another {wait:.1f} s, the deadline is sooner"
                )
            if on_wait is not None:
                on_wait(wait)
                on_wait = None
            await asyncio.sleep(min(wait, _POLL))

    def _notify(self, script: str, *args: str | int) -> asyncio.Task[None]:
        """Run a script in the background: an answer that has arrived must not wait or fail."""
        task = asyncio.get_running_loop().create_task(self._run_and_log(script, *args))
        self._notifications.add(task)
        task.add_done_callback(self._notifications.discard)
        return task

    async def _run_and_log(self, script: str, *args: str | int) -> None:
        try:
            await self._ask(script, *args)
        except MayarError as error:
            _log.warning("Redis could not be told that a request has ended: %s", error)

    async def _ask(self, script: str, *args: str | int, until: float | None = None) -> list[int]:
        limit = asyncio.get_running_loop().time() + _TIMEOUT
        failure: MayarError
        try:
            # One at a time: the order is kept, and one connection is enough.
            async with (
                asyncio.timeout_at(limit if until is None else min(limit, until)),
                self._turns,
            ):
                answer: list[int] = await self._redis.register_script(script)(self._keys, args)
                return answer
        except asyncio.CancelledError as error:
            traceback.clear_frames(error.__traceback__)  # redis-py's frames hold the password
            raise
        except TimeoutError:
            if until is not None and until < limit:
                failure = DeadlineExceededError(
                    "the deadline passed while waiting for the rate limit's Redis"
                )
            else:
                failure = ConnectionFailedError(
                    f"nothing was sent: no answer from the rate limit's Redis in {_TIMEOUT:g} s"
                )
        except (RedisError, OSError) as error:
            refused = isinstance(error, AuthenticationError | ResponseError)
            failure = ConnectionFailedError(
                f"nothing was sent: the rate limit's Redis failed ({type(error).__name__})",
                # A replica that is becoming the master refuses for a moment only.
                transient=not refused or isinstance(error, ReadOnlyError | BusyLoadingError),
            )
        raise failure

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is self._loop:
            return
        if self._loop is not None:
            if not self._loop.is_closed():
                raise RuntimeError("this RedisRateLimit is in use in another event loop")
            self._connect()  # the old connection belonged to a loop that is closed
        self._loop = loop

    def _connect(self) -> None:
        self._turns = asyncio.Lock()
        try:
            self._redis = Redis.from_url(
                self._url.value,
                retry=Retry(NoBackoff(), 1),
                # `_ask` has its own timeout. redis-py would use `wait_for`, which can swallow
                # a cancellation before Python 3.12.
                socket_timeout=None,
                socket_connect_timeout=None,
            )
            # This opens nothing yet, but it refuses URLs that `from_url` accepts.
            self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except Exception:  # redis-py raises many kinds, and their texts show the URL
            pass
        else:
            return
        raise InvalidArgumentError(
            "is not the URL of a Redis server: it must look like "
            "rediss://user:password@host:6379/0",
            field="url",
        )
