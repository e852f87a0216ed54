"""The rules of the payments table, in the vocabulary of :mod:`bursar.rules`; derived from the status graph.

No other module defines what may happen to a payment. The ledger's writes, the native guard, the audit and the tables in
docs/payments.md are derived from these rules.
"""

from dataclasses import replace
from typing import Final

from bursar.clock import iso_ms
from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.payments.deposits import DEPOSIT
from bursar.payments.ledger.contradictions import ACKNOWLEDGEMENT_ATTRIBUTES, REPORT_ATTRIBUTES
from bursar.payments.ledger.contradictions import KIND as CONTRADICTION
from bursar.payments.ledger.store_records.change_shards import CHANGE_SHARDS, CHANGE_SHARDS_MAX, SHARDS
from bursar.payments.ledger.store_records.daily_roots import KIND as DAILY_ROOT
from bursar.payments.ledger.store_records.reconciliation_kinds import (
    RECONCILIATION_PART,
    RECONCILIATION_RUN,
    RECONCILIATION_SIGN_OFF,
)
from bursar.payments.ledger.store_records.restores import (
    CLEARING_ATTRIBUTES,
    GENERATION,
    LOST_ATTRIBUTES,
    LOST_COLLECTION,
    MARK_ATTRIBUTES,
    RESTORE_MARK,
)
from bursar.payments.records import (
    AMOUNT_MAX,
    CENT,
    FIRST_ATTEMPT,
    FOLLOWS,
    HOLDS_OBLIGATION,
    IMPORTED_AT,
    METADATA,
    METADATA_ERASED_AT,
    REOPENED,
    REPEAT_USED,
    REVERSED_AMOUNT,
)
from bursar.payments.reversals import (
    APPROVED,
    DECISION_ATTRIBUTES,
    OPEN,
    REFUND_REQUEST,
    REJECTED,
    REQUEST_ATTRIBUTES,
    REVERSAL,
    REVERSAL_KINDS,
)
from bursar.payments.status import BLOCKING, FAILED, FINAL, PROCESSED, RECEIVED, STATUSES, edges_from, moves
from bursar.rules import (
    Agrees,
    AppendOnly,
    BoundedSum,
    Check,
    Immutable,
    Kind,
    References,
    Rules,
    Transitions,
    TwoActors,
    Unique,
    UniqueWhile,
    Where,
    WriteOnce,
    one_of,
)
from bursar.rules.language.toml import rules_to_toml
from bursar.rules.language.vocabulary import Rule

AGENCY_TRACKING_ID: Final = "agency-tracking-id"
TOKEN: Final = "token"
PAYGOV_TRACKING_ID: Final = "paygov-tracking-id"
ONE_LIVE_ATTEMPT: Final = "one-live-attempt"
FIRST_HOLDS: Final = "first-holds"
FIRST_IS_OVER: Final = "first-is-over"
STATUS_MOVES: Final = "status-moves"
FEE_ACTIVE: Final = "fee-active"
BEGINS_RECEIVED: Final = "begins-received"
REVERSALS_WITHIN_AMOUNT: Final = "reversals-within-amount"
REFUND_TWO_PEOPLE: Final = "refund-two-people"
REFUNDED_TWO_PEOPLE: Final = "refunded-two-people"

# Values that no message may show: a token grants access like a session, and metadata is personal.
SECRETS: Final = frozenset({"token", METADATA})


