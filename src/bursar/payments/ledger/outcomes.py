"""How an outcome at Pay.gov is recorded: the event for it, or no event if the outcome adds nothing."""

from collections.abc import Mapping
from typing import Final

from bursar.payments.errors import OutcomeContradicts
from bursar.payments.history_bounds import taken_too_often
from bursar.payments.records import Attempt, Outcome
from bursar.payments.status import FAILED, FINAL, PENDING, PROCESSED, PROCESSING, EventName, OutcomeStatus, Status

OUTCOME_EVENTS: Final[Mapping[tuple[Status, OutcomeStatus], EventName]] = {
    (PROCESSING, PROCESSED): "completed",
    (PROCESSING, PENDING): "accepted",
    (PROCESSING, FAILED): "refused",
    (PENDING, PROCESSED): "settled",
    (PENDING, FAILED): "bounced",
    (PENDING, PENDING): "noted",
}
"""(recorded status, Pay.gov's status) → the event. Any other pair cannot be recorded."""


def adds_nothing(recorded: Attempt, outcome: Outcome) -> bool:
    """Return whether ``outcome`` is recorded already, is older than the record, or exceeds the bound on notes.

    Raises ``OutcomeContradicts`` if both cannot be true.
    """
    known, reported = recorded.paygov_tracking_id, outcome.paygov_tracking_id
    if known is not None and reported is not None and known != reported:
        raise OutcomeContradicts(recorded, "another Pay.gov tracking id")
    if recorded.status in FINAL:
        if outcome.status == FAILED and reported is None:
            return True  # a superseded complete was refused: this says nothing about the collection
        # The attempt failed because Pay.gov had no collection of it. Now Pay.gov has one, so the payer may have been
        # charged.
        is_new_collection = recorded.status == FAILED and known is None and reported is not None
        if outcome.status == recorded.status or (outcome.status == PENDING and not is_new_collection):
            return True
        raise OutcomeContradicts(recorded, outcome.status)
    if recorded.status != outcome.status:
        return False
    if taken_too_often(recorded, "noted"):
        return True
    return (known or reported, recorded.transaction_status, recorded.payment_method) == (
        known,
        outcome.transaction_status or recorded.transaction_status,
        outcome.payment_method or recorded.payment_method,
    )
