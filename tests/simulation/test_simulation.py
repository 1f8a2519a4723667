"""The simulation itself, a few of its seeds, and the plans that once broke a law."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from tests.simulation import shrink as shrinking
from tests.simulation.plan import Edit, Fault, Job, Plan, draw_plan
from tests.simulation.plants import PLANTS, plant
from tests.simulation.run import simulate
from tests.simulation.shrink import as_row, shrink

FOUND = [
    # It asked for pages of 50: behind the cliff they lack the newest reviews.
    Plan(
        seed=13864,
        cliff=True,
        reviews=103,
        jobs=(Job("watch", 0),),
        edits=(Edit(11.522, "edit", 0),),
    ),
    # Its deadline was over as soon as its request was refused by the closed client, and it went on.
    Plan(
        seed=80694836,
        close_at=1.116,
        jobs=(Job("watch", 0, deadline=0.001),),
        faults=((11, Fault("refusal", detail="400")),),
    ),
    # A page of nothing new was asked for again as one of fifty, which is cut short behind the cliff.
    Plan(
        seed=60075402,
        cliff=True,
        reviews=65,
        spread=1,
        edited=0.5,
        jobs=(Job("walk", 2, flag=True),),
    ),
    # The next try of a long pause counted from the part's slot, and the whole's had come later.
    Plan(
        seed=50465191,
        downlink=0.05,
        whole=1,
        jobs=(Job("walk", 2), Job("create", 3)),
        faults=((0, Fault("limited", detail="200")), (2, Fault("limited", detail="200"))),
    ),
    # As before, after a short pause.
    Plan(
        seed=1025,
        per=5.0,
        whole=1,
        jobs=(Job("create", 0), Job("create", 1, deadline=None)),
        faults=(
            (0, Fault("limited", detail="7")),
            (1, Fault("limited", detail="200")),
            (3, Fault("limited", detail="7")),
        ),
    ),
    # All that waited for the whole tried a long pause at once; one was accepted, another not.
    Plan(
        seed=1353,
        downlink=0.5,
        reviews=2,
        per=5.0,
        whole=3,
        jobs=(
            Job("walk", 0, size=1),
            Job("walk", 1, start=2.222, size=1),
            Job("walk", 6),
        ),
        faults=((1, Fault("limited", detail="200")), (6, Fault("limited", detail="90"))),
    ),
    # A 429 in a pause, after a request that already had its slot, was followed by a try at once.
    Plan(
        seed=30712417,
        reviews=4,
        per=5.0,
        whole=1,
        jobs=(
            Job(kind="update", number=2, start=1.769),
            Job(kind="look_up", number=4, start=1.925),
            Job(kind="walk", number=6),
        ),
        faults=(
            (
                1,
                Fault(kind="limited", detail="200"),
            ),
            (
                3,
                Fault(kind="limited", detail="90"),
            ),
        ),
    ),
    # A second look at the head that was resumed showed what was changed twice.
    Plan(
        seed=16330,
        reviews=6,
        requests=1,
        jobs=(Job("walk", 0, size=2, flag=True),),
        faults=((3, Fault("lost")), (6, Fault("lost"))),
        edits=(Edit(24.886, "edit", 7), Edit(4.875, "archive", 6)),
    ),
    # A second look at the head stopped at a review above one that had not come yet.
    Plan(
        seed=1030201,
        reviews=7,
        whole=1,
        jobs=(Job("walk", 0, size=1, flag=True),),
        edits=(Edit(6.891, "edit", 5), Edit(18.309, "archive", 4), Edit(8.459, "archive", 1)),
    ),
    # A review of the first page that was edited came a third time.
    Plan(
        seed=1009619,
        cursor="offset",
        reviews=2,
        jobs=(
            Job("walk", 0, size=1, flag=True),
            Job("update", 5, start=1.471),
            Job("statuses", 6, product=1),
        ),
        faults=((1, Fault("lost", seconds=40.0)),),
    ),
    # A third look at the head had forgotten what the first one had shown.
    Plan(
        seed=2011449,
        order="added",
        cursor="offset",
        uplink=2.0,
        reviews=3,
        jobs=(
            Job("statuses", 0, size=2, flag=True),
            Job("walk", 6, size=1),
            Job("statuses", 7, product=1),
        ),
    ),
    # A status that was set was told as refused.
    Plan(
        seed=9179,
        reviews=1,
        jobs=(Job("statuses", 0),),
        faults=(
            (0, Fault("refused")),
            (1, Fault("status", commit=True, detail="502")),
            (2, Fault("refusal", detail="400")),
        ),
    ),
]


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_no_seed_breaks_a_law(first: int) -> None:
    """Some of the seeds; `python -m tests.simulation` tries as many as you like."""
    for seed in range(first, first + 100):
        assert simulate(draw_plan(seed)) == [], seed


@pytest.mark.parametrize("plan", FOUND, ids=lambda plan: str(plan.seed))
def test_what_was_found_holds(plan: Plan) -> None:
    """Each plan once broke a law."""
    assert simulate(plan) == []


def test_a_seed_tells_the_same_story_on_every_python() -> None:
    """Its creation is done, but not told; the look-up is refused for seven seconds."""
    plan = Plan(
        seed=1,
        faults=((0, Fault("lost", commit=True)), (1, Fault("limited", detail="7"))),
        jobs=(Job("create", 0, size=2),),
        edits=(Edit(3.0, "edit", 0),),
    )
    story: list[str] = []
    assert simulate(plan, story) == []
    assert "\n".join(story) == STORY


STORY = """\
    0.000  #0 job 0 sends POST /reviews/create
    0.000  #0 will fail: Fault(kind='lost', commit=True, seconds=0.0, detail='')
    0.000  #0 arrives
    0.000  #0 is done
    0.000  #0 ends: None
    0.000  #1 job 0 sends GET /customers/detail?email=rahasia-0%40example.com
    0.000  #1 will fail: Fault(kind='limited', commit=False, seconds=0.0, detail='7')
    0.000  #1 arrives
    0.000  #1 ends: 429
    3.000  somebody else: edit review-0-0
    7.000  #2 job 0 sends GET /customers/detail?email=rahasia-0%40example.com
    7.000  #2 arrives
    7.000  #2 ends: 200
    7.000  #3 job 0 sends GET /products/product-0/reviews/customer?customerId=cd613e30-d8f1-4adf-91b7-584a2265b1f5
    7.000  #3 arrives
    7.000  #3 ends: 200
    7.000  job 0 ends"""


def test_a_plan_is_shrunk_to_what_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here every plan with a lost answer breaks it."""

    def pretend(plan: Plan, _: list[str] | None = None) -> list[str]:
        return ["the law: it"] if any(fault.kind == "lost" for _, fault in plan.faults) else []

    monkeypatch.setattr(shrinking, "simulate", pretend)
    plan = next(plan for plan in map(draw_plan, range(1000)) if pretend(plan) and plan.edits)
    smallest = shrink(plan, "the law")
    number = smallest.faults[0][0]
    job = evolve(Job("walk", 0), kind=smallest.jobs[0].kind, number=smallest.jobs[0].number)
    assert smallest == Plan(plan.seed, jobs=(job,), faults=((number, Fault("lost")),))
    assert eval(as_row(smallest)) == smallest


@pytest.mark.parametrize("name", PLANTS)
def test_every_plant_fits_the_code(name: str, tmp_path: Path) -> None:
    """`python -m tests.simulation --plant all` finds them; this tells early that one is stale."""
    plant(name, tmp_path)


def test_a_plant_that_does_not_fit_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The code has changed."""
    monkeypatch.setitem(PLANTS, "stale", evolve(PLANTS["blind_retry"], old="not there"))
    with pytest.raises(ValueError, match="0 times"):
        plant("stale", tmp_path)
