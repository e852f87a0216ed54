"""The probe: check which of Bursar's assumptions about Pay.gov hold, in an agency's QA environment.

    always        namespaces, the application, both lookups for an id that does not exist      charges no payer
    on request    both lookups for a given id; a complete of an unpaid token      charges no payer
    with a payer  a payment: complete, how soon the lookups show it, a second complete         charges the test payer

Each row is evidence for a line of docs/paygov.md. No row holds a whole token.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal

from bursar.clock import Clock
from bursar.paygov.client import NO_TRANSACTION, PayGov
from bursar.paygov.collection import Collection
from bursar.paygov.config import PayGovConfig
from bursar.paygov.errors import Fault, Nonsense, PayGovError, QueryUnavailable
from bursar.paygov.protocol import (
    FAULT_NO_SUCH_APPLICATION,
    FAULT_TOKEN_UNUSABLE,
    LOOKUPS,
    NAMESPACES,
    TRANSACTION_STATUSES,
    LookupName,
)
from bursar.paygov.transport import Transport

ProbeVerdict = Literal["holds", "does not hold", "not tried"]
PROTOCOL: Final = "docs/paygov.md#the-protocol"
FAULTS: Final = "docs/paygov.md#faults"
LOOKUPS_PAGE: Final = "docs/paygov.md#the-lookups"
RETURN_URL: Final = "https://example.com/bursar-probe"
"""The address to which the hosted page sends the test payer back."""
TOKEN_CHARACTERS_SHOWN: Final = 4
POLL_S: Final = 1.0
WAIT_S: Final = 60.0
"""How long the probe waits until the lookups show a fresh completion."""
_SERVICE: Final[dict[LookupName, str]] = {
    "details": "getDetails by agency_tracking_id",
    "query": "TCSSingleQueryService by agency_tracking_id",
}


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One assumption. ``relied_on``: this configuration is unsafe or does not work if the assumption does not hold."""

    name: str
    assumption: str
    sent: str
    answered: str
    verdict: ProbeVerdict
    relied_on: bool
    documented: str

    @property
    def contradicts(self) -> bool:
        """Whether the configuration relies on an assumption that does not hold."""
        return self.relied_on and self.verdict == "does not hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRequest:
    """The choice of what to probe.

    ``pay`` makes the test payer pay at an address of the hosted pages; None: no payment.

    agency_tracking_id: of a completed collection, for the lookups. completes_unpaid: whether to complete an unpaid
    token. amount: of the test payment, dollars. wait_s: how long to wait for the lookups to show it.
    """

    tcs_app_id: str
    agency_tracking_id: str | None = None
    completes_unpaid: bool = False
    pay: Callable[[str], Awaitable[None]] | None = None
    amount: Decimal = Decimal("1.00")
    wait_s: float = WAIT_S


