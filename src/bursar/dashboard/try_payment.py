"""The page "Try a payment": a small application in front of the portal, for a developer's own machine.

    GET  /                    choose a fee, say what it is for
    POST /try                 init, then on to Pay.gov (the simulator)
    GET  /try/{ref}/return    back from Pay.gov: process, then on to …
    GET  /try/{ref}           status, history, and the report that already counts this payment

It calls the portal's use cases as an application would call them over HTTP. It keeps no state: reference and token are
read from the record. It works without scripts.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from bursar.clock import iso_ms
from bursar.payments.clients import Client
from bursar.payments.fees import Fee
from bursar.payments.records import Attempt, Event
from bursar.payments.status import payment_status
from bursar.portal.contract.error_catalogue import REFERENCE_NOT_FOUND
from bursar.portal.contract.errors import NotFound, PortalError, portal_error
from bursar.portal.contract.validation import read_init, read_reference
from bursar.portal.contract.views import payment_method_label
from bursar.portal.use_cases.init_payment import init_payment
from bursar.portal.use_cases.payment_details import details
from bursar.portal.use_cases.portal import Portal
from bursar.portal.use_cases.process_payment import process_payment
from bursar.reports.port import PaymentReports

REFRESH_S: Final = 2
LATEST_ROWS: Final = 8
FORM_BYTES_MAX: Final = 16 * 1024
REPORT: Final = "fees_by_month"

_HERE: Final = Path(__file__).parent
_EXPLANATIONS: Final[Mapping[str, str]] = {
    "success": "Pay.gov has the money. This obligation can never be charged again.",
    "failed": "Nothing was charged. A new attempt may pay the obligation.",
    "pending": "The payment is under way. This page reloads by itself.",
}
_WAITING: Final = "Pay.gov's pages are open for this payment: pay, or cancel. This page reloads by itself."
_CANCELLED: Final = "You came back without paying. Pay.gov keeps its pages open for three hours."
_LATEST: Final = f"""
    SELECT reference, fee, amount, status, created_at
    FROM payments ORDER BY created_at DESC, agency_tracking_id LIMIT {LATEST_ROWS}
