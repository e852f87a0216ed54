"""Records and their items: no value is lost or added, and no secret is shown."""

import ast
import json
import re
from dataclasses import FrozenInstanceError, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.items.attribute_values import Item
from bursar.payments import records
from bursar.payments.classified_amounts import ClassifiedAmount
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import (
    Attempt,
    Event,
    Obligation,
    Outcome,
    attempt_from_item,
    from_item,
    latest_event,
    money,
    obligation_of,
    to_item,
    whole_ms,
)
from bursar.payments.status import STATUSES

times = st.floats(0, 4e9).map(whole_ms)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
metadata = st.dictionaries(st.text(max_size=8), json_values, max_size=4)
amounts = st.decimals("0.01", "999999999.99", places=2)
attempts = st.builds(
    Attempt,
    agency_tracking_id=texts,
    client=texts,
    reference=texts.map(str.lower),
    fee=texts,
    fee_version=texts,
    tcs_app_id=texts,
    amount=amounts,
    metadata=metadata,
    url_success=texts,
    url_cancel=texts,
    created_at=times,
    updated_at=times,
    status=st.sampled_from(STATUSES),
    version=st.integers(1, 10**6),
    event_seq=st.integers(0, 9999),
    token=st.none() | texts,
    token_at=st.none() | times,
    paygov_tracking_id=st.none() | texts,
    payment_method=st.none() | texts,
    transaction_status=st.none() | texts,
    return_code=st.none() | texts,
    return_detail=st.none() | texts,
    lease_owner=st.none() | texts,
    lease_until=st.none() | times,
    outcome_unknown=st.booleans(),
    unknown_reason=st.none() | texts,
    refreshed_at=st.none() | times,
    due_at=st.none() | times,
    settled_at=st.none() | times,
    reversed_amount=st.none() | amounts,
    reopened=st.booleans(),
    classification=st.none() | st.lists(st.builds(ClassifiedAmount, texts, amounts), min_size=1, max_size=3).map(tuple),
)
events = st.builds(
    Event,
    client=texts,
    reference=texts.map(str.lower),
    agency_tracking_id=texts,
    seq=st.integers(1, 9999),
    at=times,
    name=texts,
    actor=texts,
    from_status=st.none() | st.sampled_from(STATUSES),
    to_status=st.sampled_from(STATUSES),
    detail=metadata,
)
obligations = st.builds(
    Obligation, client=texts, reference=texts.map(str.lower), fee=texts, metadata=metadata, created_at=times
)


@given(attempts | events | obligations)
def test_a_record_survives_its_item(record: Attempt | Event | Obligation) -> None:
    item = to_item(record)
    assert from_item(item) == record
    assert to_item(from_item(item)) == item  # type: ignore[arg-type]  # every item here is a record


@given(attempts)
def test_the_obligation_of_a_first_attempt_has_its_values(attempt: Attempt) -> None:
    expected = Obligation(attempt.client, attempt.reference, attempt.fee, attempt.metadata, attempt.created_at)
    assert obligation_of(attempt) == expected


def test_the_latest_event_describes_how_the_attempt_came_into_its_state(attempt: Attempt) -> None:
    event = latest_event(attempt, None, "started", "portal", {"reason": "r"})
    assert (event.seq, event.at, event.to_status) == (attempt.event_seq, attempt.updated_at, attempt.status)
    assert (event.from_status, event.name, event.actor, event.detail) == (None, "started", "portal", {"reason": "r"})


@given(attempts, attempts)
def test_the_item_of_a_later_state_depends_on_the_stored_item_only_for_its_shard(old: Attempt, other: Attempt) -> None:
    stored, expected = to_item(old), to_item(other)
    if old.live and other.live and "dueShard" in stored and "dueShard" in expected:
        expected["dueShard"] = stored["dueShard"]
    assert to_item(replace(other, stored_item=stored)) == expected


def test_an_attribute_of_a_later_version_stays_in_the_item(attempt: Attempt) -> None:
    item: Item = {**to_item(attempt), "addedLater": {"S": "x"}}
    read = attempt_from_item(item)
    assert read == attempt
    assert read.stored_item == item
    assert to_item(replace(read, version=2))["addedLater"] == {"S": "x"}


