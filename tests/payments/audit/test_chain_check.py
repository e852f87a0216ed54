"""Any one change of a chained history is found and named, and nothing is found in a history as it was written."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bursar.payments.audit.chain_check import ChainCounts, ChainFinding, check_obligation
from tests.support.payments.chains import histories

Items = list[dict[str, Any]]


def found(items: Items) -> list[ChainFinding]:
    return check_obligation(items)[0]


def of_kind(items: Items, kind: str) -> Items:
    return [item for item in items if item["kind"] == {"S": kind}]


def place(event: dict[str, Any]) -> tuple[str, int]:
    return event["agencyTrackingId"]["S"], int(event["seq"]["N"])


def places(findings: Iterable[ChainFinding]) -> set[tuple[str | None, int | None]]:
    return {(finding.attempt, finding.seq) for finding in findings}


def replaced(items: Items, old: dict[str, Any], new: dict[str, Any] | None) -> Items:
    """Return ``items`` with ``new`` in the place of ``old``, or without it."""
    kept = [item for item in items if item is not old]
    return kept if new is None else [*kept, new]


def last_event(items: Items, attempt: dict[str, Any]) -> dict[str, Any]:
    mine = [event for event in of_kind(items, "event") if event["agencyTrackingId"] == attempt["agencyTrackingId"]]
    return mine[-1]


@given(histories(unchained=True), st.randoms(use_true_random=False))
def test_nothing_is_found_in_a_history_as_it_was_written(items: Items, order: Any) -> None:
    order.shuffle(items)
    findings, counts = check_obligation(items)
    assert findings == []
    events = of_kind(items, "event")
    unchained = sum("previousHash" not in event for event in events)
    assert counts == ChainCounts(1, len(of_kind(items, "attempt")), len(events), unchained)


@given(histories(), st.data())
def test_an_altered_attribute_of_an_event_is_found(items: Items, data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(of_kind(items, "event")))
    name = data.draw(st.sampled_from(sorted(event.keys() - {"pk", "sk"})))
    values: list[Any] = [None, {"S": "x"}, {"S": ""}, {"N": "9"}, {"BOOL": True}, {"M": {}}]
    value = data.draw(st.sampled_from(values))
    altered = {other: event[other] for other in event if other != name} | ({name: value} if value else {})
    assert place(event) in places(found(replaced(items, event, altered)))


@given(histories(), st.data())
def test_an_added_attribute_of_an_event_is_found(items: Items, data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(of_kind(items, "event")))
    assert place(event) in places(found(replaced(items, event, event | {"note": {"S": "x"}})))


@given(histories(), st.data())
def test_a_removed_event_is_found(items: Items, data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(of_kind(items, "event")))
    findings = found(replaced(items, event, None))
    assert [(f.kind, f.attempt, f.seq) for f in findings if f.kind == "removed"] == [("removed", *place(event))]


@given(histories(), st.data())
def test_a_removed_last_event_is_found_although_the_attempt_counts_one_less(items: Items, data: st.DataObject) -> None:
    attempt = data.draw(st.sampled_from(of_kind(items, "attempt")))
    event = last_event(items, attempt)
    shorter = attempt | {"eventSeq": {"N": str(int(event["seq"]["N"]) - 1)}}
    findings = found(replaced(replaced(items, attempt, shorter), event, None))
    assert attempt["agencyTrackingId"]["S"] in {finding.attempt for finding in findings}


@given(histories(), st.data())
def test_two_events_in_each_others_place_are_found(items: Items, data: st.DataObject) -> None:
    events = of_kind(items, "event")
    if len(events) < 2:
        return
    one, other = data.draw(st.permutations(events))[:2]
    keys = {"pk", "sk"}
    in_place_of_one = {**other, **{name: one[name] for name in keys}}
    in_place_of_other = {**one, **{name: other[name] for name in keys}}
    findings = found(replaced(replaced(items, one, in_place_of_one), other, in_place_of_other))
    assert {place(one), place(other)} <= places(findings)


@given(histories(), st.data())
def test_two_events_that_exchanged_all_but_their_numbers_are_found(items: Items, data: st.DataObject) -> None:
    events = of_kind(items, "event")
    if len(events) < 2:
        return
    one, other = data.draw(st.permutations(events))[:2]
    keys = {"pk", "sk", "seq", "agencyTrackingId", "changeBucket", "changedAt", "at"}
    new_one = {**other, **{name: one[name] for name in keys}}
    new_other = {**one, **{name: other[name] for name in keys}}
    findings = found(replaced(replaced(items, one, new_one), other, new_other))
    assert {place(one), place(other)} <= places(findings)


@given(histories(), st.data())
def test_a_changed_head_is_found(items: Items, data: st.DataObject) -> None:
    attempt = data.draw(st.sampled_from(of_kind(items, "attempt")))
    names = ["eventHash", "eventSeq", "status", "lastUpdatedAt", "agencyTrackingId", "amount", "fee", "feeVersion"]
    name = data.draw(st.sampled_from(names))
    value = data.draw(st.sampled_from([None, {"S": "x"}, {"N": "0"}, {"N": "12345678901234567890"}]))
    changed = {other: attempt[other] for other in attempt if other != name} | ({name: value} if value else {})
    findings = found(replaced(items, attempt, changed))
    assert attempt["agencyTrackingId"]["S"] in {finding.attempt for finding in findings}


@given(histories(), st.data())
def test_a_removed_attempt_is_found(items: Items, data: st.DataObject) -> None:
    attempt = data.draw(st.sampled_from(of_kind(items, "attempt")))
    findings = found(replaced(items, attempt, None))
    assert ("removed", attempt["agencyTrackingId"]["S"]) in {(finding.kind, finding.attempt) for finding in findings}


@given(histories(), st.data())
def test_the_events_of_a_removed_first_attempt_are_missed_by_the_next(items: Items, data: st.DataObject) -> None:
    attempts = of_kind(items, "attempt")
    if len(attempts) < 2:
        return
    gone = attempts[0]["agencyTrackingId"]
    left = [item for item in items if item.get("agencyTrackingId") != gone]
    assert [(f.kind, f.attempt, f.seq) for f in found(left)] == [("removed", attempts[1]["agencyTrackingId"]["S"], 1)]


@given(histories(), st.data())
def test_an_event_copied_to_another_place_is_found(items: Items, data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(of_kind(items, "event")))
    copied = event | {"sk": {"S": f"event#{event['agencyTrackingId']['S']}#9999"}}
    assert (event["agencyTrackingId"]["S"], 9999) in places(found([*items, copied]))
