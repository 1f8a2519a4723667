"""What the doctor's answers mean, in words. Without I/O.

No finding holds an id, a name, an email, a message, or text that the server wrote.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Literal

from attrs import Factory, field, frozen

from mayar_reviews import (
    PRODUCTION_URL,
    SANDBOX_URL,
    APIError,
    AuthenticationError,
    DeadlineExceededError,
    MayarError,
    NotFoundError,
    ReviewStats,
    TransportError,
)

from .evidence import Filter, ListEvidence, compare_figures
from .show import count

Mark = Literal["ok", "!", "?"]


def _mark_of(value: str) -> Mark:
    return "?" if value == "unknown" else "ok"


@frozen
class Finding:
    """One thing that was found out."""

    check: str
    value: str
    """For programs; `unknown` if it cannot be told."""
    found: str
    means: str
    """What it means for exports."""
    mark: Mark = field(default=Factory(lambda finding: _mark_of(finding.value), takes_self=True))


@frozen
class Exchange:
    """An answer's head: no body, no URL."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """Those about limits, names in lower case."""
    date: float | None
    """The server's clock, in Unix seconds."""
    sent_at: float
    heard_at: float


class NotAskedError(MayarError):
    """The request limit was reached; nothing was sent."""


def reason(error: MayarError) -> str:
    """Say why there is no answer, without the server's words."""
    match error:
        case APIError():
            return f"the API answered with status {error.status_code}"
        case NotAskedError() | TransportError() | DeadlineExceededError():
            return str(error)
    return f"the answer is not the API's ({type(error).__name__})"


def _cannot_tell(check: str, why: str) -> Finding:
    return Finding(check, "unknown", f"cannot be told: {why}", "Unknown.")


# --- the server and the key ------------------------------------------------------------------

_ORIGINS = {
    PRODUCTION_URL: "production",
    SANDBOX_URL: "sandbox",
    "https://api.mayar.io": "sandbox",
}


def origin_finding(origin: str, failure: MayarError | None) -> Finding:
    """Say which server answered.

    Args:
        origin: where the requests went.
        failure: why there was no answer at all.
    """
    name = _ORIGINS.get(origin, "neither production nor sandbox")
    if failure is None:
        return Finding("origin", "answers", f"{origin} ({name})", "Exports read from there.")
    found = f"{origin} ({name}): {reason(failure)}"
    return Finding("origin", "no answer", found, "Nothing can be exported.", "!")


def is_final(answer: object) -> bool:
    """Return whether it is useless to ask more: nobody answers, or the key is refused."""
    if isinstance(answer, APIError):
        return _is_key_refused(answer)
    return isinstance(answer, MayarError)


def _is_key_refused(error: APIError) -> bool:
    return isinstance(error, AuthenticationError) or _is_account_gone(error)


def _is_account_gone(error: object) -> bool:
    return isinstance(error, NotFoundError) and error.messages == "User in JWT not found"


def key_finding(answers: Sequence[object]) -> Finding:
    """Say whether the key is accepted.

    Args:
        answers: all of them, exceptions included.
    """
    for error in answers:
        if isinstance(error, APIError) and _is_key_refused(error):
            gone = _is_account_gone(error)
            what = "its account does not exist" if gone else "not accepted"
            return Finding(
                "key",
                "account gone" if gone else "refused",
                f"{what} (status {error.status_code})",
                "Nothing can be exported. Production and sandbox have different keys.",
                "!",
            )
    if any(not isinstance(answer, MayarError) for answer in answers):
        return Finding("key", "accepted", "accepted", "Exports can read.")
    return _cannot_tell("key", "no request succeeded")


Scope = Literal["write", "read", "unknown"]


def key_scope(key: str) -> Scope:
    """Read from a key whether it may write, if it is a JWT that tells."""
    try:
        _, payload, _ = key.split(".")
        padded = payload + "=" * (-len(payload) % 4)
        claims = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        told = " ".join(
            json.dumps(claims[name])
            for name in ("scope", "scopes", "permission", "permissions")
            if name in claims
        )
    except (ValueError, TypeError, RecursionError):
        return "unknown"
    words = set(re.findall("[a-z]+", told.casefold()))
    if words & {"write", "readwrite"}:
        return "unknown" if words & {"no", "not", "false"} else "write"
    return "read" if words & {"read", "readonly"} else "unknown"


