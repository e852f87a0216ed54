"""Classify each way in which a completion can end: what is known about the charge, and which error the caller gets.

    definite     Pay.gov says how the collection ended: record it (processed, pending or failed)
    not sent     nothing reached Pay.gov: release the lease; the token may be completed later
    unknown      Pay.gov may have charged the payer: never a failure, and no reason to complete again without asking

:data:`OUTCOMES` is the table; tests/portal/use_cases/test_completion_outcomes.py has a test for each of its rows.
The same rows classify what Pay.gov's ``details`` and ``query`` say about a collection. Source of the facts about
Pay.gov: docs/paygov.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bursar.paygov.collection import Collection
from bursar.paygov.errors import Fault, Lost, Nonsense, NotSent, PayGovError, QueryUnavailable, TimedOut
from bursar.paygov.protocol import FAULT_TOKEN_UNUSABLE
from bursar.payments.records import Attempt, Outcome
from bursar.payments.status import FAILED, PENDING, PROCESSED, Status, from_paygov
from bursar.portal.contract.error_catalogue import (
    NOTHING_SENT,
    OUTCOME_UNKNOWN,
    TOKEN_REFUSED,
    UNDECIDED,
    ErrorCode,
)
from bursar.portal.contract.errors import BadGateway, GatewayTimeout, PortalError, Unexpected
from bursar.portal.state.observer import OutcomeName

Known = Literal["definite", "not sent", "unknown"]
"""The knowledge about the charge after a completion."""


@dataclass(frozen=True, slots=True)
class CompletionOutcome:
    """One way in which a completion can end.

    ``reason``: the text in the attempt's event. ``error``: the error that the caller gets; None if the caller gets the
    payment. ``alerts``: whether a person must inspect the attempt at once.
    """

    name: OutcomeName
    known: Known
    error: type[PortalError] | None
    reason: str
    alerts: bool = False


_DEFINITE: Final = "definite"
_NOT_SENT: Final = "not sent"
_UNKNOWN: Final = "unknown"
_ALERTS: Final = True
_row: Final = CompletionOutcome

# fmt: off
OUTCOMES: Final[Mapping[OutcomeName, CompletionOutcome]] = {row.name: row for row in (
    _row("paid",              _DEFINITE, None,           "Pay.gov says that it is paid"),
    _row("settling",          _DEFINITE, None,           "Pay.gov accepted it and it is settling"),
    _row("refused",           _DEFINITE, None,           "Pay.gov says that it failed, was cancelled or retired"),
    _row("fault",             _DEFINITE, None,           "Pay.gov refused the only complete with a return code"),
    _row("charged twice",     _DEFINITE, None,           "Pay.gov has several collections that take money", _ALERTS),
    _row("not sent",          _NOT_SENT, GatewayTimeout, "Pay.gov could not be reached: nothing was sent"),
    _row("timed out",         _UNKNOWN,  GatewayTimeout, "no whole answer from Pay.gov in time"),
    _row("lost",              _UNKNOWN,  GatewayTimeout, "the connection to Pay.gov broke before its answer arrived"),
    _row("nonsense",          _UNKNOWN,  BadGateway,     "Pay.gov's answer cannot be understood"),
    _row("fault, no code",    _UNKNOWN,  BadGateway,     "Pay.gov's fault names no return code"),
    _row("token unusable",    _UNKNOWN,  GatewayTimeout, "Pay.gov says that its token cannot be used"),
    _row("fault after doubt", _UNKNOWN,  GatewayTimeout, "its refusal does not decide the first complete", _ALERTS),
    _row("unidentified",      _UNKNOWN,  BadGateway,     "Pay.gov's answer lacks an id or the amount", _ALERTS),
    _row("another id",        _UNKNOWN,  BadGateway,     "Pay.gov's answer is about another collection", _ALERTS),
    _row("another amount",    _UNKNOWN,  BadGateway,     "Pay.gov's answer is about another amount", _ALERTS),
    _row("unknown status",    _UNKNOWN,  BadGateway,     "Pay.gov's answer holds an unknown status", _ALERTS),
    _row("id taken",          _UNKNOWN,  BadGateway,     "Pay.gov's tracking id belongs to another attempt", _ALERTS),
    _row("contradiction",     _UNKNOWN,  BadGateway,     "Pay.gov's answer contradicts what is recorded", _ALERTS),
    _row("unforeseen",        _UNKNOWN,  Unexpected,     "the completion ended in an error of the portal", _ALERTS),
)}
# fmt: on

CONTRADICTIONS: Final[tuple[str, ...]] = tuple(
    OUTCOMES[name].reason for name in ("unidentified", "another id", "another amount", "unknown status", "id taken")
)
"""The first words of the reasons that another question cannot change: only a person can decide these outcomes."""
LOST_REPLIES: Final[frozenset[OutcomeName]] = frozenset(("timed out", "lost", "nonsense", "fault, no code"))
"""The rows of a complete whose answer did not arrive or cannot be read: a lookup may show its collection at once."""
_NAME_OF_STATUS: Final[Mapping[Status, OutcomeName]] = {PROCESSED: "paid", PENDING: "settling", FAILED: "refused"}
# The first match wins, so a subclass is above its base class. After any other error the complete may be sent.
_ROW_OF_ERROR: Final[tuple[tuple[type[BaseException], OutcomeName], ...]] = (
    (NotSent, "not sent"),
    (QueryUnavailable, "not sent"),
    (TimedOut, "timed out"),
    (Lost, "lost"),
    (Nonsense, "nonsense"),
    (PayGovError, "nonsense"),
)
_TAKES_MONEY: Final = frozenset({PENDING, PROCESSED})
_STRENGTH: Final[Mapping[Status, int]] = {FAILED: 1, PENDING: 2, PROCESSED: 3}


FOUND_CHARS_MAX: Final = 60
"""The most characters of Pay.gov's answer that a reason quotes."""
OTHERS_MAX: Final = 10
"""The most further collections of one attempt that are stored. A person asks Pay.gov for the others."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A row of the table, and the outcome to record if it is definite.

    ``others``: further collections of the same attempt that also take money, at most ``OTHERS_MAX``. ``refusal``:
    Pay.gov's fault, if it does not show the outcome. ``found``: a text for a person about what Pay.gov has instead.
    """

    row: CompletionOutcome
    outcome: Outcome | None = None
    others: tuple[Outcome, ...] = ()
    refusal: Fault | None = None
    found: str = ""

    @property
    def known(self) -> Known:
        """The knowledge about the charge, from the row."""
        return self.row.known

    @property
    def reason(self) -> str:
        """The row's reason, with what Pay.gov has instead, or with its ids if the payer was charged more than once."""
        if self.outcome is None or not self.others:
            return f"{self.row.reason}: {self.found}" if self.found else self.row.reason
        collections = [
            f"{each.paygov_tracking_id} ({each.transaction_status})" for each in (self.outcome, *self.others)
        ]
        return f"{self.row.reason}: {', '.join(collections)}"

    def error(self) -> PortalError:
        """Return the error that the caller gets if the completion is not definite."""
        if self.row.error is None or self.row.error is Unexpected:
            return Unexpected()
        if self.known == "not sent":
            return self.row.error(NOTHING_SENT)
        if self.row.name == "token unusable":
            return self.row.error(TOKEN_REFUSED)
        return self.row.error(UNDECIDED if self.row.error is BadGateway else OUTCOME_UNKNOWN)