@pytest.mark.parametrize("kind", ["attempt", "event", "obligation"])
def test_a_record_read_from_an_item_is_as_one_that_was_made(kind: str, attempt: Attempt) -> None:
    made: dict[str, Any] = {
        "attempt": attempt,
        "event": Event("c", "r", "b1", 1, 0.0, "started", "portal", None, "received"),
        "obligation": Obligation("c", "r", "F", {}, 0.0),
    }
    read = from_item(to_item(made[kind]))
    assert repr(read) == repr(made[kind])
    assert read == made[kind]


@pytest.mark.parametrize("kind", [Obligation, Event, Outcome, ObligationView])
def test_a_record_other_than_an_attempt_is_frozen(kind: type[Any]) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(object.__new__(kind), fields(kind)[0].name, None)


def test_only_the_ledger_sets_a_field_of_an_attempt() -> None:
    """Find each assignment to an attribute named like a field of Attempt, which is not frozen."""
    names = {field.name for field in fields(Attempt)}
    source = Path(records.__file__).parents[1]
    setters = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"\bAttempt\b", path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in names
        if ast.unparse(node.value) != "self"
    }
    assert setters
    assert {Path(path).parent.as_posix() for path in setters} == {"payments/ledger"}


def test_an_item_that_lacks_an_attribute_is_no_record(attempt: Attempt) -> None:
    item = dict(to_item(attempt))
    del item["status"]
    with pytest.raises(TypeError, match="'status'"):
        from_item(item)


def test_events_without_detail_do_not_share_a_dictionary(attempt: Attempt) -> None:
    item = to_item(latest_event(attempt, None, "started", "portal"))
    del item["detail"]
    one, other = from_item(item), from_item(item)
    assert isinstance(one, Event)
    assert isinstance(other, Event)
    assert one.detail == {}
    assert one.detail is not other.detail


def test_an_attempt_has_the_keys_of_the_layout(attempt: Attempt) -> None:
    item = to_item(replace(attempt, due_at=attempt.created_at + 1))
    assert item["pk"] == {"S": "o#dawson#0b5c6f6e-0000-4000-8000-000000000001"}
    assert item["sk"] == {"S": "attempt#2026-11-22T19:30:00.125Z#b0000000000000000001"}
    assert item["kind"] == {"S": "attempt"}
    assert item["amount"] == {"N": "60"}
    assert item["dueAt"] == {"S": "2026-11-22T19:30:01.125Z"}
    assert item["dueShard"]["S"] in "01234567"
    assert "changeBucket" not in item
    assert "changedAt" not in item


def test_an_attempt_of_an_earlier_version_leaves_the_index_of_changes(attempt: Attempt) -> None:
    before: Item = {"changeBucket": {"S": "2026-11-22T19"}, "changedAt": {"S": "2026-11-22T19:30:00.125Z#b"}}
    read = from_item({**to_item(attempt), **before})
    assert isinstance(read, Attempt)
    assert to_item(replace(read, version=2)) == to_item(replace(attempt, version=2))


def test_a_final_attempt_is_in_no_due_index(attempt: Attempt) -> None:
    item = to_item(replace(attempt, due_at=None))
    assert "dueAt" not in item
    assert "dueShard" not in item


def test_an_event_sorts_by_attempt_and_number(attempt: Attempt) -> None:
    event = Event("dawson", attempt.reference, attempt.agency_tracking_id, 7, 0.0, "claimed", "portal", None, "failed")
    item = to_item(event)
    assert item["sk"] == {"S": "event#b0000000000000000001#0007"}
    assert item["changeBucket"] == {"S": "1970-01-01T00"}
    assert item["changedAt"] == {"S": "1970-01-01T00:00:00.000Z#b0000000000000000001#0007"}


def test_a_sentinel_is_no_record() -> None:
    assert from_item({"pk": {"S": "unique#token#x"}, "sk": {"S": "sentinel"}, "kind": {"S": "sentinel"}}) is None


def test_neither_token_nor_metadata_is_shown(attempt: Attempt) -> None:
    shown = repr(replace(attempt, token="t" * 32, metadata={"email": "ada@example.org"}))
    assert "ttt" not in shown
    assert "ada@" not in shown


def test_references_that_differ_in_case_are_one() -> None:
    assert records.partition_key("c", "ABC-Def") == records.partition_key("c", "abc-dEF")


