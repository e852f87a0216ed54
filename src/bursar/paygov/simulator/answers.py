"""The two SOAP services: they read a request, carry it out, and apply the misbehaviours of the plan.

Both doors use them, the HTTP app and the in-process transport, so a misbehaviour has the same effect in both.
"""

import asyncio
import functools
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from bursar.clock import iso_ms
from bursar.paygov.errors import Fault
from bursar.paygov.protocol import (
    COMPLETE,
    COMPLETE_WITH_DETAILS,
    FAULT_DETAILS,
    GET_DETAILS,
    GET_DETAILS_BY_AGENCY_ID,
    LIST_ELEMENT,
    LIST_ITEM_ELEMENT,
    PAYMENT_FREQUENCY,
    QUERY,
    QUERY_OPERATIONS,
    START,
    TOKEN_FIELD,
    TRANSACTION_TYPE,
    LookupName,
    SoapOperation,
)
from bursar.paygov.safe_xml import XmlRefused
from bursar.paygov.simulator.books import BooksError, Entry
from bursar.paygov.simulator.core import RequestRefused, Simulator
from bursar.paygov.simulator.misbehaviour import Misbehaviour, MisbehaviourPlan, planned_name
from bursar.paygov.simulator.wire import (
    Ending,
    RequestReader,
    SimulatorAnswer,
    SoapRequest,
    envelope,
    fault_reply,
    plain_fault_reply,
    read_request,
    reply,
)
from bursar.paygov.soap import escape

EASTERN = ZoneInfo("America/New_York")
"""The time zone of Pay.gov's dates."""

PLAIN_TYPE, HTML_TYPE = "text/plain; charset=utf-8", "text/html; charset=utf-8"


class SoapService:
    """The two SOAP services of one simulator, with one plan of misbehaviours.

    read: reads a request as :func:`~bursar.paygov.simulator.wire.read_request` does.
    """

    def __init__(self, simulator: Simulator, plan: MisbehaviourPlan, read: RequestReader = read_request) -> None:
        self._simulator = simulator
        self._read_request = read
        self.plan = plan
        bearer = simulator.settings.bearer
        self._authentication = None if bearer is None else f"Bearer {bearer}".encode()
        self._perform: Final[Mapping[SoapOperation, Callable[[dict[str, str]], bytes]]] = {
            START: self._start,
            COMPLETE: self._complete,
            COMPLETE_WITH_DETAILS: self._complete_with_details,
            GET_DETAILS: self._details,
            GET_DETAILS_BY_AGENCY_ID: functools.partial(self._find, "details"),
            QUERY: functools.partial(self._find, "query"),
        }

    async def answer(
        self, operations: Mapping[str, SoapOperation], body: bytes, content_type: str, authentication: str
    ) -> SimulatorAnswer:
        """Return the answer to one request at the service that offers ``operations``. Errors are answers too."""
        request = self._read(operations, body, content_type, authentication)
        if isinstance(request, SimulatorAnswer):
            return request
        if len(self.plan):
            token, agency_tracking_id = self._subject(request)
            chosen = self.plan.choose(planned_name(request.operation), token, agency_tracking_id)
            if chosen is not None:
                return await self._misbehave(chosen, request)
        return self.carry_out(request)

    def _read(
        self, operations: Mapping[str, SoapOperation], body: bytes, content_type: str, authentication: str
    ) -> SoapRequest | SimulatorAnswer:
        """Return the request, or the answer to a body that is not a request."""
        if not self.admits(authentication):
            return SimulatorAnswer(401, PLAIN_TYPE, b"The Authentication header must be: Bearer <token>\n")
        if operations is QUERY_OPERATIONS and "query" not in self._simulator.settings.lookups:
            return SimulatorAnswer(404, PLAIN_TYPE, b"Not found\n")
        try:
            return self._read_request(operations, body, content_type)
        except (XmlRefused, RequestRefused) as refused:
            return plain_fault_reply("Client", str(refused))

    def admits(self, authentication: str) -> bool:
        """Return whether the Authentication header has the right token."""
        return self._authentication is None or hmac.compare_digest(
            authentication.encode(errors="replace"), self._authentication
        )

    async def _misbehave(self, chosen: Misbehaviour, request: SoapRequest) -> SimulatorAnswer:
        if chosen.delay_s and chosen.kind != "drip":
            await asyncio.sleep(chosen.delay_s)
        honest = self.carry_out(request) if chosen.happens else reply(request.operation, b"")
        if chosen.kind == "twice":
            honest = self.carry_out(request)
        return SPOIL[chosen.kind](chosen, honest)

    def carry_out(self, request: SoapRequest) -> SimulatorAnswer:
        """Carry out ``request`` without any misbehaviour, and return the answer. Errors are answers too."""
        try:
            return reply(request.operation, self._perform[request.operation](request.fields))
        except Fault as fault:
            return fault_reply(fault.return_code, fault.return_detail)
        except RequestRefused as refused:
            return plain_fault_reply("Client", str(refused))
        except (BooksError, OSError) as error:
            # Nothing has changed: the journal of the books is written first.
            return SimulatorAnswer(503, PLAIN_TYPE, f"{error}\n".encode())

    def _subject(self, request: SoapRequest) -> tuple[str | None, str | None]:
        """Return the token and the agency tracking id of a request; None for one that is not in the books."""
        token, agency_tracking_id = (request.fields.get(name) for name in (TOKEN_FIELD, "agency_tracking_id"))
        entry = None
        if token is not None:
            entry = self._simulator.books.entry(token)
        elif "paygov_tracking_id" in request.fields:
            entry = self._simulator.books.entry_of_paygov_id(request.fields["paygov_tracking_id"])
        if entry is not None:
            return entry.token, entry.agency_tracking_id
        return token, agency_tracking_id

    def _start(self, fields: dict[str, str]) -> bytes:
        return f"<{TOKEN_FIELD}>{self._simulator.start(fields)}</{TOKEN_FIELD}>".encode()

    def _completed(self, fields: dict[str, str]) -> Entry:
        return self._simulator.complete(fields.get("tcs_app_id", ""), fields.get(TOKEN_FIELD, ""))

    def _complete(self, fields: dict[str, str]) -> bytes:
        entry = self._completed(fields)
        return f"<paygov_tracking_id>{entry.paygov_tracking_id}</paygov_tracking_id>".encode()

    def _complete_with_details(self, fields: dict[str, str]) -> bytes:
        return self._transaction(self._completed(fields)).encode()

    def _details(self, fields: dict[str, str]) -> bytes:
        tracking_id = fields.get("paygov_tracking_id", "")
        return self._listed(self._simulator.details(fields.get("tcs_app_id", ""), tracking_id))

    def _find(self, lookup: LookupName, fields: dict[str, str]) -> bytes:
        tracking_id = fields.get("agency_tracking_id", "")
        return self._listed(self._simulator.find(lookup, fields.get("tcs_app_id", ""), tracking_id))

    def _listed(self, entries: tuple[Entry, ...]) -> bytes:
        items = "".join(f"<{LIST_ITEM_ELEMENT}>{self._transaction(entry)}</{LIST_ITEM_ELEMENT}>" for entry in entries)
        return f"<{LIST_ELEMENT}>{items}</{LIST_ELEMENT}>".encode()

    def _transaction(self, entry: Entry) -> str:
        assert entry.completed_at is not None
        return (
            f"<paygov_tracking_id>{entry.paygov_tracking_id}</paygov_tracking_id>"
            f"<agency_tracking_id>{escape(entry.agency_tracking_id)}</agency_tracking_id>"
            f"<transaction_amount>{entry.amount}</transaction_amount>"
            f"<transaction_type>{TRANSACTION_TYPE}</transaction_type>"
            f"<transaction_date>{iso_ms(entry.completed_at)}</transaction_date>"
            f"<payment_date>{_eastern_day(int(entry.completed_at // 3600))}</payment_date>"
            f"<transaction_status>{self._simulator.status(entry)}</transaction_status>"
            f"<payment_type>{entry.payment_type}</payment_type>"
            f"<payment_frequency>{PAYMENT_FREQUENCY}</payment_frequency>"
            "<number_of_installments>1</number_of_installments>"
        )