def token_was_refused(attempt: Attempt) -> bool:
    """Return whether Pay.gov refused the token of ``attempt`` (fault 4117) and nothing else is known.

    The payer may not have paid yet and may come back with the same token. The sweeper therefore leaves every repeated
    complete to that call.
    """
    return attempt.outcome_unknown and attempt.return_code == FAULT_TOKEN_UNUSABLE


def doubt_about(attempt: Attempt) -> ErrorCode:
    """Return the code, with its message, for a caller who repeats `process` while the outcome is unknown."""
    return TOKEN_REFUSED if token_was_refused(attempt) else OUTCOME_UNKNOWN


def judge_completion(attempt: Attempt, answer: Collection | BaseException, *, first: bool) -> Judgement:
    """Judge what ``complete`` returned or raised for ``attempt``.

    ``first``: no complete of this token is known to have reached Pay.gov before. Otherwise a fault proves nothing: the
    first complete may have charged the payer, which uses up the token. Fault 4117 on the first complete proves nothing
    either: the network may have delivered the complete twice and returned the second reply, or the store may have been
    restored from a backup that is older than an earlier complete.
    """
    if isinstance(answer, Collection):
        return judge_collection(attempt, answer, identified=False)
    if isinstance(answer, Fault):
        if not first:
            return Judgement(OUTCOMES["fault after doubt"], refusal=answer if answer.return_code else None)
        if not answer.return_code:
            return Judgement(OUTCOMES["fault, no code"])
        if answer.token_unusable:
            return Judgement(OUTCOMES["token unusable"], refusal=answer)
        outcome = Outcome(FAILED, return_code=answer.return_code, return_detail=answer.return_detail)
        return Judgement(OUTCOMES["fault"], outcome)
    for error, name in _ROW_OF_ERROR:
        if isinstance(answer, error):
            return Judgement(OUTCOMES[name])
    return Judgement(OUTCOMES["unforeseen"])


