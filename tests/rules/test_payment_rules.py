"""Each rule of the payments table refuses a write that breaks it, compiled and native, and is named in the refusal."""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bursar.clock import from_iso_ms
from bursar.payments import FeeCatalogue, Ledger, payment_rules
from bursar.payments.ledger.table import table_definition
from bursar.rules import Delete, Put, RuleRefused, Update
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.language.toml import rules_to_toml
from tests.support.rules.worlds import TABLE, PlainStore, finish, key_of, put_plainly, ruled

FEES = FeeCatalogue.default()
NOW = from_iso_ms("2026-11-22T19:30:00.125Z")
ONE, TWO = "0b5c6f6e-0000-4000-8000-000000000001", "0b5c6f6e-0000-4000-8000-000000000002"


def table(native: bool) -> PlainStore:
    """Return a store with two obligations, each with an attempt that has its token; guarded if ``native``."""
    store = PlainStore()
    store.engine.execute("DeleteTable", {"TableName": TABLE})
    store.engine.execute("CreateTable", table_definition(TABLE))
    ledger = Ledger(
        store, clock=lambda: NOW, randomness=random.Random(5), table=TABLE, fees=FEES, compare_and_swap=None
    )
    fee = FEES.fee("PETITION_FILING_FEE", NOW)
    assert fee is not None
    for reference, letter in ((ONE, "a"), (TWO, "b")):
        started = ledger.start_attempt(
            "court", reference, fee, Decimal("60.00"), {"docketNumber": "1-26"}, "https://a/ok", "https://a/no"
        )
        finish(ledger.record_token(finish(started), letter * 32))
    if native:
        store.engine.put_rules_document(TABLE, rules_to_toml(payment_rules(FEES)))
    return store


def found(store: PlainStore, kind: str, reference: str = ONE) -> dict[str, Any]:
    return next(dict(i) for i in store.items().values() if i["kind"]["S"] == kind and reference in i["pk"]["S"])


def another(item: dict[str, Any], **values: str) -> dict[str, Any]:
    """Return a further attempt like ``item``, so that only the values of a test can break a rule."""
    fresh = {name: value for name, value in item.items() if name not in ("token", "holdsObligation")}
    first = values.get("firstAttempt", item["firstAttempt"]["S"])
    said = {"sk": "attempt#x", "agencyTrackingId": "other", "status": "received", "follows": first, **values}
    return {**fresh, **{name: {"S": value} for name, value in said.items()}}