@functools.lru_cache(maxsize=1024)
def _eastern_day(hour: int) -> str:
    """Return the Eastern date of an hour since the epoch. Offsets are whole hours."""
    return f"{datetime.fromtimestamp(hour * 3600, UTC).astimezone(EASTERN):%Y-%m-%d}"


# The effect of misbehaviours on replies


def _with_body(body: bytes) -> Callable[[Misbehaviour, SimulatorAnswer], SimulatorAnswer]:
    return lambda _chosen, honest: replace(honest, status=200, body=body)


def _with_ending(ending: Ending) -> Callable[[Misbehaviour, SimulatorAnswer], SimulatorAnswer]:
    return lambda _chosen, honest: replace(honest, ending=ending)


def _with_replaced(pattern: bytes, value: bytes) -> Callable[[Misbehaviour, SimulatorAnswer], SimulatorAnswer]:
    found = re.compile(pattern)
    return lambda _chosen, honest: replace(honest, body=found.sub(value, honest.body))


SPOIL: Final[Mapping[str, Callable[[Misbehaviour, SimulatorAnswer], SimulatorAnswer]]] = {
    "delay": lambda _chosen, honest: honest,
    "refuse": _with_ending(Ending.REFUSED),
    "drop": _with_ending(Ending.DROPPED),
    "reset": _with_ending(Ending.RESET),
    "cut": _with_ending(Ending.CUT),
    "http": lambda chosen, _honest: SimulatorAnswer(
        chosen.status, HTML_TYPE, b"<html><body><h1>Service unavailable</h1></body></html>"
    ),
    "garbage": _with_body(bytes(range(256)) * 2),
    "truncated": lambda _chosen, honest: replace(honest, body=honest.body[: len(honest.body) // 2]),
    "wrong_shape": _with_body(envelope(b"<ns2:weather xmlns:ns2='urn:x'><sky>blue</sky></ns2:weather>")),
    "fault": lambda chosen, _honest: fault_reply(
        chosen.code, FAULT_DETAILS.get(chosen.code, "A fault of the misbehaviour plan.")
    ),
    "duplicated": lambda _chosen, honest: replace(honest, body=honest.body * 2),
    "twice": lambda _chosen, honest: honest,
    "drip": lambda chosen, honest: replace(honest, ending=Ending.DRIPPED, drip_s=chosen.delay_s),
    "wrong_agency": _with_replaced(rb"(<agency_tracking_id>).*?(</agency_tracking_id>)", rb"\g<1>another-payer\g<2>"),
    "wrong_amount": _with_replaced(rb"(<transaction_amount>).*?(</transaction_amount>)", rb"\g<1>0.01\g<2>"),
}
"""A kind of misbehaviour (misbehaviour.KINDS) → a function that changes the correct answer."""
