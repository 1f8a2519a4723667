"""The ledger knows which creations were sent blindly."""

from __future__ import annotations

import pytest

from .clock import virtual_time
from .fault_server import FaultServer
from .raw_http import EMAIL, LOOK_UP, WISH, ask
from .steps import Behave, Break, Respond, Step, too_many


@virtual_time
async def test_a_second_creation_without_a_look_up_is_blind() -> None:
    """Two creations of one review and nothing between them break the law."""
    script = [Break("request", "reset", on="create", times=2)]
    async with FaultServer(customers={EMAIL: "customer-1"}, script=script) as server:
        await ask(server, "POST", "/reviews/create", WISH)
        await ask(server, "POST", "/reviews/create", WISH | {"paymentLinkId": "product-2"})
        await ask(server, "POST", "/reviews/create", WISH)

        first, other, second = server.ledger.creations
        assert server.ledger.blind_creations() == [(first, second)]
        assert other.body["paymentLinkId"] == "product-2"


@pytest.mark.parametrize(
    ("path", "between", "lawful"),
    [
        (LOOK_UP, [], True),
        (LOOK_UP, [Respond(500, {"data": None})], False),
        (LOOK_UP, [Break("request")], False),
        (LOOK_UP, [Break("body")], False),
        (LOOK_UP, [Behave(cut=3)], False),
        (LOOK_UP, [Respond(200, {"data": {"id": "it is there"}})], False),
        (LOOK_UP.replace("product-1", "product-2"), [], False),
        (LOOK_UP.replace("customer-1", "customer-2"), [], False),
    ],
)
def test_only_a_look_up_that_says_no_allows_a_second(
    path: str, between: list[Step], *, lawful: bool
) -> None:
    """The look-up must be answered, whole, about this review, and say that it is not there."""

    @virtual_time
    async def scenario() -> None:
        script = [Break("request"), *between]
        async with FaultServer(customers={EMAIL: "customer-1"}, script=script) as server:
            await ask(server, "POST", "/reviews/create", WISH)
            await ask(server, "GET", path)
            await ask(server, "POST", "/reviews/create", WISH)

            assert (server.ledger.blind_creations() == []) is lawful

    scenario()


@virtual_time
async def test_a_creation_refused_with_429_may_come_again() -> None:
    """A 429 was not processed, so it needs no look-up; the creation after it is a first again."""
    async with FaultServer(script=[too_many("1"), Break("request")]) as server:
        for _ in range(3):
            await ask(server, "POST", "/reviews/create", WISH)

        _, second, third = server.ledger.creations
        assert server.ledger.blind_creations() == [(second, third)]
