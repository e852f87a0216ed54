"""The time from a lost reply to the resolution is read from an attempt's events."""

from typing import Any

import pytest

from bursar.payments.ledger.ledger import LEASE_RAN_OUT
from bursar.payments.records import Event
from bursar.portal.use_cases.completion_outcomes import OUTCOMES
from sim.proof.resolution_times import resolution, summary

CLAIMED = (100.0, "claimed", "initiated", "processing", None)
LOST = (102.0, "outcome_unknown", "processing", "processing", OUTCOMES["lost"].reason)
REFUSED = (102.0, "outcome_unknown", "processing", "processing", OUTCOMES["token unusable"].reason)
RAN_OUT = (195.0, "outcome_unknown", "processing", "processing", LEASE_RAN_OUT)
COMPLETED = (210.0, "completed", "processing", "processed", None)
SETTLED_BY_HAND = (210.0, "resolved_processed", "processing", "processed", None)
EXPIRED = (210.0, "expired_unsent", "processing", "failed", None)


def _event(seq: int, at: float, name: Any, source: Any, target: Any, reason: str | None) -> Event:
    detail = {} if reason is None else {"reason": reason}
    return Event("court", "ref", "b1", seq, at, name, "portal", source, target, detail)


@pytest.mark.parametrize(
    ("history", "found"),
    [
        ([CLAIMED, LOST, COMPLETED], ("lost", 108.0)),
        ([CLAIMED, LOST, RAN_OUT, COMPLETED], ("lost", 108.0)),
        ([CLAIMED, RAN_OUT, COMPLETED], ("killed", 110.0)),
        ([CLAIMED, COMPLETED], ("killed", 110.0)),
        ([CLAIMED, (101.0, *COMPLETED[1:])], None),
        ([CLAIMED, LOST, SETTLED_BY_HAND], None),
        ([CLAIMED, REFUSED, COMPLETED], None),
        ([CLAIMED, EXPIRED], None),
        ([CLAIMED, LOST], None),
    ],
)
def test_the_time_of_a_history(history: list[Any], found: tuple[str, float] | None) -> None:
    assert resolution(_event(seq, *each) for seq, each in enumerate(history, start=1)) == found


def test_the_summary_has_a_line_for_each_cause_and_one_for_both() -> None:
    lines = summary([("lost", 10.0), ("lost", 20.0), ("killed", 90.0)])
    assert lines == [
        "      2  lost replies, resolved, median 15 s, 95th percentile 20 s",
        "      1  killed processes, resolved",
        "      3  both, resolved, median 20 s, 95th percentile 83 s",
    ]