class Probe:
    """One run. ``sleep`` waits for some seconds by ``clock``."""

    def __init__(
        self,
        config: PayGovConfig,
        transport: Transport,
        request: ProbeRequest,
        *,
        clock: Clock,
        randomness: random.Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._config = config
        self._transport = transport
        self._paygov = PayGov(config, transport)
        self._request = request
        self._clock = clock
        self._randomness = randomness
        self._sleep = sleep

    async def run(self) -> tuple[ProbeRow, ...]:
        """Ask Pay.gov and return every row, also those that were not tried.

        Errors of Pay.gov are rows, and are not raised.
        """
        rows = [await self._namespaces(), await self._application()]
        for lookup in LOOKUPS:
            rows += [await self._none(lookup), await self._found(lookup)]
        rows.append(await self._unpaid())
        return (*rows, *await self._payment())

    # ---- charges no payer

    async def _namespaces(self) -> ProbeRow:
        chosen = (*NAMESPACES, *(() if self._config.namespace in NAMESPACES else (self._config.namespace,)))
        answers = {each: await self._answers(each) for each in chosen}
        good = ", ".join(_version(each) for each, answered in answers.items() if answered)
        bad = ", ".join(_version(each) for each, answered in answers.items() if not answered)
        return _row(
            "namespace",
            f"the operations are in the namespace {self._config.namespace}",
            "getDetails of an unknown paygov_tracking_id, in each known namespace",
            f"answered: {good or 'none'}; not answered: {bad or 'none'}",
            holds=answers[self._config.namespace],
            documented=PROTOCOL,
        )

    async def _answers(self, namespace: str) -> bool:
        paygov = PayGov(replace(self._config, namespace=namespace), self._transport)
        return _is_paygovs(await _outcome(self._details(paygov, self._unknown_id())))

    async def _application(self) -> ProbeRow:
        answer = await _outcome(self._details(self._paygov, self._unknown_id()))
        missing = isinstance(answer, Fault) and answer.return_code == FAULT_NO_SUCH_APPLICATION
        return _row(
            "application",
            f"the tcs_app_id {self._request.tcs_app_id} exists, and an unknown paygov_tracking_id is answered",
            "getDetails of an unknown paygov_tracking_id",
            _text(answer),
            holds=_is_paygovs(answer) and not missing,
            documented=PROTOCOL,
        )

    async def _none(self, lookup: LookupName) -> ProbeRow:
        answer = await _outcome(self._find(lookup, self._unknown_id()))
        return _row(
            f"{lookup}-none",
            f"{_SERVICE[lookup]} answers an empty list if there is no collection",
            f"{_SERVICE[lookup]}, of an id that does not exist",
            _text(answer),
            holds=None if isinstance(answer, QueryUnavailable) else answer == (),
            relied_on=self._confirmed(lookup),
            documented=LOOKUPS_PAGE,
        )

    async def _found(self, lookup: LookupName) -> ProbeRow:
        wanted = self._request.agency_tracking_id
        answer: object = "needs --agency-tracking-id of a completed collection"
        if wanted is not None:
            answer = await _outcome(self._find(lookup, wanted))
        return _row(
            f"{lookup}-found",
            f"{_SERVICE[lookup]} finds a completed collection",
            f"{_SERVICE[lookup]}, of {wanted or 'a given id'}",
            _text(answer),
            holds=None if wanted is None or isinstance(answer, QueryUnavailable) else _has(answer, wanted),
            relied_on=self._confirmed(lookup),
            documented=LOOKUPS_PAGE,
        )

    async def _unpaid(self) -> ProbeRow:
        answer: object = "needs --complete-unpaid"
        sent = "start, then complete without a payer"
        holds = None
        if self._request.completes_unpaid:
            try:
                token = await self._start(self._unknown_id())
                sent = f"start, then complete of the token {_short(token)} without a payer"
                answer = await _outcome(self._paygov.complete(tcs_app_id=self._request.tcs_app_id, token=token))
            except PayGovError as error:
                answer = error
            holds = isinstance(answer, Fault) and answer.return_code == FAULT_TOKEN_UNUSABLE
        return _row(
            "unpaid-token",
            "a complete of an unpaid token is answered with fault 4117",
            sent,
            _text(answer),
            holds=holds,
            relied_on=False,
            documented=FAULTS,
        )

    # ---- charges the test payer

    async def _payment(self) -> list[ProbeRow]:
        if self._request.pay is None:
            return self._payment_rows("needs --charge and a test payer")
        agency_id = self._unknown_id()
        try:
            token = await self._start(agency_id)
            await self._request.pay(self._paygov.payment_redirect(tcs_app_id=self._request.tcs_app_id, token=token))
            paid = await self._paygov.complete(tcs_app_id=self._request.tcs_app_id, token=token)
        except PayGovError as error:
            return self._payment_rows(_text(error), failed=True)
        completed_at = self._clock()
        rows = [self._complete_row(token, agency_id, paid)]
        rows += [await self._visible(lookup, agency_id, completed_at) for lookup in LOOKUPS]
        assert paid.paygov_tracking_id is not None, "the client checks that a completion has it"
        details = await _outcome(self._details(self._paygov, paid.paygov_tracking_id))
        rows.append(self._details_row(details, paid.paygov_tracking_id))
        again = await _outcome(self._paygov.complete(tcs_app_id=self._request.tcs_app_id, token=token))
        return [*rows, self._second_row(again, _short(token))]

    def _payment_rows(self, answer: str, *, failed: bool = False) -> list[ProbeRow]:
        """Return the rows of a payment that was not made.

        If it ``failed``, the first row says that its assumption does not hold.
        """
        first = replace(self._complete_row("", "", None), answered=answer)
        visible = [self._visible_row(lookup, answer, None) for lookup in LOOKUPS]
        rest = [
            replace(self._details_row(None, ""), answered=answer),
            replace(self._second_row(None, ""), answered=answer),
        ]
        return [replace(first, verdict="does not hold") if failed else first, *visible, *rest]

    def _complete_row(self, token: str, agency_id: str, paid: Collection | None) -> ProbeRow:
        fits = paid is not None and (paid.agency_tracking_id, paid.transaction_amount) == (
            agency_id,
            self._request.amount,
        )
        known = paid is not None and paid.transaction_status in TRANSACTION_STATUSES
        return _row(
            "complete",
            "a complete returns the collection with its ids, its amount and a known status",
            f"complete of the token {_short(token)}, after the payer has paid" if token else "complete of a paid token",
            _text(() if paid is None else (paid,)),
            holds=None if paid is None else fits and known,
            documented=PROTOCOL,
        )

    async def _visible(self, lookup: LookupName, agency_id: str, completed_at: float) -> ProbeRow:
        while True:
            answer = await _outcome(self._find(lookup, agency_id))
            after_s = self._clock() - completed_at
            if isinstance(answer, QueryUnavailable):
                return self._visible_row(lookup, _text(answer), None)
            if _has(answer, agency_id):
                return self._visible_row(lookup, f"found after {after_s:.1f} s", True)
            if after_s >= self._request.wait_s or answer != ():
                return self._visible_row(lookup, f"{_text(answer)} after {after_s:.1f} s", False)
            await self._sleep(POLL_S)

    def _visible_row(self, lookup: LookupName, answer: str, holds: bool | None) -> ProbeRow:
        return _row(
            f"{lookup}-visible",
            f"{_SERVICE[lookup]} shows a fresh completion within {self._request.wait_s:g} s",
            f"{_SERVICE[lookup]}, repeated after the complete",
            answer,
            holds=holds,
            relied_on=self._confirmed(lookup),
            documented=LOOKUPS_PAGE,
        )

    def _details_row(self, answer: object, tracking_id: str) -> ProbeRow:
        return _row(
            "details",
            "getDetails by paygov_tracking_id returns the collection",
            "getDetails of the completed collection",
            _text(answer),
            holds=None if answer is None else isinstance(answer, tuple) and _ids(answer) == [tracking_id],
            documented=PROTOCOL,
        )

    def _second_row(self, answer: object, token: str) -> ProbeRow:
        refused = isinstance(answer, Fault) and answer.return_code == FAULT_TOKEN_UNUSABLE
        return _row(
            "second-complete",
            "a second complete of a completed token is answered with fault 4117",
            f"complete of the token {token}, once more" if token else "complete of a completed token",
            _text(answer),
            holds=None if answer is None else refused,
            relied_on=False,
            documented=FAULTS,
        )

    # ---- calls

    def _confirmed(self, lookup: LookupName) -> bool:
        return any(each.name == lookup and each.confirmed for each in self._config.available_lookups)

    def _find(self, lookup: LookupName, agency_id: str) -> Awaitable[tuple[Collection, ...]]:
        return self._paygov.find(lookup, tcs_app_id=self._request.tcs_app_id, agency_tracking_id=agency_id)

    def _details(self, paygov: PayGov, tracking_id: str) -> Awaitable[tuple[Collection, ...]]:
        return paygov.details(tcs_app_id=self._request.tcs_app_id, paygov_tracking_id=tracking_id)

    async def _start(self, agency_id: str) -> str:
        return await self._paygov.start(
            tcs_app_id=self._request.tcs_app_id,
            agency_tracking_id=agency_id,
            amount=self._request.amount,
            url_success=RETURN_URL,
            url_cancel=RETURN_URL,
        )

    def _unknown_id(self) -> str:
        """Return an agency tracking id that no collection has: 21 characters, the longest that Pay.gov accepts."""
        return f"probe{self._randomness.getrandbits(64):016x}"


async def _outcome(question: Awaitable[object]) -> object:
    """Return the answer to ``question``, or Pay.gov's error."""
    try:
        return await question
    except PayGovError as error:
        return error


def _row(
    name: str,
    assumption: str,
    sent: str,
    answered: str,
    *,
    holds: bool | None,
    documented: str,
    relied_on: bool = True,
) -> ProbeRow:
    verdict: ProbeVerdict = "not tried" if holds is None else "holds" if holds else "does not hold"
    return ProbeRow(name, assumption, sent, answered, verdict, relied_on, documented)


def _is_paygovs(answer: object) -> bool:
    """Return whether ``answer`` is a valid answer to getDetails: a fault with a code, a list, or an empty list."""
    return isinstance(answer, Fault | tuple) or (isinstance(answer, Nonsense) and answer.reason == NO_TRANSACTION)


def _has(answer: object, agency_id: str) -> bool:
    return isinstance(answer, tuple) and {each.agency_tracking_id or agency_id for each in answer} == {agency_id}


def _ids(found: tuple[Collection, ...]) -> list[str | None]:
    return [each.paygov_tracking_id for each in found]


def _text(answer: object) -> str:
    if isinstance(answer, tuple):
        listed = [f"{each.paygov_tracking_id} {each.transaction_status} {each.transaction_amount}" for each in answer]
        return ", ".join(listed) or "an empty list"
    if isinstance(answer, PayGovError):
        return f"{type(answer).__name__}: {answer}"
    if isinstance(answer, Collection):
        return _text((answer,))
    return "" if answer is None else str(answer)


def _short(token: str) -> str:
    return f"{token[:TOKEN_CHARACTERS_SHOWN]}…"


def _version(namespace: str) -> str:
    return namespace.rsplit("/", 1)[-1]
