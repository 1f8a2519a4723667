"""The rules that every budget keeps, on the budgets of one process; Redis's are in `tests/redis`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mayar_reviews import RateLimit, RateLimiter
from mayar_reviews.rate_limit import unpaced
from tests.support.budget_rules import PAUSE_RULES, RULES, Rule, name
from tests.support.clock import virtual_time

BUDGETS: dict[str, Callable[[], RateLimiter]] = {"RateLimit": lambda: RateLimit(2, per=10.0)}
UNPACED: dict[str, Callable[[], RateLimiter]] = {"rate_limit=None": unpaced}


@pytest.mark.parametrize("rule", RULES, ids=name)
@pytest.mark.parametrize("budget", BUDGETS)
@virtual_time
async def test_a_budget_keeps_the_rule(budget: str, rule: Rule) -> None:
    """Windows, order, waits, deadlines, pauses and cancellation."""
    await rule(BUDGETS[budget](), 10.0)


@pytest.mark.parametrize("rule", PAUSE_RULES, ids=name)
@pytest.mark.parametrize("budget", UNPACED)
@virtual_time
async def test_a_budget_without_pacing_keeps_the_rules_of_pauses(budget: str, rule: Rule) -> None:
    """What never paces pauses after a 429 all the same."""
    await rule(UNPACED[budget](), 10.0)