def test_a_usual_attempt_fits_in_one_write_unit(attempt: Attempt) -> None:
    full = replace(
        attempt,
        token="t" * 32,
        token_at=attempt.created_at,
        paygov_tracking_id="3FDJ1A2B3C4D5",
        payment_method="PLASTIC_CARD",
        transaction_status="Received",
        url_success="https://app.example.gov/payments/success/12345",
        url_cancel="https://app.example.gov/payments/cancel/12345",
        metadata={"docketNumber": "12345-26"},
        due_at=attempt.created_at,
    )
    size = sum(len(name) + len(json.dumps(next(iter(value.values())))) for name, value in to_item(full).items())
    assert size <= 1024


@pytest.mark.parametrize(("seconds", "kept"), [(1.0004, 1.0), (1.0006, 1.001), (1.9996, 2.0), (0.0, 0.0)])
def test_times_are_rounded_to_milliseconds(seconds: float, kept: float) -> None:
    assert whole_ms(seconds) == kept


@given(attempts)
def test_the_net_amount_is_what_was_collected_and_has_not_gone_back(attempt: Attempt) -> None:
    collected = attempt.amount if attempt.status == "processed" else Decimal(0)
    assert attempt.net_amount + (attempt.reversed_amount or 0) == collected


@pytest.mark.parametrize(("given_", "kept"), [("60", "60.00"), ("60.00", "60.00"), ("0.01", "0.01"), ("1E+1", "10.00")])
def test_money_has_two_decimals(given_: str, kept: str) -> None:
    assert str(money(Decimal(given_))) == kept


@pytest.mark.parametrize("bad", ["0", "-1", "0.001", "60.005", "NaN", "Infinity", "1000000000"])
def test_money_refuses(bad: str) -> None:
    with pytest.raises(ValueError, match="an amount"):
        money(Decimal(bad))


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": "é"}, {"a": "é"}, True),
    ],
)
def test_canonical_json(left: dict[str, Any], right: dict[str, Any], equal: bool) -> None:
    assert (records.canonical_json(left) == records.canonical_json(right)) is equal


def test_metadata_differ_as_json_and_not_as_python(attempt: Attempt) -> None:
    obligation = Obligation("dawson", attempt.reference, "F", {"pages": 1, "rush": True}, 0.0)
    assert obligation.differences("F", {"rush": True, "pages": 1}) == ()
    assert obligation.differences("F", {"pages": True, "rush": 1}) == ("metadata",)
    assert obligation.differences("G", {}) == ("fee", "metadata")


@pytest.mark.parametrize(("after_s", "leased"), [(-0.001, True), (0.0, False), (0.001, False)])
def test_a_lease_ends_at_its_instant(attempt: Attempt, after_s: float, leased: bool) -> None:
    until = attempt.created_at + 90
    held = replace(attempt, status="processing", lease_owner="worker", lease_until=until)
    assert held.leased(until + after_s) is leased


def test_a_view_names_the_blocking_attempt(attempt: Attempt) -> None:
    obligation = Obligation("dawson", attempt.reference, "F", {}, 0.0)
    failed = replace(attempt, status="failed")
    processed = replace(attempt, status="processed")
    assert ObligationView(obligation, (failed,), ()).blocking is None
    assert ObligationView(obligation, (failed, processed), ()).blocking is processed
    assert ObligationView(obligation, (), ()).blocking is None


def test_a_store_written_before_repeat_used_is_read_by_the_old_prefix(attempt: Attempt) -> None:
    unknown = replace(
        attempt, status="processing", outcome_unknown=True, unknown_reason="second complete: the reply was lost"
    )
    stored = {name: value for name, value in to_item(unknown).items() if name != "repeatUsed"}
    read = attempt_from_item(stored)
    assert (read.repeat_used, read.stored_item) == (True, stored)
    later = replace(read, version=2, unknown_reason="the lease ran out")
    assert to_item(later)["repeatUsed"] == {"BOOL": True}


def test_an_attempt_that_never_used_its_repetition_has_no_attribute_for_it(attempt: Attempt) -> None:
    assert "repeatUsed" not in to_item(attempt)
    assert not attempt_from_item(to_item(attempt)).repeat_used