def judge_collection(attempt: Attempt, collection: Collection, *, identified: bool) -> Judgement:
    """Judge one collection of Pay.gov's for ``attempt``, after checking that it belongs to the attempt.

    ``identified``: Pay.gov was asked by an id that only this attempt has. Then an answer may lack the agency tracking
    id, but every id in the answer must agree.
    """
    agency_id, amount = collection.agency_tracking_id, collection.transaction_amount
    tracking_id = collection.paygov_tracking_id or (attempt.paygov_tracking_id if identified else None)
    if agency_id is not None and agency_id != attempt.agency_tracking_id:
        return Judgement(OUTCOMES["another id"], found=f"agency tracking id {agency_id[:FOUND_CHARS_MAX]}")
    if attempt.paygov_tracking_id is not None and tracking_id != attempt.paygov_tracking_id:
        return Judgement(OUTCOMES["another id"], found=f"Pay.gov tracking id {tracking_id}"[:FOUND_CHARS_MAX])
    if amount is not None and amount != attempt.amount:
        return Judgement(OUTCOMES["another amount"], found=f"{amount} instead of {attempt.amount}")
    # The amount may be missing only if an earlier, complete answer has been checked.
    known_before = identified and attempt.paygov_tracking_id is not None
    if not tracking_id or (agency_id is None and not identified) or (amount is None and not known_before):
        return Judgement(OUTCOMES["unidentified"])
    status = from_paygov(collection.transaction_status or "")
    if status is None:
        return Judgement(
            OUTCOMES["unknown status"], found=(collection.transaction_status or "no status")[:FOUND_CHARS_MAX]
        )
    outcome = Outcome(
        status=status,
        paygov_tracking_id=tracking_id,
        transaction_status=collection.transaction_status,
        payment_method=collection.payment_type,
        return_code=collection.return_code,
        return_detail=collection.return_detail,
    )
    return Judgement(OUTCOMES[_NAME_OF_STATUS[status]], outcome)


def judge_collections(attempt: Attempt, found: Iterable[Collection]) -> Judgement:
    """Judge what Pay.gov returned for an id of ``attempt``: of several collections, judge the one nearest to a charge.

    If one collection does not fit the attempt, the whole answer is unknown: a person must inspect it before anything is
    recorded. If several collections take money, the payer was charged several times. The payment is made: the
    collection nearest to a charge is recorded, and the others are returned, because their money must go back.
    """
    judgements = [judge_collection(attempt, collection, identified=True) for collection in found]
    odd = next((judgement for judgement in judgements if judgement.known != "definite"), None)
    if odd is not None:
        return odd
    # Of equal collections the lowest id, so that a process that asks again after a crash chooses the same one.
    judgements.sort(key=_nearest_to_a_charge_first)
    takes_money: dict[str | None, Outcome] = {}
    for outcome in (judgement.outcome for judgement in judgements):
        if outcome is not None and outcome.status in _TAKES_MONEY:
            takes_money.setdefault(outcome.paygov_tracking_id, outcome)  # one id that is listed twice is one collection
    if len(takes_money) < 2:
        return judgements[0]
    recorded, *others = takes_money.values()
    return Judgement(OUTCOMES["charged twice"], recorded, tuple(others[:OTHERS_MAX]))


def _nearest_to_a_charge_first(judgement: Judgement) -> tuple[int, str]:
    assert judgement.outcome is not None, "a definite judgement has an outcome"
    return -_STRENGTH[judgement.outcome.status], judgement.outcome.paygov_tracking_id or ""