"""
_SHORT_EXAMPLES: Final[Mapping[str, str]] = {
    "docketNumber": "123-26",
    "email": "ada@example.com",
    "fullName": "Ada Lovelace",
    "accessCode": "ABC-123",
    "copyRequestId": "CR-1001",
    "numberOfPages": "25",
}


@dataclass(frozen=True, kw_only=True)
class TryPayment:
    """The parts of the pages. The pages act as the application ``client``; a payer can reach both URLs."""

    portal: Portal
    reports: PaymentReports
    client: Client
    portal_url: str
    payment_url: str


def pages(parts: TryPayment) -> list[Route]:
    """Return the routes of the pages and their style sheet."""
    views = _Views(parts)
    return [
        Route("/", views.choose, methods=["GET"]),
        Route("/try", views.begin, methods=["POST"]),
        Route("/try/{reference}/return", views.come_back, methods=["GET"]),
        Route("/try/{reference}/cancelled", views.show_cancelled, methods=["GET"]),
        Route("/try/{reference}", views.show, methods=["GET"]),
        Route("/static/bursar.css", _style_sheet, methods=["GET"]),
    ]


async def _style_sheet(request: Request) -> Response:
    return FileResponse(_HERE / "static" / "bursar.css", media_type="text/css")


class _Views:
    def __init__(self, parts: TryPayment) -> None:
        self._parts = parts
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
        )

    async def choose(self, request: Request) -> Response:
        return await self._form(request.query_params.get("fee", ""), {}, None)

    async def begin(self, request: Request) -> Response:
        sent = await _sent_form(request)
        reference = str(uuid.UUID(int=self._parts.portal.randomness.getrandbits(128), version=4))
        try:
            wanted = self._init_body(sent, reference)
            portal = self._parts.portal
            init = read_init(orjson.dumps(wanted), portal.fees, portal.clock())
            started = await init_payment(portal, self._parts.client, init)
        except Exception as error:  # the portal's table of errors has an entry for every exception of a lower room
            return await self._form(sent.get("fee", ""), sent, portal_error(error))
        return RedirectResponse(started.payment_redirect, status_code=303)

    async def come_back(self, request: Request) -> Response:
        attempt = await self._latest_attempt(request)
        if attempt is None:
            return await self._unknown()
        address = f"/try/{attempt.reference}"
        if attempt.token is not None:
            try:
                await process_payment(self._parts.portal, self._parts.client, attempt.token)
            except PortalError as error:
                return RedirectResponse(f"{address}?problem={error.status}", status_code=303)
        return RedirectResponse(address, status_code=303)

    async def show(self, request: Request) -> Response:
        return await self._payment(request, cancelled=False)

    async def show_cancelled(self, request: Request) -> Response:
        return await self._payment(request, cancelled=True)

    async def _payment(self, request: Request, *, cancelled: bool) -> Response:
        reference = read_reference(request.path_params["reference"])
        if reference is None:
            return await self._unknown()
        portal, client = self._parts.portal, self._parts.client
        try:
            payment = await details(portal, client, reference)
        except PortalError as error:
            return await self._form("", {}, error)
        view = await portal.ledger.obligation(client.name, reference)
        if view is None:
            return await self._unknown()
        latest = view.attempts[-1]
        status = payment_status(attempt.status for attempt in view.attempts)
        waiting = latest.status == "initiated"
        resume = portal.paygov.payment_redirect(tcs_app_id=latest.tcs_app_id, token=latest.token or "")
        problem = request.query_params.get("problem", "")
        return self._page(
            "payment.html",
            status=status,
            explanation=_CANCELLED if cancelled and waiting else _WAITING if waiting else _EXPLANATIONS[status],
            stale=payment.stale,
            problem=f"The last call to process was answered with {problem}. The history has the reason."
            if problem.isdecimal()
            else "",
            refresh_s=REFRESH_S if status == "pending" else None,
            attempts=[_attempt(attempt, portal.fees.name(attempt.fee)) for attempt in view.attempts],
            events=[_event(event) for event in view.events],
            resume=resume if waiting else None,
            retry=latest.fee if status == "failed" else None,
            report=await self._report(),
        )

    async def _form(self, fee_key: str, values: Mapping[str, str], refusal: PortalError | None) -> Response:
        portal = self._parts.portal
        known = (portal.fees.fee(key, portal.clock()) for key in portal.fees.keys)
        fees = [fee for fee in known if fee is not None]
        fee = next((each for each in fees if each.key == fee_key), fees[-1])
        latest = await self._parts.reports.sql(_LATEST)
        return self._page(
            "try.html",
            status_code=refusal.status if refusal else 200,
            message=refusal.message if refusal else "",
            problems=_problems(refusal) if refusal else [],
            fees=fees,
            fee=fee,
            metadata_fields=_metadata_fields(fee),
            values=values,
            latest=[_latest(row) for row in latest.rows],
            curl=self._curl(fee),
        )

    async def _latest_attempt(self, request: Request) -> Attempt | None:
        reference = read_reference(request.path_params["reference"])
        if reference is None:
            return None
        view = await self._parts.portal.ledger.obligation(self._parts.client.name, reference)
        return view.attempts[-1] if view is not None else None

    async def _unknown(self) -> Response:
        return await self._form("", {}, NotFound(REFERENCE_NOT_FOUND.saying("There is no such payment")))

    async def _report(self) -> dict[str, Any]:
        answer = await self._parts.reports.report(REPORT)
        return {"columns": answer.columns, "rows": answer.rows, "as_of": iso_ms(answer.as_of)}

    def _init_body(self, sent: Mapping[str, str], reference: str) -> dict[str, Any]:
        portal = self._parts.portal
        fee = portal.fees.fee(sent.get("fee", ""), portal.clock())
        back = f"{self._parts.portal_url}/try/{reference}"
        body: dict[str, Any] = {
            "transactionReferenceId": reference,
            "fee": sent.get("fee", ""),
            "urlSuccess": f"{back}/return",
            "urlCancel": f"{back}/cancelled",
            "metadata": {},
        }
        if fee is None:
            return body
        for field in _metadata_fields(fee):
            text = sent.get(f"metadata.{field['name']}", "").strip()
            if text:
                whole = field["type"] == "integer" and text.isdecimal()
                body["metadata"][field["name"]] = int(text) if whole else text
        if fee.variable and sent.get("amount", "").strip():
            body["amount"] = orjson.Fragment(_json_number(sent["amount"].strip()))
        return body

    def _curl(self, fee: Fee) -> str:
        base = self._parts.portal_url
        body: dict[str, Any] = {
            "transactionReferenceId": "$REF",
            "fee": fee.key,
            "urlSuccess": f"{base}/",
            "urlCancel": f"{base}/",
            "metadata": {
                each["name"]: int(each["example"]) if each["type"] == "integer" else each["example"]
                for each in _metadata_fields(fee)
            },
        }
        if fee.variable:
            body["amount"] = 12.5
        text = orjson.dumps(body, option=orjson.OPT_INDENT_2).decode().replace('"$REF"', "\"'$REF'\"")
        return (
            "REF=$(python3 -c 'import uuid; print(uuid.uuid4())')\n"
            f"curl {base}/init -H 'content-type: application/json' \\\n  -d '{text}'\n"
            "TOKEN=…   # the token that init answered\n"
            f"curl -X POST '{self._parts.payment_url}/PLASTIC_CARD/Success?token='$TOKEN\n"
            f"curl {base}/process -H 'content-type: application/json' -d '{{\"token\": \"'$TOKEN'\"}}'\n"
            f"curl {base}/details/$REF"
        )

    def _page(self, template: str, *, status_code: int = 200, **context: Any) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(template).render(context), status_code)


async def _sent_form(request: Request) -> dict[str, str]:
    """Return the fields of a form. A form that is too large has no fields, so the portal's validation refuses it."""
    sent = b""
    async for chunk in request.stream():
        sent += chunk
        if len(sent) > FORM_BYTES_MAX:
            return {}
    return dict(parse_qsl(sent.decode("utf-8", "replace")))