def changed(item: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return ``item`` with other values; None removes one."""
    typed = {name: {"S": value} if isinstance(value, str) else value for name, value in values.items()}
    return {name: value for name, value in {**item, **typed}.items() if value is not None}


Many = list[tuple[dict[str, Any] | None, dict[str, Any] | None]]
"""The (old, new) of each item of one transaction; the first is refused."""
Ends = tuple[dict[str, Any] | None, dict[str, Any] | None]


def _attempt(change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Callable[[PlainStore], Ends]:
    return lambda store: (found(store, "attempt"), change(found(store, "attempt")))


def _new(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[PlainStore], Ends]:
    """Return a maker of a new attempt for a third obligation: the first attempt, changed by ``change``."""
    return lambda store: (None, change(found(store, "attempt")))


def _freed(store: PlainStore) -> dict[str, Any]:
    """Fail the first obligation's attempt and end its hold, so that the obligation may have another."""
    old = found(store, "attempt")
    over = changed(old, status="failed", holdsObligation=None)
    finish(ruled(store, payment_rules(FEES), 9).write([Update(old, over)]))
    return old


def _over(store: PlainStore) -> dict[str, Any]:
    """Return the first obligation's first attempt after it failed and another followed it."""
    if "holdsObligation" in found(store, "attempt"):
        _followed(store)
    return found(store, "attempt")


def _texts(item: dict[str, Any], *names: str) -> dict[str, str]:
    return {name: item[name]["S"] for name in names}


def _followed(store: PlainStore) -> dict[str, Any]:
    """Let a second, live attempt follow the first obligation's, and return it."""
    second = another(_freed(store))
    finish(ruled(store, payment_rules(FEES), 12).write([Put(second)]))
    return second


BREAKS: dict[str, Callable[[PlainStore], Ends | Many]] = {
    "agency-tracking-id": lambda s: (
        None,
        another(_freed(s), agencyTrackingId=found(s, "attempt", TWO)["agencyTrackingId"]["S"]),
    ),
    "token": lambda s: (None, another(_freed(s), token="b" * 32)),
    "paygov-tracking-id": lambda s: (
        None,
        another(
            _paid(s, TWO),
            sk="attempt#y",
            payGovTrackingId="p1",
            reference=ONE,
            **_texts(_freed(s), "pk", "firstAttempt"),
        ),
    ),
    "one-live-attempt": lambda s: (None, another(_followed(s), sk="attempt#y", agencyTrackingId="third")),
    "first-holds": _attempt(lambda item: changed(item, holdsObligation=None)),
    "first-is-over": _new(another),
    "status-moves": _attempt(lambda item: changed(item, status="processed")),
    "begins-received": lambda s: (None, changed(another(_freed(s)), status="processed", version={"N": "1"})),
    "attempt-identity": _attempt(lambda item: changed(item, amount={"N": "61"})),
    "obligation-identity": lambda s: (found(s, "obligation"), changed(found(s, "obligation"), createdAt="2026")),
    "obligation-metadata": lambda s: (found(s, "obligation"), changed(found(s, "obligation"), metadata=None)),
    "attempt-metadata": lambda s: (_freed(s), changed(found(s, "attempt"), metadata=None)),
    "erased-once-final": _attempt(lambda item: changed(item, metadata=None, metadataErasedAt="2026")),
    "erased-once": lambda s: (_erased(s), changed(found(s, "obligation"), metadataErasedAt="2027")),
    "paygov-ids-once": _attempt(lambda item: changed(item, token="c" * 32)),
    "second-complete-once": lambda s: (_repeated(s), changed(found(s, "attempt"), repeatUsed={"BOOL": False})),
    "amount": lambda s: (None, changed(another(_freed(s)), amount={"N": "-1"})),
    "status-known": lambda s: (None, None),
    "fee-active": lambda s: (None, changed(another(_freed(s)), createdAt="1999-01-01T00:00:00.000Z")),
    "obligation-agrees": lambda s: (None, changed(another(_freed(s)), metadata={"M": {"docketNumber": {"S": "2-26"}}})),
    "events-append-only": lambda s: (found(s, "event"), None),
    "daily-roots-append-only": lambda s: _daily_root(s, root="x"),
    "kept-obligation": lambda s: (found(s, "obligation"), None),
    "kept-attempt": _attempt(lambda item: None),
    "contradiction-told": lambda s: _contradiction(s, saidStatus="failed"),
    "contradiction-acknowledged-once": lambda s: _contradiction(s, acknowledgedBy="Bob"),
    "kept-contradiction": lambda s: (_contradiction(s)[0], None),
    "restore-mark-facts": lambda s: _mark(s, way="found at start"),
    "restore-mark-cleared-once": lambda s: _mark(s, clearedBy="Bob"),
    "kept-restore-mark": lambda s: (_mark(s)[0], None),
    "lost-collection-facts": lambda s: _lost(s, payGovTrackingId="p2"),
    "kept-lost-collection": lambda s: (_lost(s)[0], None),
    "change-shards-append-only": lambda s: (_shards_written(s), _shards(8) | {"shards": {"N": "9"}}),
    "change-shards-bounded": lambda s: (None, _shards(129)),
    "kept-generation": lambda s: (_stored(s, pk="store", sk="generation", kind="generation"), None),
    "settled-and-reopened-once": lambda s: (_processed(s), changed(found(s, "attempt"), settledAt="2027")),
    "reversed-after-settlement": lambda s: [
        (found(s, "attempt"), changed(found(s, "attempt"), reversedAmount={"N": "20"})),
        (None, _reversal(s, "20")),
    ],
    "reopened-after-full-return": lambda s: [
        (_processed(s), changed(found(s, "attempt"), reversedAmount={"N": "20"}, reopened={"BOOL": True})),
        (None, _reversal(s, "20")),
    ],
    "reversals-append-only": lambda s: (_reversed(s), changed(found(s, "reversal"), reasonCode="R02")),
    "reversals-within-amount": lambda s: [
        (_processed(s), changed(found(s, "attempt"), reversedAmount={"N": "60.01"})),
        (None, _reversal(s, "60.01")),
    ],
    "reversal-once": lambda s: [
        (None, changed(_reversed(s), sk="reversal#x#0002")),
        (found(s, "attempt"), changed(found(s, "attempt"), reversedAmount={"N": "40"})),
    ],
    "refunded-two-people": lambda s: [
        (None, _reversal(s, "20", reversalKind="refunded", requestedBy="Ada", approvedBy="ada")),
        (_processed(s), changed(found(s, "attempt"), reversedAmount={"N": "20"})),
    ],
    "refunded-by-two": lambda s: [
        (None, _reversal(s, "20", reversalKind="refunded", requestedBy="Ada")),
        (_processed(s), changed(found(s, "attempt"), reversedAmount={"N": "20"})),
    ],
    "refund-of-attempt": lambda s: (None, _refund(s, attemptCreatedAt="2026-01-01T00:00:00.000Z")),
    "refund-identity": lambda s: (_requested(s), changed(found(s, "refund_request"), amount={"N": "30"})),
    "refund-two-people": lambda s: (
        _requested(s),
        changed(found(s, "refund_request"), status="approved", approvedBy=" ADA"),
    ),
    "refund-decided-once": lambda s: (
        _requested(s, status="rejected", rejectedBy="Bob"),
        changed(found(s, "refund_request"), rejectedBy="Eve"),
    ),
    "refund-moves": lambda s: (None, _refund(s, status="rejected")),
    "refund-approver": lambda s: (_requested(s), changed(found(s, "refund_request"), status="approved")),
    "kept-refund_request": lambda s: (_requested(s), None),
    "deposits-append-only": lambda s: (_deposited(s), changed(found(s, "deposit"), depositTicket="T2")),
    "deposit-of-attempt": lambda s: (None, _deposit(s, attemptCreatedAt="2026-01-01T00:00:00.000Z")),
    "deposit-complete": lambda s: (None, changed(_deposit(s), depositTicket=None)),
    "reconciliation-runs-append-only": lambda s: _reconciled(s, "reconciliation-run"),
    "reconciliation-sign-offs-append-only": lambda s: _reconciled(s, "reconciliation-sign-off"),
    "reconciliation-parts-append-only": lambda s: _reconciled(s, "reconciliation-part"),
}


def _stored(store: PlainStore, **texts: str) -> dict[str, Any]:
    """Store an item of ``texts`` and return it."""
    item = changed({}, **texts)
    finish(ruled(store, payment_rules(FEES), 11).write([Put(item)]))
    return item


def _reconciled(store: PlainStore, kind: str) -> Ends:
    """Return a record of a reconciliation, and the same by another person."""
    there = _stored(store, pk="reconciliations", sk="x#1", kind=kind, by="Ada")
    return there, changed(there, by="Eve")


def _mark(store: PlainStore, **values: str) -> Ends:
    """Return a restore mark that Ada has cleared, and the same with other values."""
    there = _stored(store, pk="store", sk="restore#1", kind="restore-mark", way="bursar restore", clearedBy="Ada")
    return there, changed(there, **values)


def _lost(store: PlainStore, **values: str) -> Ends:
    """Return a lost collection, and the same with other values."""
    there = _stored(store, pk="store", sk="lost#a1", kind="lost-collection", payGovTrackingId="p1")
    return there, changed(there, **values)


def _shards(shards: int) -> dict[str, Any]:
    """Return an item that gives the index of changes so many shards."""
    return changed({"shards": {"N": str(shards)}}, pk="store", sk=f"change-shards#{shards:03d}", kind="change-shards")


def _shards_written(store: PlainStore) -> dict[str, Any]:
    """Return the item of 8 shards after it was written."""
    finish(ruled(store, payment_rules(FEES), 9).write([Put(_shards(8))]))
    return _shards(8)


def _processed(store: PlainStore) -> dict[str, Any]:
    """Return the first obligation's attempt after it was processed."""
    write = ruled(store, payment_rules(FEES), 15).write
    for status in ("processing", "processed"):
        old = found(store, "attempt")
        finish(write([Update(old, changed(old, status=status, settledAt="2026"))]))
    return found(store, "attempt")


def _reversal(store: PlainStore, amount: str, **values: str) -> dict[str, Any]:
    """Return a reversal of the first obligation's attempt."""
    attempt = found(store, "attempt")
    said = {"sk": "reversal#x#0001", "kind": "reversal", "reversalId": "r1", "reversalKind": "returned", **values}
    of_attempt = {"attemptCreatedAt": attempt["createdAt"], "agencyTrackingId": attempt["agencyTrackingId"]}
    return changed({"pk": attempt["pk"], **of_attempt}, amount={"N": amount}, **said)


def _deposit(store: PlainStore, **values: str) -> dict[str, Any]:
    """Return a deposit of the first obligation's attempt."""
    attempt = found(store, "attempt")
    of_attempt = {name: attempt[name] for name in ("pk", "agencyTrackingId")}
    created_at = {"attemptCreatedAt": attempt["createdAt"]}
    said = {"sk": "deposit#x", "kind": "deposit", "depositTicket": "T1", "depositedOn": "2026-11-29", **values}
    return changed({**of_attempt, **created_at}, **said)


def _deposited(store: PlainStore) -> dict[str, Any]:
    """Return a deposit that is recorded."""
    deposit = _deposit(store)
    finish(ruled(store, payment_rules(FEES), 15).write([Put(deposit)]))
    return deposit


def _reversed(store: PlainStore) -> dict[str, Any]:
    """Return a reversal of 20 that is recorded."""
    old, reversal = _processed(store), _reversal(store, "20")
    update = Update(old, changed(old, reversedAmount={"N": "20"}))
    finish(ruled(store, payment_rules(FEES), 14).write([update, Put(reversal)]))
    return reversal


def _refund(store: PlainStore, **values: str) -> dict[str, Any]:
    """Return a request for a refund of 20, open unless ``values`` say otherwise."""
    said = {"sk": "refund#x#0001", "kind": "refund_request", "status": "open", "requestedBy": "Ada", **values}
    return {**_reversal(store, "20"), **{name: {"S": value} for name, value in said.items()}}


def _requested(store: PlainStore, **decision: str) -> dict[str, Any]:
    """Return a request that is stored, and decided if ``decision`` is given."""
    made = _refund(store)
    write = ruled(store, payment_rules(FEES), 13).write
    finish(write([Put(made)]))
    if decision:
        finish(write([Update(made, changed(made, **decision))]))
    return found(store, "refund_request")


def _paid(store: PlainStore, reference: str) -> dict[str, Any]:
    """Give the attempt of ``reference`` Pay.gov's tracking id p1."""
    old = found(store, "attempt", reference)
    finish(ruled(store, payment_rules(FEES), 8).write([Update(old, changed(old, payGovTrackingId="p1"))]))
    return old


def _erased(store: PlainStore) -> dict[str, Any]:
    """Erase the first obligation's metadata and return it."""
    old = found(store, "obligation")
    new = changed(old, metadata=None, metadataErasedAt="2026")
    finish(ruled(store, payment_rules(FEES), 4).write([Update(old, new)]))
    return new


def _repeated(store: PlainStore) -> dict[str, Any]:
    """Return the first obligation's attempt with its second complete used."""
    unused = found(store, "attempt")
    used = changed(unused, repeatUsed={"BOOL": True})
    finish(ruled(store, payment_rules(FEES), 6).write([Update(unused, used)]))
    return used


def _contradiction(store: PlainStore, **values: str) -> Ends:
    """Return a contradiction that Ada has acknowledged, and the same with other values."""
    texts = {"saidStatus": "processed", "acknowledgedBy": "Ada"}
    there = changed({}, pk="contradictions", sk="a1#processed#p1", kind="contradiction", **texts)
    finish(ruled(store, payment_rules(FEES), 7).write([Put(there)]))
    return there, changed(there, **values)


def _daily_root(store: PlainStore, **values: str) -> Ends:
    """Return a stored daily root, and the same with other values."""
    there = changed({}, pk="daily-roots", sk="2026-11-28", kind="daily-root", date="2026-11-28", root="r")
    finish(ruled(store, payment_rules(FEES), 9).write([Put(there)]))
    return there, changed(there, **values)


# The first rule that forbids the removal of a kept parent is named; an unknown status is also on no edge.
SAID_BY = {name: "kept" for name in BREAKS if name.startswith("kept-")}
SAID_FIRST_BY = {"status-known": "status-moves"}


def test_every_rule_is_tested() -> None:
    rules = payment_rules(FEES)
    kept = {f"kept-{kind.name}" for kind in rules.kinds if kind.kept}
    assert set(BREAKS) == {rule.name for rule in rules.rules} | kept


@pytest.mark.parametrize("name", [name for name in BREAKS if name not in SAID_FIRST_BY])
@pytest.mark.parametrize("native", [False, True], ids=["compiled", "native"])
def test_a_write_that_breaks_a_rule_is_refused_by_its_name(name: str, native: bool) -> None:
    message = refusal(native, BREAKS[name])
    assert message.startswith(f"Rule {SAID_BY.get(name, name)} ("), message
    assert "a" * 32 not in message


def refusal(native: bool, make: Callable[[PlainStore], Ends | Many]) -> str:
    """Return the message of the refusal of what ``make`` makes; empty if nothing refuses it."""
    store = table(native)
    made = make(store)
    ends = made if isinstance(made, list) else [made]
    if native:
        return put_plainly(store, {key_of(new or old or {}): (old, new) for old, new in ends}) or ""
    writes = [Put(new or {}) if old is None else Delete(old) if new is None else Update(old, new) for old, new in ends]
    with pytest.raises(RuleRefused) as refused:
        finish(ruled(store, payment_rules(FEES), 10).write(writes))
    return refused.value.message


MORE_ONE_LIVE: dict[str, tuple[str, Callable[[PlainStore], Ends | Many]]] = {
    "a live attempt beside a live first one": ("first-is-over", _new(another)),
    "one that also claims to be the first": (
        "first-holds",
        _new(lambda first: another(first) | {"holdsObligation": {"BOOL": True}}),
    ),
    "one that names itself as the first": (
        "obligation-agrees",
        _new(lambda first: another(first, firstAttempt="attempt#x") | {"holdsObligation": {"BOOL": True}}),
    ),
    "one that names no first attempt": (
        "obligation-agrees",
        _new(lambda first: changed(another(first), firstAttempt=None)),
    ),
    "one that follows none": ("first-holds", _new(lambda first: changed(another(first), follows=None))),
    "one that follows itself": ("first-holds", _new(lambda first: another(first, follows="attempt#x"))),
    "one whose hold alone ends": ("first-holds", _attempt(lambda first: changed(first, holdsObligation=None))),
    "a live first attempt and a further one that ends its hold": (
        "first-holds",
        lambda s: [
            (found(s, "attempt"), changed(found(s, "attempt"), holdsObligation=None)),
            (None, another(found(s, "attempt"))),
        ],
    ),
    "the first attempt takes its hold back": (
        "first-is-over",
        lambda s: (_over(s), changed(_over(s), holdsObligation={"BOOL": True})),
    ),
    "the obligation names another first attempt": (
        "obligation-agrees",
        lambda s: (found(s, "obligation"), changed(found(s, "obligation"), firstAttempt="attempt#x")),
    ),
    "the obligation names none": (
        "obligation-agrees",
        lambda s: (found(s, "obligation"), changed(found(s, "obligation"), firstAttempt=None)),
    ),
}


@pytest.mark.parametrize("case", MORE_ONE_LIVE)
@pytest.mark.parametrize("native", [False, True], ids=["compiled", "native"])
def test_no_way_leads_to_two_live_attempts(case: str, native: bool) -> None:
    rule, make = MORE_ONE_LIVE[case]
    assert refusal(native, make).startswith(f"Rule {rule} (")


def test_an_unknown_status_is_found_in_a_table_that_has_it() -> None:
    store = table(native=False)
    odd = changed(found(store, "attempt"), status="lost")
    assert "status-known" in {fault.rule for fault in RulesPlan(payment_rules(FEES)).state_violations(odd)}