def payment_rules(fees: FeeCatalogue) -> Rules:
    """Return all rules of the payments table; ``fees`` defines which fees are known and since when."""
    obligation = {"pk": "{pk}", "sk": "obligation"}
    # The first attempt needs no sentinel while it holds the obligation: see _FIRST_HOLDS.
    blocks = one_of(
        "status", [status for status in STATUSES if status in BLOCKING], unless=(REOPENED, HOLDS_OBLIGATION)
    )
    return Rules(
        partition_key="pk",
        sort_key="sk",
        kinds=(
            Kind("obligation", kept=True),
            Kind("attempt", kept=True),
            Kind("event"),
            Kind(CONTRADICTION, kept=True),
            Kind(DAILY_ROOT),
            Kind(RESTORE_MARK, kept=True),
            Kind(LOST_COLLECTION, kept=True),
            Kind(GENERATION, kept=True),
            Kind(CHANGE_SHARDS),
            Kind(REVERSAL),
            Kind(REFUND_REQUEST, kept=True),
            Kind(DEPOSIT),
            Kind(RECONCILIATION_RUN),
            Kind(RECONCILIATION_SIGN_OFF),
            Kind(RECONCILIATION_PART),
        ),
        secrets=SECRETS,
        rules=(
            Unique(AGENCY_TRACKING_ID, kind="attempt", attributes=("agencyTrackingId",)),
            Unique(TOKEN, kind="attempt", attributes=("token",)),
            Unique(PAYGOV_TRACKING_ID, kind="attempt", attributes=("payGovTrackingId",)),
            UniqueWhile(ONE_LIVE_ATTEMPT, kind="attempt", group=("pk",), where=blocks),
            Transitions(
                STATUS_MOVES,
                kind="attempt",
                attribute="status",
                initial=_INITIAL,
                edges=moves(),
                final=tuple(status for status in STATUSES if status in FINAL),
            ),
            Check(BEGINS_RECEIVED, kind="attempt", where=_BEGINS_RECEIVED),
            Immutable("attempt-identity", kind="attempt", attributes=_ATTEMPT_IDENTITY, erasable=(METADATA,)),
            Immutable(
                "obligation-identity",
                kind="obligation",
                attributes=("client", "reference", "fee", METADATA, "createdAt"),
                erasable=(METADATA,),
            ),
            Check("obligation-metadata", kind="obligation", where=_METADATA_OR_MARKER),
            Check("attempt-metadata", kind="attempt", where=_METADATA_OR_MARKER),
            Check("erased-once-final", kind="attempt", where=_ERASED_ONCE_FINAL),
            WriteOnce("erased-once", attributes=(METADATA_ERASED_AT,)),
            WriteOnce("paygov-ids-once", kind="attempt", attributes=("token", "payGovTrackingId")),
            WriteOnce("second-complete-once", kind="attempt", attributes=(REPEAT_USED,)),
            WriteOnce("settled-and-reopened-once", kind="attempt", attributes=("settledAt", REOPENED)),
            Check("amount", kind="attempt", where=_AMOUNT),
            Check("status-known", kind="attempt", where=one_of("status", STATUSES)),
            Check(FEE_ACTIVE, kind="attempt", where=_fee_active(fees)),
            Agrees(
                "obligation-agrees",
                kind="attempt",
                parent="obligation",
                key=obligation,
                attributes=("client", "reference", "fee", METADATA, FIRST_ATTEMPT),
                erasable=(METADATA,),
            ),
            Check(FIRST_HOLDS, kind="attempt", where=_FIRST_HOLDS),
            Agrees(
                FIRST_IS_OVER,
                kind="attempt",
                parent="attempt",
                key={"pk": "{pk}", "sk": f"{{{FOLLOWS}}}"},
                attributes=(HOLDS_OBLIGATION,),
                erasable=(HOLDS_OBLIGATION,),
            ),
            Check("reversed-after-settlement", kind="attempt", where=_REVERSED),
            Check("reopened-after-full-return", kind="attempt", where=_REOPENED),
            AppendOnly("events-append-only", kind="event"),
            AppendOnly("daily-roots-append-only", kind=DAILY_ROOT),
            *_reversal_rules(),
            AppendOnly("deposits-append-only", kind=DEPOSIT),
            References("deposit-of-attempt", kind=DEPOSIT, parent="attempt", key=_ATTEMPT_OF),
            Check("deposit-complete", kind=DEPOSIT, where=_DEPOSITED),
            AppendOnly("reconciliation-runs-append-only", kind=RECONCILIATION_RUN),
            AppendOnly("reconciliation-sign-offs-append-only", kind=RECONCILIATION_SIGN_OFF),
            AppendOnly("reconciliation-parts-append-only", kind=RECONCILIATION_PART),
            Immutable("contradiction-told", kind=CONTRADICTION, attributes=REPORT_ATTRIBUTES),
            WriteOnce("contradiction-acknowledged-once", kind=CONTRADICTION, attributes=ACKNOWLEDGEMENT_ATTRIBUTES),
            Immutable("restore-mark-facts", kind=RESTORE_MARK, attributes=MARK_ATTRIBUTES),
            WriteOnce("restore-mark-cleared-once", kind=RESTORE_MARK, attributes=CLEARING_ATTRIBUTES),
            Immutable("lost-collection-facts", kind=LOST_COLLECTION, attributes=LOST_ATTRIBUTES),
            AppendOnly("change-shards-append-only", kind=CHANGE_SHARDS),
            Check("change-shards-bounded", kind=CHANGE_SHARDS, where=_SHARDS),
        ),
    )


