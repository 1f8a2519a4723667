"""`python -m mayar_reviews.testing`: a shop to develop against."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pytest

from mayar_reviews import ReviewsClient
from mayar_reviews.testing import FakeMayar
from mayar_reviews.testing.__main__ import main


@contextmanager
def serving(*options: str) -> Iterator[dict[str, str]]:
    """Run it; give the environment that it prints, and end it with Ctrl-C."""
    command = [sys.executable, "-W", "error", "-m", "mayar_reviews.testing", "--port", "0"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            # What it prints can be pasted into a shell.
            shell = f'{"".join(lines)}printf "%s\\n%s" "$MAYAR_API_URL" "$MAYAR_API_KEY"'
            printed = subprocess.run(
                ["sh", "-c", shell], capture_output=True, text=True, check=True
            )
            url, key = printed.stdout.split("\n")
            yield {"MAYAR_API_URL": url, "MAYAR_API_KEY": key}
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
            assert (process.returncode, out, err) == (0, "", "")
        finally:
            process.kill()


@pytest.mark.slow
async def test_the_client_finds_it_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the two variables set, a client needs no argument; a buyer is there, too."""
    with serving("--seed", "70", "--product", "kelas-baru", "--api-key", "a'key$") as environment:
        assert environment["MAYAR_API_KEY"] == "a'key$"
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        async with ReviewsClient() as client:
            reviews = [one async for one in client.iter_product_reviews("kelas-baru")]
            assert len(reviews) == 70
            created = await client.create_review(
                payment_link_id="kelas-baru", customer_email="budi@example.com", rating=5
            )
            assert created.rating == 5


@pytest.mark.slow
def test_it_is_the_server_that_it_is_asked_to_be() -> None:
    """Order, cursor and statistics are those of a FakeMayar with the same personality."""
    options = "--seed 50 --edited 0.2 --order created --cursor offset --stats stale --cliff"
    like = FakeMayar(order="created")
    for count in (45, 5):
        like.seed("kelas-web", count, edited=0.2)
    expected = [row.review for row in like.rows("kelas-web", "created")]
    with serving(*options.split()) as environment:

        def get(path: str) -> dict[str, object]:
            headers = {"Authorization": f"Bearer {environment['MAYAR_API_KEY']}"}
            url = f"{environment['MAYAR_API_URL']}/hl/v2{path}"
            with urlopen(Request(url, headers=headers), timeout=30) as answer:
                body: dict[str, object] = json.load(answer)
                return body

        page = get("/products/kelas-web/reviews?limit=40")
        stats = get("/products/kelas-web/reviews/stats")["data"]
        fifty = get("/products/kelas-web/reviews?limit=50")["data"]
    assert page["data"] == expected[:40]
    assert page["nextStartingAfter"] == "c40"
    assert isinstance(stats, dict)
    assert stats["total"] == 45
    assert fifty == expected[2:45]


@pytest.mark.parametrize("port", ["99999", "taken"])
def test_a_port_that_cannot_be_had(port: str) -> None:
    """One line says so."""
    with FakeMayar() as fake:
        number = fake.url.rpartition(":")[2] if port == "taken" else port
        with pytest.raises(
            SystemExit, match=rf"cannot listen on 127\.0\.0\.1:{number}: ."
        ) as caught:
            main(["--port", number])
    assert "\n" not in str(caught.value)
