"""Making a plan that breaks a law as small as it can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import evolve, fields

from .plan import Edit, Fault, Job, Plan
from .run import simulate


def shrink(plan: Plan, law: str) -> Plan:
    """Return the smallest plan found that still breaks the law."""
    shrunk = True
    while shrunk:
        shrunk = False
        for smaller in _smaller(plan):
            if any(broken.startswith(law) for broken in simulate(smaller)):
                plan, shrunk = smaller, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Yield plans with one thing less."""
    for name in ("jobs", "faults", "edits"):
        items = getattr(plan, name)
        for place in range(len(items) if name != "jobs" or len(items) > 1 else 0):
            yield evolve(plan, **{name: items[:place] + items[place + 1 :]})
    yield from (evolve(plan, **one) for one in _simpler(plan, ("seed", "jobs", "faults", "edits")))
    for place, job in enumerate(plan.jobs):
        for one in _simpler(job, ("kind", "number")):
            jobs = (*plan.jobs[:place], evolve(job, **one), *plan.jobs[place + 1 :])
            yield evolve(plan, jobs=jobs)
    for place, (number, fault) in enumerate(plan.faults):
        for one in _simpler(fault, ("kind", "detail")):
            faults = (
                *plan.faults[:place],
                (number, evolve(fault, **one)),
                *plan.faults[place + 1 :],
            )
            yield evolve(plan, faults=faults)


def _simpler(value: Plan | Job | Fault, kept: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield changes that bring one field back to its default."""
    for field in fields(type(value)):
        if field.name not in kept and getattr(value, field.name) != field.default:
            yield {field.name: field.default}


def as_row(value: Any) -> str:
    """Return a plan as the Python that makes it, without what is as usual."""
    if isinstance(value, tuple):
        return f"({''.join(f'{as_row(item)}, ' for item in value).strip()})"
    if not isinstance(value, Plan | Job | Fault | Edit):
        return repr(value)
    named = [
        f"{field.name}={as_row(getattr(value, field.name))}"
        for field in fields(type(value))
        if getattr(value, field.name) != field.default
    ]
    return f"{type(value).__name__}({', '.join(named)})"