_SHARDS: Final = Where(f"{SHARDS} BETWEEN :two AND :most", values={":two": 2, ":most": CHANGE_SHARDS_MAX})
_ATTEMPT_OF: Final = {"pk": "{pk}", "sk": "attempt#{attemptCreatedAt}#{agencyTrackingId}"}
"""The key of the attempt of a reversal, a request for a refund or a deposit."""
_ATTEMPT_IDENTITY: Final = (
    "agencyTrackingId",
    "client",
    "reference",
    "fee",
    "feeVersion",
    "tcsAppId",
    "amount",
    "classification",
    METADATA,
    "createdAt",
    IMPORTED_AT,
)

# The first version of an attempt is received. Only an imported attempt may begin with another status.
_INITIAL: Final = (RECEIVED, *dict.fromkeys(e.target for e in edges_from(None) if e.target != RECEIVED))
_BEGINS_RECEIVED: Final = Where(
    f"#status = :received OR version > :first OR attribute_exists({IMPORTED_AT})",
    names={"#status": "status"},
    values={":received": RECEIVED, ":first": 1},
)

# An item without metadata says when they were erased, and no attempt loses them while it is live.
_METADATA_OR_MARKER: Final = Where(f"attribute_exists({METADATA}) OR attribute_exists({METADATA_ERASED_AT})")
_ERASED_ONCE_FINAL: Final = Where(
    f"attribute_not_exists({METADATA_ERASED_AT}) OR #status IN (:processed, :failed)",
    names={"#status": "status"},
    values={":processed": PROCESSED, ":failed": FAILED},
)

# At most one attempt at an obligation blocks others. Four rules keep that together:
#
#     one-live-attempt   of the attempts that do not hold the obligation, at most one: a sentinel
#     obligation-agrees  all attempts name the same first attempt as the obligation (none: that of an earlier version,
#                        whose attempts all have the sentinel)
#     first-holds        only the first attempt holds the obligation; while it blocks, it does; and a further attempt
#                        that blocks follows the first one
#     first-is-over      the further attempt has no ``holdsObligation``, so it agrees with the first one only once that
#                        has lost it, which is never undone: then the first attempt no longer blocks
#
# A writer of an earlier version gives each attempt a sentinel, and so does a further attempt. Two such starts at once
# meet at the sentinel, and two first starts at the obligation's key (tests/rules/test_earlier_versions.py).
_FIRST_HOLDS: Final = Where(
    f"(attribute_not_exists({HOLDS_OBLIGATION}) OR {FIRST_ATTEMPT} = sk) AND "
    f"(#status = :failed OR attribute_exists({REOPENED}) OR attribute_not_exists({FIRST_ATTEMPT}) "
    f"OR ({FIRST_ATTEMPT} = sk AND attribute_exists({HOLDS_OBLIGATION})) "
    f"OR ({FIRST_ATTEMPT} <> sk AND {FOLLOWS} = {FIRST_ATTEMPT}))",
    names={"#status": "status"},
    values={":failed": FAILED},
)

