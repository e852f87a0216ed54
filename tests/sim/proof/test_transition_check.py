"""A history along the table is accepted; a step outside of it is named."""

import pytest

from bursar.payments.records import Event
from bursar.payments.status import EDGES, Actor, EventName, Status, edge
from sim.proof.transition_check import STEPS, steps_outside_the_table

Step = tuple[EventName, Actor, Status]
PAID: tuple[Step, ...] = (
    ("started", "portal", "received"),
    ("token_given", "portal", "initiated"),
    ("claimed", "portal", "processing"),
    ("completed", "portal", "processed"),
)


def history(*steps: Step) -> list[Event]:
    return [
        Event("court", "bill", "attempt", seq, float(seq), name, actor, None, target)
        for seq, (name, actor, target) in enumerate(steps, start=1)
    ]


def test_a_history_along_the_table_is_accepted() -> None:
    assert steps_outside_the_table(history(*PAID)) == []


@pytest.mark.parametrize(
    ("step", "finding"),
    [
        (("settled", "portal", "processed"), "settled by the portal from processing to processed"),
        (("completed", "operator", "processed"), "completed by the operator from processing to processed"),
        (("completed", "portal", "failed"), "completed by the portal from processing to failed"),
        (("claimed", "portal", "processing"), "claimed by the portal from processing to processing"),
    ],
    ids=["another step", "another actor", "another status", "the step before once more"],
)
def test_a_step_outside_the_table_is_named(step: Step, finding: str) -> None:
    assert steps_outside_the_table(history(*PAID[:-1], step)) == [f"attempt: {finding} is not in the table"]


def test_a_first_event_that_starts_nothing_is_named() -> None:
    assert steps_outside_the_table(history(("completed", "portal", "processed"))) == [
        "attempt: completed by the portal from nothing to processed is not in the table"
    ]


def test_every_edge_is_a_step_by_each_of_its_actors() -> None:
    assert len(STEPS) == sum(len(each.actors) for each in EDGES)
    assert all((each.source, each.event, each.target, each.actors[0]) in STEPS for each in EDGES)
    assert edge("pending", "settled").target == "processed"