def scope_finding(scope: Scope) -> Finding:
    """Say whether the key may write."""
    found = {
        "write": "yes: the key itself says so",
        "read": "no: the key itself says that it may only read",
        "unknown": "unknown: only a write would tell",
    }
    return Finding("key may write", scope, found[scope], "No effect: exports only read.")


# --- lists -----------------------------------------------------------------------------------

_ORDERS = {
    "updated": (
        "by updatedAt, newest first",
        "A review edited meanwhile moves to the head, which is read again.",
    ),
    "created": ("by createdAt, newest first", "A review edited meanwhile stays in its place."),
    "neither": (
        "by neither updatedAt nor createdAt",
        "Exports rely on the cursor alone.",
    ),
    "unknown": (
        "cannot be told: the reviews seen are alike by both times",
        "Exports find it out while they read.",
    ),
}
_CUTS = {
    "updated": "a cursor is compared with updatedAt",
    "created": "a cursor is compared with createdAt",
    "opaque": "a cursor is not a time",
    "ignored": "a cursor has no effect: the first page comes again",
    "unknown": "cannot be told: the pages seen fit more than one way, or none",
}
_LIMITS: dict[str, tuple[str, str, Mark]] = {
    "agree": ("limit=50 and limit=40 agree", "Exports read pages of 50.", "ok"),
    "cliff": (
        "limit=50 leaves out reviews that limit=40 shows",
        "Reviews are lost without a trace: use --page-size 40.",
        "!",
    ),
    "unknown": (
        "cannot be told: no page of 50 was full",
        "No difference for a list as short as this.",
        "?",
    ),
}


def list_findings(name: str, evidence: ListEvidence | MayarError) -> list[Finding]:
    """Say how a list is sorted and cut, and whether its pages agree."""
    checks = [f"{name}: order", f"{name}: cursor", f"{name}: page size"]
    if isinstance(evidence, MayarError):
        return [_cannot_tell(check, reason(evidence)) for check in checks]
    if not evidence.head.raw:
        return [_cannot_tell(check, "the list is empty") for check in checks]
    return [
        _order_finding(checks[0], evidence),
        _cut_finding(checks[1], evidence),
        _limit_finding(checks[2], evidence),
    ]


def _order_finding(check: str, evidence: ListEvidence) -> Finding:
    found, means = _ORDERS[evidence.order]
    if evidence.order == "neither":
        return Finding(check, "neither", found, means, "!")
    return Finding(check, evidence.order, found, means)


def _cut_finding(check: str, evidence: ListEvidence) -> Finding:
    mark: Mark = "!"
    match evidence.order, evidence.cut:
        case _, "unknown":
            if isinstance(evidence.probe, MayarError):
                return _cannot_tell(check, reason(evidence.probe))
            mark, means = "?", "Exports find it out while they read."
        case _, "ignored":
            means = "An export of more than one page stops with an error."
        case _, "opaque":
            mark, means = "ok", "Exports follow the server's cursors as they are."
        case "unknown", _:
            mark, means = "ok", "Exports find out while they read whether it hides reviews."
        case "neither", _:
            means = "Reviews may be missing. Exports say so: exit code 3."
        case "created", "updated":
            means = "Edited reviews are hidden. Exports say so: exit code 3."
        case "updated", "created":
            means = "Exports work around it, and name what they cannot get: exit code 3."
        case _:
            mark, means = "ok", "No review is hidden."
    return Finding(check, evidence.cut, _CUTS[evidence.cut], means, mark)


def _limit_finding(check: str, evidence: ListEvidence) -> Finding:
    if evidence.limit == "ignored":
        found = f"limit=40 gives {len(evidence.head.raw)} reviews, although there are more"
        return Finding(check, "ignored", found, "Exports need more requests.", "!")
    if evidence.limit == "unknown":
        for page in (evidence.large, evidence.probe):
            if isinstance(page, MayarError) and evidence.head.has_more:
                return _cannot_tell(check, reason(page))
    return Finding(check, evidence.limit, *_LIMITS[evidence.limit])