# DynamoDB's conditions cannot count a number's decimals; records.money does, when amounts are written and read.
_AMOUNT: Final = Where("amount BETWEEN :cent AND :most", values={":cent": CENT, ":most": AMOUNT_MAX})


_REVERSED: Final = Where(
    "attribute_not_exists(reversedAmount) OR #status = :processed",
    names={"#status": "status"},
    values={":processed": PROCESSED},
)
_REOPENED: Final = Where("attribute_not_exists(reopened) OR reversedAmount = amount")


_DEPOSITED: Final = Where("attribute_exists(depositTicket) AND attribute_exists(depositedOn)")


def _reversal_rules() -> tuple[Rule, ...]:
    attempt = _ATTEMPT_OF
    return (
        AppendOnly("reversals-append-only", kind=REVERSAL),
        BoundedSum(
            REVERSALS_WITHIN_AMOUNT,
            kind=REVERSAL,
            parent="attempt",
            key=attempt,
            amount="amount",
            total=REVERSED_AMOUNT,
            limit="amount",
        ),
        Unique("reversal-once", kind=REVERSAL, attributes=("reversalId",)),
        TwoActors(REFUNDED_TWO_PEOPLE, kind=REVERSAL, first="requestedBy", second="approvedBy"),
        Check("refunded-by-two", kind=REVERSAL, where=_REFUNDED),
        References("refund-of-attempt", kind=REFUND_REQUEST, parent="attempt", key=attempt),
        Immutable("refund-identity", kind=REFUND_REQUEST, attributes=REQUEST_ATTRIBUTES),
        TwoActors(REFUND_TWO_PEOPLE, kind=REFUND_REQUEST, first="requestedBy", second="approvedBy"),
        WriteOnce("refund-decided-once", kind=REFUND_REQUEST, attributes=DECISION_ATTRIBUTES),
        Transitions(
            "refund-moves",
            kind=REFUND_REQUEST,
            attribute="status",
            initial=(OPEN,),
            edges=((OPEN, APPROVED), (OPEN, REJECTED)),
            final=(APPROVED, REJECTED),
        ),
        Check("refund-approver", kind=REFUND_REQUEST, where=_APPROVED),
    )


_REFUNDED: Final = Where(
    "reversalKind IN (:returned, :charged_back) "
    "OR (reversalKind = :refunded AND attribute_exists(requestedBy) AND attribute_exists(approvedBy))",
    values={f":{kind}": kind for kind in REVERSAL_KINDS},
)
_APPROVED: Final = Where(
    "attribute_exists(requestedBy) AND (#status <> :approved OR attribute_exists(approvedBy))",
    names={"#status": "status"},
    values={":approved": APPROVED},
)


def only_more_fees(before: Rules, after: Rules) -> bool:
    """Return whether ``after`` differs from ``before`` only in fees that are new or active from an earlier time.

    Then ``after`` allows everything that ``before`` allows, so the rules can be changed without reading the table.
    """
    if _without_fees(before) != _without_fees(after):
        return False
    active = _active_since(after)
    return all(key in active and active[key] <= since for key, since in _active_since(before).items())


def _without_fees(rules: Rules) -> str:
    return rules_to_toml(replace(rules, rules=tuple(rule for rule in rules.rules if rule.name != FEE_ACTIVE)))


def _active_since(rules: Rules) -> dict[str, str]:
    """Return fee → the time of its first activation, as :func:`_fee_active` wrote it."""
    check = rules[FEE_ACTIVE]
    assert isinstance(check, Check)
    values = check.where.values
    return {str(values[name]): str(values[f":t{name[2:]}"]) for name in values if name.startswith(":f")}


def _fee_active(fees: FeeCatalogue) -> Where:
    """Return the condition for a known fee at or after its first activation. Times are ISO, UTC and compare as text."""
    clauses, values = [], {}
    for number, key in enumerate(fees.keys):
        clauses.append(f"(fee = :f{number} AND createdAt >= :t{number})")
        values[f":f{number}"] = key
        values[f":t{number}"] = iso_ms(fees.active_since(key))
    return Where(" OR ".join(clauses), values=values)
