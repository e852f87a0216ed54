"""The client: four calls to Pay.gov, each sent once. The client never repeats a call or guesses an outcome.

start ──► token          charges no payer: it can be repeated
complete ──► Collection  charges the payer: after OutcomeUnknown call `find` or `details`, never just repeat
details, find            charge no payer: they can be repeated
"""

import re
from collections.abc import Awaitable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urlsplit

from bursar.paygov.collection import Collection
from bursar.paygov.config import Lookup, PayGovConfig
from bursar.paygov.errors import ArgumentRefused, Fault, Nonsense, QueryUnavailable
from bursar.paygov.protocol import (
    AGENCY_TRACKING_ID_CHARACTERS_MAX,
    AMOUNT_MAX,
    BEARER_HEADER,
    CLASSIFICATION,
    CLASSIFICATION_ID,
    CLASSIFICATION_ID_CHARACTERS_MAX,
    COMPLETE_WITH_DETAILS,
    CONTENT_TYPE,
    GET_DETAILS,
    GET_DETAILS_BY_AGENCY_ID,
    LANGUAGE,
    LOOKUP_FAULTS_MEANING_NONE,
    PAYGOV_TRACKING_ID,
    QUERY,
    QUERY_NAMESPACE,
    START,
    START_CLASSIFIED,
    TCS_APP_ID_CHARACTERS_MAX,
    TOKEN_CHARACTERS,
    TRANSACTION_TYPE,
    URL_CHARACTERS_MAX,
    LookupName,
    SoapOperation,
)
from bursar.paygov.safe_xml import Element
from bursar.paygov.soap import (
    build_envelope,
    classification_xml,
    read_collections,
    read_completion,
    read_reply,
    read_token,
)
from bursar.paygov.transport import Transport

URLS_KEPT_MAX: Final = 256
"""The most URLs whose check is cached. Applications send their payers back to few addresses."""

NO_TRANSACTION: Final = "details without any transaction"
"""The reason in Nonsense if getDetails by paygov_tracking_id returns an empty list."""

_CENT = Decimal("0.01")

_SHAPES: Final[Mapping[str, re.Pattern[str]]] = {
    "tcs_app_id": re.compile(rf"[!-~]{{1,{TCS_APP_ID_CHARACTERS_MAX}}}"),
    "agency_tracking_id": re.compile(rf"[!-~]{{1,{AGENCY_TRACKING_ID_CHARACTERS_MAX}}}"),
    CLASSIFICATION_ID: re.compile(rf"[!-~]{{1,{CLASSIFICATION_ID_CHARACTERS_MAX}}}"),
    "token": re.compile(rf"[!-~]{{{TOKEN_CHARACTERS}}}"),
    "paygov_tracking_id": PAYGOV_TRACKING_ID,
}


