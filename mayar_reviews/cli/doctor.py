"""The command `doctor`: it asks at most twelve questions, and shows what the answers mean."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

from attrs import Factory, asdict, define
from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from mayar_reviews import (
    APIError,
    MayarError,
    RetryPolicy,
    ReviewPage,
    ReviewStats,
    ReviewStatus,
    __version__,
)
from mayar_reviews.api_json import camel_case
from mayar_reviews.checks import MAX_PAGE_SIZE, RATINGS, WHOLE_PAGE_SIZE, check_id

from . import diagnosis, show
from .connection import DEFAULT_CONNECTION, Connection
from .diagnosis import Exchange, Finding, NotAskedError
from .evidence import Filter, ListEvidence, choose_filter
from .signals import run_until_stopped

if TYPE_CHECKING:
    import aiohttp

    from mayar_reviews import ReviewsClient

P = ParamSpec("P")
T = TypeVar("T")
_ListOf = Callable[..., Awaitable[ReviewPage]]

MAX_REQUESTS = 12
_NO_PRODUCT = "doctor-asks-for-no-product"
_LIMIT_HEADER = re.compile(
    "(x-)?rate-?limit(-(limit|remaining|reset|policy|used))?|retry-after", re.IGNORECASE
)


def doctor(
    payment_link_id: Annotated[str | None, Parameter(name="PRODUCT_ID")] = None,
    /,
    *,
    json: bool = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> int:
    """Find out how the API behaves, and what that means for exports.

    It only reads, with at most 12 requests. Mayar's API was seen to differ from its
    documentation.

    Args:
        payment_link_id: A product to look at. Without one: that of the store's first review.
        json: Write JSON to paste into an issue. It has no ids, names, emails, messages or key.
        connection: The options that every command shares.
    """
    if payment_link_id is not None:
        check_id("payment_link_id", payment_link_id)
    asked = run_until_stopped(_ask(connection, payment_link_id))
    findings = asked.findings()
    if json:
        told = [asdict(finding) for finding in findings]
        show.write_json({"version": __version__, "requests": asked.sent, "findings": told})
    else:
        show.out.print(_table(findings))
        show.say(f"{show.count(asked.sent, 'request')}; --json is for pasting into an issue", "dim")
    return 0 if asked.is_answered else 1


def _table(findings: Iterable[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("Check", no_wrap=True)
    table.add_column("Found, and what it means for exports", overflow="fold")
    styles = {"ok": "green", "!": "bold red", "?": "yellow"}
    heading = ""
    for finding in findings:
        part, _, check = finding.check.rpartition(": ")
        if part != heading:
            heading = part
            table.add_row("", Text(part, "bold"))
        text = Text(show.one_line(finding.found)).append(f"\n{finding.means}", "dim")
        table.add_row(Text(finding.mark, styles[finding.mark]), check, text)
    return table


async def _ask(connection: Connection, payment_link_id: str | None) -> _Examination:
    import aiohttp  # noqa: PLC0415  it takes longer to load than all other commands

    heads = _Heads()
    async with (
        aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), middlewares=(heads.note,)
        ) as session,
        connection.client(session=session) as client,
    ):
        examination = _Examination(client.with_options(retry=RetryPolicy.none()), heads)
        await examination.examine(payment_link_id)
        return examination


@define
class _Heads:
    """The head of each request and answer, noted on its way."""

    sent: int = 0
    origin: str = ""
    scope: diagnosis.Scope = "unknown"
    exchanges: list[Exchange] = Factory(list)

    async def note(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        import aiohttp  # noqa: PLC0415

        self.sent += 1
        self.origin = str(request.url.origin())
        self.scope = diagnosis.key_scope(request.headers["Authorization"].removeprefix("Bearer "))
        sent_at = time.time()
        try:
            response = await handler(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            # aiohttp would send the request again, without asking the budget.
            raise aiohttp.ClientConnectionError from None
        headers = response.headers.items()
        limits = tuple((k.lower(), v) for k, v in headers if _LIMIT_HEADER.fullmatch(k))
        date = _unix_seconds(response.headers.get("Date", ""))
        self.exchanges.append(Exchange(response.status, limits, date, sent_at, time.time()))
        return response


def _unix_seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


@define
class _Examination:
    """The questions and their answers."""

    _client: ReviewsClient
    _heads: _Heads
    _answers: list[Any] = Factory(list)
    _refusals: list[tuple[int, int]] = Factory(list)
    _store: ListEvidence | MayarError | None = None
    _product: ListEvidence | MayarError | None = None
    _store_stats: ReviewStats | MayarError | None = None
    _product_stats: ReviewStats | MayarError | None = None
    _filters: dict[tuple[str, str], Filter | MayarError | None] = Factory(dict)

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return self._heads.sent

    @property
    def is_answered(self) -> bool:
        """Whether any request succeeded."""
        return any(not isinstance(answer, MayarError) for answer in self._answers)

    async def examine(self, payment_link_id: str | None) -> None:
        """Ask, the most important questions first."""
        client = self._client
        store = await self._look_at(client.list_reviews)
        if diagnosis.is_final(store):
            return
        self._store = store
        if payment_link_id is None and isinstance(store, ListEvidence):
            payment_link_id = next((review.payment_link_id for review in store.head.data), None)
        self._store_stats = await self._request(client.get_merchant_stats)
        list_product = partial(client.list_product_reviews, payment_link_id or "")
        if payment_link_id is not None:
            self._product = await self._look_at(list_product)
            self._product_stats = await self._request(client.get_product_stats, payment_link_id)
            await self._filter("product list", self._product, list_product, "rating")
        for parameter in ("rating", "status", "payment_link_id"):
            await self._filter("store list", self._store, client.list_reviews, parameter)
        await self._look_again(self._store, client.list_reviews)
        if payment_link_id is not None:
            await self._look_again(self._product, list_product)
            await self._filter("product list", self._product, list_product, "prioritize_message")
        if not self._refusals:
            await self._request(client.list_product_reviews, _NO_PRODUCT, limit=1)

    async def _request(
        self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T | MayarError:
        if self.sent >= MAX_REQUESTS:
            return NotAskedError(f"all {MAX_REQUESTS} requests were used")
        answer: T | MayarError
        try:
            answer = await call(*args, **kwargs)
        except MayarError as error:
            answer = error.with_traceback(None)
            if isinstance(error, APIError) and error.status_code != 200:
                self._refusals.append((self._heads.exchanges[-1].status, error.status_code))
        self._answers.append(answer)
        return answer

    async def _look_at(self, list_reviews: _ListOf) -> ListEvidence | MayarError:
        head = await self._request(list_reviews, limit=WHOLE_PAGE_SIZE)
        if isinstance(head, MayarError):
            return head
        evidence = ListEvidence(head)
        evidence.cursor = evidence.choose_cursor()
        if evidence.cursor is not None:
            evidence.probe = await self._request(
                list_reviews, limit=MAX_PAGE_SIZE, starting_after=evidence.cursor
            )
        return evidence

    async def _look_again(
        self, evidence: ListEvidence | MayarError | None, list_reviews: _ListOf
    ) -> None:
        if isinstance(evidence, ListEvidence) and evidence.needs_large:
            evidence.large = await self._request(list_reviews, limit=MAX_PAGE_SIZE)

    async def _filter(
        self,
        name: str,
        evidence: ListEvidence | MayarError | None,
        list_reviews: _ListOf,
        parameter: str,
    ) -> None:
        if not isinstance(evidence, ListEvidence):
            return
        name_in_api = camel_case(parameter)
        if parameter == "prioritize_message":
            question = choose_filter(
                evidence, [True], lambda row, _: bool(row.get("message")), drops_others=False
            )
        else:
            values: dict[str, Iterable[Any]] = {
                "rating": range(RATINGS[0], RATINGS[1] + 1),
                "status": ReviewStatus,
                "payment_link_id": [
                    *dict.fromkeys(row["paymentLinkId"] for row in evidence.head.raw),
                    _NO_PRODUCT,
                ],
            }
            question = choose_filter(
                evidence, values[parameter], lambda row, value: bool(row[name_in_api] == value)
            )
        result: Filter | MayarError | None = None
        if question is not None:
            asked = {parameter: question.value}
            page = await self._request(list_reviews, limit=question.limit, **asked)
            result = page if isinstance(page, MayarError) else question.judge(page)
        self._filters[name, name_in_api] = result

    def findings(self) -> list[Finding]:
        """Return what the answers show."""
        failure = None if self.is_answered or self._refusals else self._answers[0]
        findings = [
            diagnosis.origin_finding(self._heads.origin, failure),
            diagnosis.key_finding(self._answers),
            diagnosis.scope_finding(self._heads.scope),
        ]
        for name, evidence, stats in (
            ("store list", self._store, self._store_stats),
            ("product list", self._product, self._product_stats),
        ):
            if evidence is not None:
                findings += diagnosis.list_findings(name, evidence)
                findings += [
                    diagnosis.filter_finding(name, parameter, result)
                    for (of, parameter), result in self._filters.items()
                    if of == name
                ]
                findings.append(diagnosis.stats_finding(name, stats, evidence))
        return [
            *findings,
            diagnosis.refusals_finding(self._refusals),
            diagnosis.limits_finding(self._heads.exchanges),
            diagnosis.clock_finding(self._heads.exchanges),
        ]
