"""The behaviour of Pay.gov without its wire form: tokens, payers, collections, and settling.

    start ──► token ──► pay (the payer, on the hosted page) ──► complete ──► card, PayPal: Success or Failed at once
                 └───► cancel: the token stays               charges      └► ACH: Received, later Success or Failed
                                                                               └► return, after Success: Retired

The code is synchronous, and reads time only from the clock that it is given.
"""

import random
import re
from dataclasses import dataclass
from decimal import Decimal

import orjson

from bursar.clock import Clock
from bursar.paygov.errors import Fault
from bursar.paygov.protocol import (
    AGENCY_TRACKING_ID_CHARACTERS_MAX,
    AMOUNT_MAX,
    CLASSIFICATION,
    FAULT_DETAILS,
    FAULT_NO_SUCH_APPLICATION,
    FAULT_TOKEN_UNUSABLE,
    FAULT_UNPAID,
    LANGUAGE,
    LOOKUPS,
    PAYMENT_TYPES,
    STATUS_RETURNED,
    TOKEN_LIFE_S,
    TRANSACTION_TYPE,
    URL_CHARACTERS_MAX,
    LookupName,
)
from bursar.paygov.simulator.books import FAILED, OUTCOMES, SUCCESS, Books, Entry

ACH_SETTLE_S = 15.0
RECEIVED = "Received"
PAYGOV_TRACKING_ID_BITS = 80
"""The random bits of an id: they fill 20 of its 21 characters."""

_AMOUNT = re.compile(r"[0-9]{1,10}\.[0-9]{2}")
_URL = re.compile(rf"https?://[!-~]{{1,{URL_CHARACTERS_MAX}}}", re.IGNORECASE)


class RequestRefused(ValueError):
    """The operation does not accept the request. Pay.gov has no public return code for it."""


class PayerRefused(ValueError):
    """The hosted page refuses an action of the payer. The error has an ``http_status`` and a sentence for the payer."""

    def __init__(self, http_status: int, sentence: str) -> None:
        self.http_status = http_status
        super().__init__(sentence)


@dataclass(frozen=True, kw_only=True)
class SimulatorSettings:
    """The settings of the simulator's regular behaviour.

    ach_settle_s: the seconds for which an ACH debit is Received after its completion. token_life_s: the seconds for
    which a token is valid. applications: the tcs app ids that exist; None: all. bearer: the token that callers must
    send in the Authentication header; None: no token. unpaid_code: the fault that answers a complete of an unpaid
    token, which stays usable; None: complete it as a successful card payment, as the public test server does.
    lookups: the lookups by agency tracking id that are offered. lookup_delay_s: the seconds for which these lookups do
    not show a fresh completion.
    """

    ach_settle_s: float = ACH_SETTLE_S
    token_life_s: float = TOKEN_LIFE_S
    applications: frozenset[str] | None = None
    bearer: str | None = None
    unpaid_code: str | None = FAULT_UNPAID
    lookups: frozenset[LookupName] = frozenset(LOOKUPS)
    lookup_delay_s: float = 0.0


