"""The options that every command shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from attrs import evolve

from mayar_reviews import RequestEvent
from mayar_reviews.cli import connection
from mayar_reviews.testing import FakeMayar

from .conftest import Mayar


async def test_the_key_file_replaces_the_key_of_the_environment(
    fake: FakeMayar, mayar: Mayar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not a key is not shown."""
    monkeypatch.setenv("MAYAR_API_KEY", "wrong-key")
    Path("key").write_text(f"{fake.api_key}\n")
    assert (await mayar("stats", "--api-key-file", "key")).code == 0
    missing = await mayar("stats", "--api-key-file", "nowhere")
    assert (missing.code, missing.err) == (1, "error: nowhere: No such file or directory\n")
    Path("key").write_bytes(b"\xffhush hush")
    bad = await mayar("stats", "--api-key-file", "key")
    assert bad.code == 1
    assert "hush" not in bad.err


async def test_the_sandbox_replaces_the_address_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, mayar: Mayar
) -> None:
    """--base-url replaces it, too."""
    origins = []

    def client(*_: object, base_url: str | None, **__: object) -> None:
        origins.append(base_url)
        raise RuntimeError("not now")

    monkeypatch.setattr("mayar_reviews.ReviewsClient", client)
    for arguments in ([], ["--sandbox"], ["--base-url", "https://example.com"]):
        result = await mayar("stats", *arguments)
        assert (result.code, result.err) == (1, "error: not now\n")
    assert origins == [
        os.environ["MAYAR_API_URL"],
        "https://api.mayar.club",
        "https://example.com",
    ]


@pytest.mark.parametrize(
    ("options", "limit"),
    [([], "RateLimit(20, per=60)"), (["--rate-limit", "3/10"], "RateLimit(3, per=10)")],
)
async def test_the_rate_limit_is_20_a_minute_or_what_is_given(
    monkeypatch: pytest.MonkeyPatch, mayar: Mayar, options: list[str], limit: str
) -> None:
    limits = []

    def client(*_: object, rate_limit: object, **__: object) -> None:
        limits.append(repr(rate_limit))
        raise RuntimeError("not now")

    monkeypatch.setattr("mayar_reviews.ReviewsClient", client)
    await mayar("stats", *options)
    assert limits == [limit]


async def test_the_rate_limit_can_be_off(fake: FakeMayar, mayar: Mayar) -> None:
    """Then more requests are sent than the usual limit allows in a minute."""
    fake.seed("kelas-web", 30)
    result = await mayar(
        *("export", "kelas-web", "--output", "o", "--page-size", 1, "--rate-limit", "off")
    )
    assert result.code == 0
    assert len(fake.requests) > 30


def test_long_waits_are_announced(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error. A short wait is not."""
    event = RequestEvent(
        kind="wait",
        endpoint="get_product_stats",
        method="GET",
        route="/products/{payment_link_id}/reviews/stats",
        attempt=2,
        status_code=None,
        seconds=41.2,
        reason="rate_limit",
    )
    connection._announce(event)
    connection._announce(evolve(event, seconds=0.2))
    connection._announce(evolve(event, kind="attempt", reason="ServerError"))
    assert capsys.readouterr() == ("", "waiting 41 s: rate limit\n")