def _json_number(text: str) -> str:
    # The portal parses money from its digits. A text that is not a number is passed on as text and refused there.
    try:
        return str(Decimal(text)) if Decimal(text).is_finite() else orjson.dumps(text).decode()
    except ArithmeticError:
        return orjson.dumps(text).decode()


def _metadata_fields(fee: Fee) -> list[dict[str, Any]]:
    required = fee.metadata_schema.get("required", [])
    return [
        {
            "name": name,
            "title": schema.get("title", name),
            "type": schema.get("type"),
            "required": name in required,
            "example": _SHORT_EXAMPLES.get(name, "1" if schema.get("type") == "integer" else "example"),
        }
        for name, schema in fee.metadata_schema.get("properties", {}).items()
    ]


def _problems(refusal: PortalError) -> list[str]:
    return [f"{'.'.join(str(step) for step in each['path'])} {each['message']}" for each in refusal.errors]


def _attempt(attempt: Attempt, fee_name: str) -> dict[str, Any]:
    return {
        "agency_tracking_id": attempt.agency_tracking_id,
        "status": attempt.status,
        "fee": fee_name,
        "amount": f"{attempt.amount:,.2f}",
        "method": payment_method_label(attempt.payment_method),
        "paygov_tracking_id": attempt.paygov_tracking_id,
        "transaction_status": attempt.transaction_status,
        "return_code": attempt.return_code,
        "return_detail": attempt.return_detail,
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "at": _short_time(iso_ms(event.at)),
        "name": event.name.replace("_", " "),
        "actor": event.actor,
        "from_status": event.from_status,
        "to_status": event.to_status,
    }


def _latest(row: tuple[Any, ...]) -> dict[str, Any]:
    reference, fee, amount, status, created_at = row
    return {
        "reference": reference,
        "fee": fee,
        "amount": f"{amount:,.2f}",
        "status": status,
        "created_at": f"{created_at:%Y-%m-%d %H:%M:%S}",
    }


def _short_time(iso: str) -> str:
    return iso[:23].replace("T", " ")