class Simulator:
    """One Pay.gov. It raises :class:`~bursar.paygov.errors.Fault` to refuse a request with a return code."""

    def __init__(
        self,
        clock: Clock,
        randomness: random.Random,
        books: Books | None = None,
        settings: SimulatorSettings | None = None,
    ) -> None:
        self.clock = clock
        self.randomness = randomness
        self.books = books if books is not None else Books()
        self.settings = settings if settings is not None else SimulatorSettings()

    def start(self, request: dict[str, str]) -> str:
        """Start a collection and return its token. Raises Fault and RequestRefused."""
        self._check_application(request.get("tcs_app_id", ""))
        _check_start(request)
        entry = Entry(
            token=f"{self.randomness.getrandbits(128):032x}",
            tcs_app_id=request["tcs_app_id"],
            agency_tracking_id=request["agency_tracking_id"],
            amount=Decimal(request["transaction_amount"]),
            url_success=request["url_success"],
            url_cancel=request["url_cancel"],
            started_at=self.clock(),
            classification=orjson.loads(request[CLASSIFICATION]) if CLASSIFICATION in request else None,
        )
        self.books.start(entry)
        return entry.token

    def complete(self, tcs_app_id: str, token: str) -> Entry:
        """Complete a paid token, which charges the payer unless the payment fails, and return its entry.

        Raises Fault 4117 for a token that is unknown, of another application, too old, or completed before.
        """
        self._check_application(tcs_app_id)
        entry = self.books.entry(token)
        if entry is None or entry.tcs_app_id != tcs_app_id or not self.usable(entry):
            raise _fault(FAULT_TOKEN_UNUSABLE)
        now = self.clock()
        if entry.paid_at is None:
            if self.settings.unpaid_code is not None:
                raise Fault(self.settings.unpaid_code, "The payer has not paid for this token yet.")
            self.books.pay(entry, PAYMENT_TYPES[0], SUCCESS, now)
        self.books.complete(entry, self._tracking_id(), now)
        return entry

    def details(self, tcs_app_id: str, paygov_tracking_id: str) -> tuple[Entry, ...]:
        """Return the completed collection with a Pay.gov tracking id. Raises Fault 4117 if there is none.

        The real code is not public. 4117 is the code whose public description contains "does not exist".
        """
        self._check_application(tcs_app_id)
        entry = self.books.entry_of_paygov_id(paygov_tracking_id)
        if entry is None or entry.tcs_app_id != tcs_app_id:
            raise Fault(FAULT_TOKEN_UNUSABLE, "No collection found for given paygov_tracking_id.")
        return (entry,)

    def find(self, lookup: LookupName, tcs_app_id: str, agency_tracking_id: str) -> tuple[Entry, ...]:
        """Return the completed collections with an agency tracking id. A token that is not completed is left out.

        Raises RequestRefused if ``lookup`` is not offered.
        """
        self._check_application(tcs_app_id)
        if lookup not in self.settings.lookups:
            raise RequestRefused(f"{lookup}: must be an operation that this Pay.gov offers by agency_tracking_id")
        visible_until = self.clock() - self.settings.lookup_delay_s
        return tuple(
            entry
            for entry in self.books.entries(agency_tracking_id)
            if entry.completed_at is not None and entry.completed_at <= visible_until and entry.tcs_app_id == tcs_app_id
        )

    def status(self, entry: Entry) -> str:
        """Return the current transaction_status of a completed collection."""
        assert entry.completed_at is not None
        assert entry.outcome is not None
        if entry.returned_at is not None:
            return STATUS_RETURNED
        settling = entry.payment_type == "ACH" and (self.clock() < entry.completed_at + self.settings.ach_settle_s)
        return RECEIVED if settling else entry.outcome

    def return_debit(self, paygov_tracking_id: str) -> Entry:
        """Return a settled ACH debit, as the payer's bank does. Raises PayerRefused for any other collection."""
        entry = self.books.entry_of_paygov_id(paygov_tracking_id)
        if entry is None:
            raise PayerRefused(404, "There is no collection with this Pay.gov tracking id.")
        if entry.payment_type != "ACH" or self.status(entry) != SUCCESS:
            raise PayerRefused(409, "Only an ACH debit that has settled can be returned.")
        self.books.return_debit(entry, self.clock())
        return entry

    def usable(self, entry: Entry) -> bool:
        """Return whether the token can still be paid or completed."""
        return entry.completed_at is None and self.clock() < entry.started_at + self.settings.token_life_s

    def payable(self, token: str) -> Entry:
        """Return the entry of a token that the payer can pay now. Raises PayerRefused."""
        entry = self.books.entry(token)
        if entry is None:
            raise PayerRefused(404, "There is no payment under this address.")
        if entry.completed_at is not None or entry.paid_at is not None:
            raise PayerRefused(409, "This payment has already been made.")
        if not self.usable(entry):
            raise PayerRefused(410, "This payment page has expired.")
        return entry

    def pay(self, token: str, payment_type: str, outcome: str) -> str:
        """Pay as the payer, and return the URL that leads back to the application.

        The payer is charged only by the later complete.
        """
        if payment_type not in PAYMENT_TYPES:
            raise PayerRefused(400, f"payment_type: must be one of {', '.join(PAYMENT_TYPES)}; got {payment_type!r}")
        if outcome not in OUTCOMES:
            raise PayerRefused(400, f"outcome: must be {SUCCESS} or {FAILED}; got {outcome!r}")
        entry = self.payable(token)
        self.books.pay(entry, payment_type, outcome, self.clock())
        return entry.url_success

    def cancel(self, token: str) -> str:
        """Cancel as the payer, and return the URL that leads back to the application. The token does not change."""
        entry = self.books.entry(token)
        if entry is None:
            raise PayerRefused(404, "There is no payment under this address.")
        return entry.url_cancel

    def _tracking_id(self) -> str:
        # One number for all letters: each number from SystemRandom is a system call.
        return f"P{self.randomness.getrandbits(PAYGOV_TRACKING_ID_BITS):020X}"

    def _check_application(self, tcs_app_id: str) -> None:
        known = self.settings.applications
        if not tcs_app_id or (known is not None and tcs_app_id not in known):
            raise _fault(FAULT_NO_SUCH_APPLICATION)


def _fault(code: str) -> Fault:
    return Fault(code, FAULT_DETAILS[code])


def _adds_up(classification: str, amount: str) -> bool:
    """Return whether the parts of a classification have ids and add up to the amount."""
    parts = orjson.loads(classification)
    if not parts or not all(name and _AMOUNT.fullmatch(part) for name, part in parts):
        return False
    return bool(_AMOUNT.fullmatch(amount)) and sum(Decimal(part) for _, part in parts) == Decimal(amount)


def _check_start(request: dict[str, str]) -> None:
    amount = request.get("transaction_amount", "")
    agency_tracking_id = request.get("agency_tracking_id", "")
    refusals = {
        "agency_tracking_id": not 0 < len(agency_tracking_id) <= AGENCY_TRACKING_ID_CHARACTERS_MAX,
        "transaction_type": request.get("transaction_type") != TRANSACTION_TYPE,
        "transaction_amount": not _AMOUNT.fullmatch(amount) or not 0 < Decimal(amount) <= AMOUNT_MAX,
        "language": request.get("language") != LANGUAGE,
        "url_success": not _URL.fullmatch(request.get("url_success", "")),
        "url_cancel": not _URL.fullmatch(request.get("url_cancel", "")),
        CLASSIFICATION: CLASSIFICATION in request and not _adds_up(request[CLASSIFICATION], amount),
    }
    wrong = [name for name, refused in refusals.items() if refused]
    if wrong:
        raise RequestRefused(f"startOnlineCollection: must have valid fields; got a wrong {', '.join(wrong)}")
