"""The tasks of a simulated program: each uses the client and keeps what it was told."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from mayar_reviews import (
    Attachment,
    IncompleteListError,
    MayarError,
    RateLimit,
    RetryPolicy,
    Review,
    ReviewPage,
    ReviewsClient,
    StatusUpdate,
)
from mayar_reviews.api_json import to_milliseconds
from mayar_reviews.export import export_reviews

from .loop import START
from .plan import Job, Plan
from .world import KEY, ORIGIN, PRIVATE, PRODUCTS, SimulatedTransport, World, current_job, email_of

_LEGS = 4
_ROUNDS = 300
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@define(eq=False)
class Leg:
    """One call of the client."""

    started_at: float
    first_exchange: int
    """How many exchanges the job had made before."""
    ended_at: float = 0.0
    result: Any = None
    error: BaseException | None = None
    answered: list[float] = field(factory=list)
    """When a watch had its answers."""
    is_left: bool = False
    """Whether the job left the loop over a list early."""
    reviews: list[tuple[str, int]] = field(factory=list)
    """The id and the last change of each review that came."""

    @contextmanager
    def kept(self, now: Callable[[], float]) -> Iterator[None]:
        """Keep how the call ends, and when; only a cancellation goes on."""
        try:
            yield
        except BaseException as error:
            self.error = error
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self.ended_at = now()

    @property
    def is_whole(self) -> bool:
        """Whether a list came to its end."""
        ended = self.error is None or isinstance(self.error, IncompleteListError)
        return ended and not self.is_left


@define(eq=False)
class Told:
    """What one job was told."""

    job: Job
    legs: list[Leg] = field(factory=list)
    cancelled_at: float | None = None
    ended_at: float | None = None
    watched_until: float | None = None
    """The last change that a watch must have shown by its end."""
    kills: int = 0


@define(eq=False)
class Program:
    """A program whose tasks share clients and budgets."""

    world: World
    budgets: tuple[RateLimit, RateLimit]
    told: list[Told] = field(factory=list)

    def client(self, deadline: float | None, number: int) -> ReviewsClient:
        """Return a new client of the simulated server."""
        plan = self.world.plan
        client = ReviewsClient(
            KEY,
            base_url=ORIGIN,
            timeout=plan.timeout,
            deadline=deadline,
            retry=RetryPolicy(attempts=plan.attempts),
            rate_limit=self.budgets[number % 2],
        )
        transport = SimulatedTransport(self.world)
        client._settings = evolve(client._settings, transport=transport)
        return client

    async def run(self, job: Job, shared: ReviewsClient) -> None:
        """Do a job."""
        told = Told(job)
        self.told.append(told)
        current_job.set(job.number)
        if job.start:
            await asyncio.sleep(job.start)
        if job.kind == "export":
            await self._export(told)
            return
        work = self._do(told, shared.with_options(deadline=job.deadline))
        try:
            if job.cancel_after is None:
                await work
            else:
                await self._cancel(told, asyncio.ensure_future(work), job.cancel_after)
            told.ended_at = self.world.now()
        finally:
            self.world.note("job %d ends", job.number)

    async def _cancel(self, told: Told, task: asyncio.Future[None], after: float) -> None:
        """Cancel a job after so many seconds, unless it is over by then."""
        try:
            done, _ = await asyncio.wait([task], timeout=after)
            if not done:
                told.cancelled_at = self.world.now()
                self.world.note("job %d is cancelled", told.job.number)
                task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    async def _do(self, told: Told, client: ReviewsClient) -> None:
        job = told.job
        product = PRODUCTS[job.product]
        match job.kind:
            case "create":
                await self._call(
                    told,
                    lambda: client.create_review(
                        payment_link_id=product,
                        customer_email=email_of(job.number),
                        rating=1 + job.number % 5,
                        message=f"{PRIVATE} by {job.number}" if job.flag else None,
                        customer_id=self._customer_id(job) if job.size == 1 else None,
                        content_review=_media(job) if job.size == 50 else (),
                    ),
                )
            case "update" | "attach":
                await self._call(
                    told,
                    lambda: client.update_review(
                        f"review-{job.product}-0",
                        rating=2 if job.kind == "update" else None,
                        message=f"{PRIVATE} by {job.number}" if job.flag else None,
                        content_review=_media(job) if job.kind == "attach" else (),
                    ),
                )
            case "statuses":
                await self._call(
                    told,
                    lambda: client.update_review_statuses(status_updates(job, self.world.plan)),
                )
            case "look_up":
                who: dict[str, str] = {"customer_id": f"customer-{job.product}-0"}
                if job.flag:
                    who = {"customer_email": f"customer-{job.product}-0@example.com"}
                await self._call(told, lambda: client.get_customer_review(product, **who))
            case "stats":
                await self._call(
                    told,
                    client.get_merchant_stats
                    if job.flag
                    else lambda: client.get_product_stats(product),
                )
            case "walk":
                await self._walk(told, client)
            case "watch":
                await self._watch(told, client)

    def _customer_id(self, job: Job) -> str:
        customer = self.world.store.customer(email_of(job.number))
        assert customer is not None
        return str(customer["id"])

    def _begin(self, told: Told) -> Leg:
        made = sum(one.job == told.job.number for one in self.world.exchanges)
        leg = Leg(self.world.now(), made)
        told.legs.append(leg)
        return leg

    async def _call(self, told: Told, call: Callable[[], Awaitable[Any]]) -> None:
        leg = self._begin(told)
        with leg.kept(self.world.now):
            leg.result = await call()

    async def _walk(self, told: Told, client: ReviewsClient) -> None:
        """Walk through a list, and go on where an error stopped it."""
        job = told.job
        starting_after: str | None = None
        for _ in range(_LEGS):
            leg = self._begin(told)
            options: dict[str, Any] = {
                "page_size": job.size,
                "starting_after": starting_after,
                "rating": 3 if job.number % 4 == 3 else None,
            }
            product, one_by_one = PRODUCTS[job.product], job.size == 2
            found: AsyncGenerator[Review | ReviewPage, None]
            if job.flag and one_by_one:
                found = client.iter_reviews(**options)
            elif job.flag:
                found = client.iter_review_pages(**options)
            elif one_by_one:
                found = client.iter_product_reviews(product, **options)
            else:
                found = client.iter_product_review_pages(product, **options)
            await self._take(leg, found, leaves=one_by_one and job.deadline is None)
            if leg.is_whole or not isinstance(leg.error, MayarError):
                return
            starting_after = leg.error.starting_after
            await asyncio.sleep(20)

    async def _take(
        self, leg: Leg, found: AsyncGenerator[Review | ReviewPage, None], *, leaves: bool
    ) -> None:
        with leg.kept(self.world.now):
            async with aclosing(found):
                async for one in found:
                    leg.reviews += map(_seen, one.data if isinstance(one, ReviewPage) else (one,))
                    if leaves:
                        leg.is_left = True
                        break

    async def _watch(self, told: Told, client: ReviewsClient) -> None:
        """Watch until nothing fails any more and nobody changes anything."""
        job = told.job
        product = None if job.flag else PRODUCTS[job.product]
        leg = self._begin(told)
        changes = client.watch_reviews(product, every=30.0)

        async def watch() -> None:
            async with aclosing(changes):
                async for review in changes:
                    leg.reviews.append(_seen(review))

        task = asyncio.ensure_future(watch())
        try:
            last_edit = max((edit.at for edit in self.world.plan.edits), default=0.0)
            others = [one for one in self.told if one.job.kind not in ("watch", "walk")]
            while not task.done() and (
                self.world.has_faults_left
                or self.world.landing
                or self.world.now() < START + last_edit + 30
                or any(one.ended_at is None for one in others)
            ):
                await asyncio.wait([task], timeout=20)
            told.watched_until = self.world.now()
            seen = len(self._answered(job))
            for _ in range(_ROUNDS):
                if task.done() or len(self._answered(job)) >= seen + 3:
                    break
                await asyncio.wait([task], timeout=30)
            else:
                told.watched_until = None  # its deadline is too short for any answer
            if task.done():
                leg.error = task.exception()
        except asyncio.CancelledError as error:
            leg.error = error
            raise
        finally:
            leg.ended_at = self.world.now()
            leg.answered = self._answered(job)
            task.cancel()
            with suppress(asyncio.CancelledError, MayarError, RuntimeError):
                await task

    def _answered(self, job: Job) -> list[float]:
        """Return when a job had its right answers."""
        return [
            one.ended_at
            for one in self.world.exchanges
            if one.job == job.number and one.is_right and one.answer and one.ended_at
        ]

    async def _export(self, told: Told) -> None:
        """Export, with kills of the process that the next one resumes."""
        job = told.job
        folder = Path(tempfile.mkdtemp(prefix="simulated-", dir=_MEMORY))
        try:
            for number in range(_LEGS):
                leg = self._begin(told)
                here = folder / str(number)
                here.mkdir(exist_ok=True)
                client = self.client(job.deadline, job.number)
                task = asyncio.ensure_future(
                    export_reviews(
                        client,
                        None if job.flag else PRODUCTS[job.product],
                        here / "reviews.jsonl",
                        page_size=job.size,
                        resume=True,
                    )
                )
                killed_after = None if job.cancel_after is None or number > 1 else job.cancel_after
                done, _ = await asyncio.wait([task], timeout=killed_after)
                after = folder / str(number + 1)
                shutil.copytree(here, after)
                if not done:
                    told.kills += 1
                    self.world.note("job %d: its process is killed", job.number)
                    task.cancel()
                    await asyncio.wait([task])
                    await client.aclose()
                    continue
                await client.aclose()
                leg.ended_at, leg.error = self.world.now(), task.exception()
                if leg.error is None:
                    leg.result = task.result()
                    lines = (here / "reviews.jsonl").read_text().splitlines()
                    raws = map(json.loads, lines)
                    leg.reviews = [(raw["id"], raw["updatedAt"]) for raw in raws]
                    break
                await asyncio.sleep(20)
        finally:
            told.ended_at = self.world.now()
            shutil.rmtree(folder)


def status_updates(job: Job, plan: Plan) -> list[StatusUpdate]:
    """Return the updates of a job. With its flag one of the reviews is not the merchant's."""
    updates = [
        StatusUpdate(f"review-{job.product}-{number}", "ARCHIVED", PRODUCTS[job.product])
        for number in range(max(1, min(job.size, plan.reviews)))
    ]
    if job.flag:
        updates.insert(
            len(updates) // 2, StatusUpdate("not-mine", "ARCHIVED", PRODUCTS[job.product])
        )
    return updates


def _media(job: Job) -> list[Attachment]:
    return [Attachment(f"file-{job.number}", "image")]


def _seen(review: Review) -> tuple[str, int]:
    return review.id, to_milliseconds(review.updated_at)
