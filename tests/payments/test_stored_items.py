"""The items of each kind of record as tables have them: a renamed attribute would lose the data of every store."""

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

from bursar.clock import from_iso_ms
from bursar.payments import Attempt
from bursar.payments.classified_amounts import ClassifiedAmount
from bursar.payments.deposits import Deposit, deposit_from_item, deposit_to_item
from bursar.payments.records import Event, Obligation, from_item, to_item
from bursar.payments.reversals import (
    RefundRequest,
    Reversal,
    refund_from_item,
    refund_to_item,
    reversal_from_item,
    reversal_to_item,
)

TEXT = [f"2026-11-{day:02d}T10:00:00.125Z" for day in range(1, 15)]
AT = [from_iso_ms(text) for text in TEXT]


def plain(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item with its keys' and values' types left out, except that numbers end with ``n``."""
    return {name: value.get("S", value.get("BOOL", f"{value.get('N')}n")) for name, value in item.items()}


def test_an_attempt() -> None:
    attempt = Attempt(
        agency_tracking_id="agency",
        client="client",
        reference="reference",
        fee="fee",
        fee_version="version",
        tcs_app_id="application",
        amount=Decimal("60.00"),
        metadata={"b": 1, "a": "x"},
        url_success="success",
        url_cancel="cancel",
        created_at=AT[0],
        updated_at=AT[1],
        status="processed",
        version=9,
        event_seq=8,
        token="token",
        token_at=AT[2],
        paygov_tracking_id="paygov",
        payment_method="method",
        transaction_status="word",
        return_code="code",
        return_detail="detail",
        lease_owner="owner",
        lease_until=AT[3],
        outcome_unknown=True,
        unknown_reason="reason",
        repeat_used=True,
        unsettled_since=AT[4],
        refreshed_at=AT[5],
        due_at=AT[6],
        settled_at=AT[7],
        reversed_amount=Decimal("25.50"),
        reopened=True,
        classification=(ClassifiedAmount("A", Decimal("60.00")),),
        imported_at=AT[8],
        event_hash="hash",
        first_attempt="attempt#first",
        holds_obligation=True,
        follows="attempt#first",
    )
    item = to_item(attempt)
    assert plain(item) == {
        "pk": "o#client#reference",
        "sk": f"attempt#{TEXT[0]}#agency",
        "kind": "attempt",
        "agencyTrackingId": "agency",
        "client": "client",
        "reference": "reference",
        "fee": "fee",
        "feeVersion": "version",
        "tcsAppId": "application",
        "amount": "60n",
        "metadata": '{"a":"x","b":1}',
        "urlSuccess": "success",
        "urlCancel": "cancel",
        "createdAt": TEXT[0],
        "lastUpdatedAt": TEXT[1],
        "status": "processed",
        "version": "9n",
        "eventSeq": "8n",
        "token": "token",
        "tokenAt": TEXT[2],
        "payGovTrackingId": "paygov",
        "paymentMethod": "method",
        "transactionStatus": "word",
        "returnCode": "code",
        "returnDetail": "detail",
        "leaseOwner": "owner",
        "leaseUntil": TEXT[3],
        "outcomeUnknown": True,
        "unknownReason": "reason",
        "repeatUsed": True,
        "unsettledSince": TEXT[4],
        "refreshedAt": TEXT[5],
        "dueAt": TEXT[6],
        "settledAt": TEXT[7],
        "reversedAmount": "25.5n",
        "reopened": True,
        "classification": '[["A","60.00"]]',
        "importedAt": TEXT[8],
        "eventHash": "hash",
        "firstAttempt": "attempt#first",
        "holdsObligation": True,
        "follows": "attempt#first",
        "dueShard": "returns",
    }
    read = from_item(item)
    assert read == attempt
    assert isinstance(read, Attempt)
    assert read.holds_obligation
    stored = {each.name for each in fields(Attempt)} - {"metadata_erased_at", "stored_item"}
    assert all(getattr(attempt, name) not in (None, False) for name in stored)


def test_an_obligation() -> None:
    obligation = Obligation("client", "reference", "fee", {"b": 1}, AT[0])
    item = to_item(obligation)
    assert plain(item) == {
        "pk": "o#client#reference",
        "sk": "obligation",
        "kind": "obligation",
        "client": "client",
        "reference": "reference",
        "fee": "fee",
        "metadata": '{"b":1}',
        "createdAt": TEXT[0],
    }
    assert from_item(item) == obligation
    erased = Obligation("client", "reference", "fee", {}, AT[0], AT[1])
    kept = {name: value for name, value in plain(item).items() if name != "metadata"}
    assert plain(to_item(erased)) == kept | {"metadataErasedAt": TEXT[1]}
    assert from_item(to_item(erased)) == erased
    named = replace(obligation, first_attempt="attempt#first")
    assert plain(to_item(named)) == plain(item) | {"firstAttempt": "attempt#first"}
    assert from_item(to_item(named)) == named


def test_an_event() -> None:
    event = Event(
        "client", "reference", "agency", 7, AT[0], "settled", "sweeper", "pending", "processed", {"a": 1}, "h"
    )
    item = to_item(event)
    assert plain(item) == {
        "pk": "o#client#reference",
        "sk": "event#agency#0007",
        "kind": "event",
        "client": "client",
        "reference": "reference",
        "agencyTrackingId": "agency",
        "seq": "7n",
        "at": TEXT[0],
        "name": "settled",
        "actor": "sweeper",
        "fromStatus": "pending",
        "toStatus": "processed",
        "detail": '{"a":1}',
        "previousHash": "h",
        "changeBucket": "2026-11-01T10",
        "changedAt": f"{TEXT[0]}#agency#0007",
    }
    assert from_item(item) == event


IDENTITY = {
    "pk": "o#client#reference",
    "client": "client",
    "reference": "reference",
    "agencyTrackingId": "agency",
    "attemptCreatedAt": TEXT[0],
}
CODES = {"reasonCode": "code", "effectiveOn": "day", "depositTicket": "ticket", "debitVoucher": "voucher"}
OF: dict[str, Any] = {
    "client": "client",
    "reference": "reference",
    "agency_tracking_id": "agency",
    "attempt_created_at": AT[0],
}
REPORTED: dict[str, Any] = {
    "reason_code": "code",
    "effective_on": "day",
    "deposit_ticket": "ticket",
    "debit_voucher": "voucher",
}


def test_a_reversal() -> None:
    reversal = Reversal(
        **OF,
        seq=3,
        reversal_id="id",
        kind="refunded",
        amount=Decimal("25.50"),
        at=AT[1],
        source="operator",
        by="Ada",
        reason="reason",
        **REPORTED,
        requested_by="Grace",
        approved_by="Bob",
    )
    item = reversal_to_item(reversal)
    assert plain(item) == {
        **IDENTITY,
        **CODES,
        "sk": "reversal#agency#0003",
        "kind": "reversal",
        "seq": "3n",
        "reversalId": "id",
        "reversalKind": "refunded",
        "amount": "25.5n",
        "at": TEXT[1],
        "source": "operator",
        "by": "Ada",
        "reason": "reason",
        "requestedBy": "Grace",
        "approvedBy": "Bob",
        "changeBucket": "2026-11-02T10",
        "changedAt": f"{TEXT[1]}#reversal#agency#0003",
    }
    assert reversal_from_item(item) == reversal


def test_a_request_for_a_refund() -> None:
    asked: dict[str, Any] = {**OF, "seq": 2, "amount": Decimal("25.50"), "reason": "reason", "requested_by": "Ada"}
    asked |= {"requested_at": AT[1], "source": "activity_file", **REPORTED}
    usual = {
        **IDENTITY,
        **CODES,
        "sk": "refund#agency#0002",
        "kind": "refund_request",
        "seq": "2n",
        "amount": "25.5n",
        "reason": "reason",
        "requestedBy": "Ada",
        "requestedAt": TEXT[1],
        "source": "activity_file",
    }
    request = RefundRequest(**asked)
    waiting = {"status": "open", "dueShard": "refunds", "dueAt": TEXT[1]}
    assert plain(refund_to_item(request)) == usual | waiting
    assert refund_from_item(refund_to_item(request)) == request
    decided = RefundRequest(
        **asked,
        status="rejected",
        approved_by="Bob",
        rejected_by="Grace",
        decided_at=AT[2],
        decision_reason="why",
    )
    decision = {"approvedBy": "Bob", "rejectedBy": "Grace", "decidedAt": TEXT[2], "decisionReason": "why"}
    assert plain(refund_to_item(decided)) == usual | {"status": "rejected"} | decision
    assert refund_from_item(refund_to_item(decided)) == decided


def test_a_deposit() -> None:
    deposit = Deposit(
        **OF, ticket="ticket", deposited_on="day", amount=Decimal("25.50"), at=AT[1], source="operator", by="Ada"
    )
    item = deposit_to_item(deposit)
    assert plain(item) == {
        **IDENTITY,
        "sk": "deposit#agency",
        "kind": "deposit",
        "depositTicket": "ticket",
        "depositedOn": "day",
        "amount": "25.5n",
        "at": TEXT[1],
        "source": "operator",
        "by": "Ada",
        "changeBucket": "2026-11-02T10",
        "changedAt": f"{TEXT[1]}#deposit#agency",
    }
    assert deposit_from_item(item) == deposit