class PayGov:
    """One agency's Pay.gov, over any transport.

    Every method raises only the leaves of :class:`~bursar.paygov.errors.PayGovError`.
    """

    def __init__(self, config: PayGovConfig, transport: Transport) -> None:
        self._config = config
        self._transport = transport
        self._lookups = config.available_lookups
        separator = "&" if urlsplit(config.payment_url).query else "?"
        self._redirect_start = f"{config.payment_url}{separator}token="
        self._headers = {"Content-Type": CONTENT_TYPE, "SOAPAction": '""'}
        if config.bearer is not None:
            self._headers[BEARER_HEADER] = f"Bearer {config.bearer}"

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        """The lookups by agency tracking id to ask, in the order of the configuration."""
        return self._lookups

    @property
    def can_rule_out(self) -> bool:
        """Whether a lookup is configured whose answer "Pay.gov has none" is accepted as true."""
        return any(lookup.confirmed for lookup in self._lookups)

    async def start(
        self,
        *,
        tcs_app_id: str,
        agency_tracking_id: str,
        amount: Decimal,
        url_success: str,
        url_cancel: str,
        classification: Sequence[tuple[str, Decimal]] = (),
    ) -> str:
        """Start a collection and return its token: 32 characters, valid for 3 hours. This charges no payer.

        ``amount`` is in dollars, above 0, with at most two decimals. ``classification`` is its split over the
        Treasury's accounts, as (classification id, amount). Raises ArgumentRefused before sending.
        """
        values = {
            "tcs_app_id": _checked("tcs_app_id", tcs_app_id),
            "agency_tracking_id": _checked("agency_tracking_id", agency_tracking_id),
            "transaction_type": TRANSACTION_TYPE,
            "transaction_amount": wire_amount(amount),
            "language": LANGUAGE,
            "url_success": _checked_url("url_success", url_success),
            "url_cancel": _checked_url("url_cancel", url_cancel),
        }
        if not classification:
            return read_token(await self._call(START, values))
        if sum(part for _, part in classification) != amount:
            raise ArgumentRefused(f"classification: must add up to the amount, {amount}")
        parts = [(_checked(CLASSIFICATION_ID, name), wire_amount(part)) for name, part in classification]
        values[CLASSIFICATION] = classification_xml(parts)
        return read_token(await self._call(START_CLASSIFIED, values))

    async def complete(self, *, tcs_app_id: str, token: str) -> Collection:
        """Complete the collection that the payer has paid on the hosted pages: **this charges the payer**.

        The returned collection has at least a paygov_tracking_id and a transaction_status. The caller must compare
        its agency_tracking_id and amount with the attempt's: only the caller knows them.
        """
        values = {"tcs_app_id": _checked("tcs_app_id", tcs_app_id), "token": _checked("token", token)}
        return read_completion(await self._call(COMPLETE_WITH_DETAILS, values))

    async def details(self, *, tcs_app_id: str, paygov_tracking_id: str) -> tuple[Collection, ...]:
        """Return the collections with a Pay.gov tracking id: one or several. Raises Nonsense if there are none."""
        values = {
            "tcs_app_id": _checked("tcs_app_id", tcs_app_id),
            "paygov_tracking_id": _checked("paygov_tracking_id", paygov_tracking_id),
        }
        found = read_collections(await self._call(GET_DETAILS, values))
        if not found:
            raise Nonsense(NO_TRANSACTION)
        return _only_about("paygov_tracking_id", paygov_tracking_id, found)

    async def find(self, lookup: LookupName, *, tcs_app_id: str, agency_tracking_id: str) -> tuple[Collection, ...]:
        """Return the collections with an agency tracking id, by one of the lookups.

        Empty: Pay.gov answers that it has none.

        Whether "none" is accepted as true depends on :attr:`Lookup.confirmed`. A fault is no answer, except for the
        codes in ``protocol.LOOKUP_FAULTS_MEANING_NONE``. Raises QueryUnavailable if no query service is configured.
        """
        values = {
            "tcs_app_id": _checked("tcs_app_id", tcs_app_id),
            "agency_tracking_id": _checked("agency_tracking_id", agency_tracking_id),
        }
        try:
            fields = await self._find(lookup, values)
        except Fault as fault:
            if fault.return_code in LOOKUP_FAULTS_MEANING_NONE:
                return ()
            raise
        return _only_about("agency_tracking_id", agency_tracking_id, read_collections(fields))

    def _find(self, lookup: LookupName, values: Mapping[str, str]) -> Awaitable[Element]:
        if lookup == "details":
            return self._call(GET_DETAILS_BY_AGENCY_ID, values)
        if self._config.query_url is None:
            raise QueryUnavailable("no query service is configured (query_url)")
        return self._call(QUERY, values, query_url=self._config.query_url)

    def payment_redirect(self, *, tcs_app_id: str, token: str) -> str:
        """Return the URL to send the payer to: ``PAYMENT_URL?token=…&tcsAppID=…``."""
        return f"{self._redirect_start}{quote(token, safe='')}&tcsAppID={quote(tcs_app_id, safe='')}"

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.close()

    async def _call(
        self, operation: SoapOperation, values: Mapping[str, str], *, query_url: str | None = None
    ) -> Element:
        """Post a request to the online service, or to the query service at ``query_url``; return the reply's fields."""
        config = self._config
        url, namespace = (config.url, config.namespace) if query_url is None else (query_url, QUERY_NAMESPACE)
        body = build_envelope(operation, namespace, values)
        reply = await self._transport.post(url, body, self._headers, self._config.timeout_s)
        return read_reply(operation, reply.status, reply.headers.get("content-type", ""), reply.body)


def wire_amount(amount: Decimal) -> str:
    """Return ``amount``, in dollars, with exactly two decimals: 60 → ``60.00``. Raises ArgumentRefused."""
    if not isinstance(amount, Decimal) or not amount.is_finite() or not 0 < amount <= AMOUNT_MAX:
        raise ArgumentRefused(f"amount: must be a Decimal above 0 and at most {AMOUNT_MAX}; got {amount!r}")
    cents = amount.quantize(_CENT)
    if cents != amount:
        raise ArgumentRefused(f"amount: must have at most two decimals; got {amount}")
    return f"{cents:f}"


def _checked(name: str, value: str) -> str:
    if not isinstance(value, str) or not _SHAPES[name].fullmatch(value):
        # The message leaves out the value: a token gives access to a payment.
        raise ArgumentRefused(f"{name}: must have Pay.gov's form ({_SHAPES[name].pattern})")
    return value


def _checked_url(name: str, value: str) -> str:
    if len(value) > URL_CHARACTERS_MAX or not _is_http(value):
        raise ArgumentRefused(
            f"{name}: must be an absolute http or https URL of at most {URL_CHARACTERS_MAX} characters"
        )
    return value


@lru_cache(URLS_KEPT_MAX)
def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _only_about(name: str, asked: str, found: tuple[Collection, ...]) -> tuple[Collection, ...]:
    """Return ``found``. Raises Nonsense if one of them has an id other than the request's."""
    if any(getattr(each, name) not in (None, asked) for each in found):
        raise Nonsense(f"transactions of another {name}")
    return found