_FILTERS: dict[Filter, tuple[str, str, Mark]] = {
    "obeyed": ("works", "Exports get what they ask for.", "ok"),
    "ignored": (
        "is ignored: others come as well",
        "The client drops the others. Exports need more requests.",
        "!",
    ),
    "omits": (
        "leaves out reviews that it should show",
        "Reviews are lost: export without it, and filter afterwards.",
        "!",
    ),
    "unknown": (
        "cannot be told: the answer fits neither",
        "The client drops what was not asked for.",
        "?",
    ),
}


def filter_finding(list_name: str, parameter: str, result: Filter | MayarError | None) -> Finding:
    """Say whether a list obeys a filter; `None`: it was not asked, as no answer would tell."""
    check = f"{list_name}: {parameter}"
    if result is None:
        return _cannot_tell(check, "the reviews seen do not differ enough")
    if isinstance(result, MayarError):
        return _cannot_tell(check, reason(result))
    found, means, mark = _FILTERS[result]
    if parameter in ("prioritizeMessage", "paymentLinkId"):
        means = "No effect: exports do not use it."
        return Finding(check, result, found.partition(":")[0], means)
    return Finding(check, result, found, means, mark)


# --- everything else -------------------------------------------------------------------------


def stats_finding(
    name: str, stats: ReviewStats | MayarError | None, evidence: ListEvidence | MayarError
) -> Finding:
    """Say whether the statistics answer, and agree with the list."""
    check = f"{name}: statistics"
    if isinstance(stats, APIError):
        found = f"do not answer: status {stats.status_code}"
        return Finding(check, "broken", found, "--verify cannot verify anything.", "!")
    if isinstance(stats, MayarError):
        return _cannot_tell(check, reason(stats))
    total = count(stats.total if stats else 0, "active review")
    if isinstance(evidence, MayarError):
        return _cannot_tell(check, f"they say {total}; the list did not answer")
    seen = count(len(evidence.seen), "review")
    match compare_figures(stats, evidence):
        case "agree":
            found = f"{total}, as in the list"
            return Finding(check, "agree", found, "--verify can tell whether a list is whole.")
        case "disagree":
            found = f"{total}; the list shows others ({seen} of any status seen)"
            means = "They are old, or the list hides reviews: --verify cannot verify it."
            return Finding(check, "disagree", found, means, "!")
    found = f"answer: {total}. Not counted: the list is longer than the {seen} seen"
    return Finding(check, "unknown", found, "--verify counts the whole list.")


def refusals_finding(refusals: Sequence[tuple[int, int]]) -> Finding:
    """Say how the server refuses.

    Args:
        refusals: the HTTP status and the API's own status of each refusal.
    """
    check = "refusals"
    if not refusals:
        return _cannot_tell(check, "nothing was refused")
    means = "No effect: both forms are understood."
    if any(http != own for http, own in refusals):
        found = "come as HTTP 200, with another statusCode in the body"
        return Finding(check, "in body", found, means)
    return Finding(check, "by status", "come with an HTTP status of their own", means)


def limits_finding(exchanges: Sequence[Exchange]) -> Finding:
    """Say which headers tell about the rate limit."""
    check = "rate limit headers"
    if not exchanges:
        return _cannot_tell(check, "nothing was answered")
    headers = {name: value for exchange in exchanges for name, value in exchange.headers}
    if not headers:
        means = "Exports keep to --rate-limit, and wait after a 429."
        return Finding(check, "none", "none", means)
    found = ", ".join(
        f"{name}: {value}" if re.fullmatch("[0-9]{1,10}", value) else name
        for name, value in sorted(headers.items())
    )
    return Finding(check, "some", found, "Exports obey Retry-After only.")


def clock_finding(exchanges: Sequence[Exchange]) -> Finding:
    """Compare the server's clock with ours.

    An answer was written between sending and hearing, in the second that its Date names.
    """
    check, means = "clock", "No effect: all times in exports are the server's."
    dated = [
        (one.date - one.heard_at, one.date + 1 - one.sent_at)
        for one in exchanges
        if one.date is not None
    ]
    if not dated:
        return _cannot_tell(check, "no answer has a Date header")
    least, most = max(low for low, _ in dated), min(high for _, high in dated)
    if least <= 0 <= most:
        return Finding(check, "same", "the server's and ours agree", means)
    seconds = round((least + most) / 2)
    side = "ahead of" if seconds > 0 else "behind"
    found = f"the server's is {count(abs(seconds), 'second')} {side} ours"
    return Finding(check, f"{seconds:+d}", found, means)
