"""What the doctor reads from a key and from the heads of answers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from mayar_reviews.cli.diagnosis import Exchange, clock_finding, key_scope, limits_finding


def jwt(**claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{payload}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("key", "scope"),
    [
        (jwt(scope="write"), "write"),
        (jwt(scope="READ_WRITE"), "write"),
        (jwt(scopes=["reviews:read", "reviews:write"]), "write"),
        (jwt(permissions={"read": True}), "read"),
        (jwt(scope="read-only"), "read"),
        (jwt(scope="no-write"), "unknown"),
        (jwt(scope={"write": False}), "unknown"),
        (jwt(scope=7), "unknown"),
        (jwt(id="write"), "unknown"),
        ("a.W10.c", "unknown"),
        ("a.b.c", "unknown"),
        ("a.\u00e9.c", "unknown"),
        ("plain-key", "unknown"),
    ],
)
def test_the_scope_is_read_from_the_key(key: str, scope: str) -> None:
    assert key_scope(key) == scope


def exchange(
    *headers: tuple[str, str], date: float | None = 100.0, sent_at: float = 100.2
) -> Exchange:
    return Exchange(200, headers, date, sent_at, sent_at + 0.1)


def test_a_clock_is_only_off_if_no_second_fits() -> None:
    """Dates are whole seconds."""
    assert clock_finding([exchange(), exchange(date=101.0, sent_at=101.95)]).value == "same"
    assert clock_finding([exchange(date=102.0)]).value == "+2"
    assert clock_finding([exchange(date=None)]).value == "unknown"
    assert clock_finding([]).value == "unknown"


def test_headers_about_limits_are_shown() -> None:
    """Their values only if they are numbers: others could hold anything."""
    headers = ("x-ratelimit-limit", "50"), ("ratelimit-policy", "secret;w=60")
    shown = limits_finding([exchange(), exchange(*headers)])
    assert shown.value == "some"
    assert shown.found == "ratelimit-policy, x-ratelimit-limit: 50"
    assert limits_finding([exchange()]).value == "none"
    assert limits_finding([]).value == "unknown"
