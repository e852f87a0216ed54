"""The page "Sandbox" of `bursar up`: a small application in front of the portal, for a developer's own machine.

    GET  /sandbox                        choose a fee, fill in its details
    POST /sandbox                        init, then on to Pay.gov (the simulator)
    GET  /sandbox/{reference}/return     back from Pay.gov: process, then on to …
    GET  /sandbox/{reference}            the payment, until it is final

It calls the portal's use cases as an application would call them over HTTP. It keeps no state: reference and token are
read from the record. It works without scripts.
"""

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import orjson
from starlette.responses import RedirectResponse, Response

from bursar.dashboard.parts import SandboxParts
from bursar.dashboard.visit import PageError, Visit, whole_number
from bursar.payments.catalogue.fees import Fee
from bursar.payments.obligation_view import ObligationView
from bursar.payments.status import payment_status
from bursar.portal.contract.errors import PortalError, portal_error
from bursar.portal.contract.validation import read_init, read_reference
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.init_payment import init_payment
from bursar.portal.use_cases.payment_details import details
from bursar.portal.use_cases.process_payment import process_payment

REFRESH_S: Final = 2
LATEST_ROWS: Final = 8
_LATEST: Final = f"""
    SELECT reference, fee, amount, status, outcome_unknown, created_at
    FROM payments WHERE client = $client ORDER BY created_at DESC, agency_tracking_id LIMIT {LATEST_ROWS}
"""
_SHORT_EXAMPLES: Final[Mapping[str, str]] = {
    "docketNumber": "123-26",
    "email": "ada@example.com",
    "fullName": "Ada Lovelace",
    "accessCode": "ABC-123",
    "copyRequestId": "CR-1001",
    "numberOfPages": "25",
}


async def show_sandbox(visit: Visit) -> Response:
    """Show the fees and the form of the chosen one."""
    return await _form(visit, visit.request.query_params.get("fee", ""), {}, None)


async def begin_payment(visit: Visit) -> Response:
    """Start a payment and redirect the browser to Pay.gov's pages; show the form again if it is refused."""
    portal, sandbox = _parts(visit)
    reference = str(uuid.UUID(int=portal.randomness.getrandbits(128), version=4))
    try:
        body = orjson.dumps(_init_body(portal, sandbox, visit, reference))
        started = await init_payment(portal, sandbox.client, read_init(body, portal.fees, portal.clock()))
    except Exception as error:  # the portal's table of errors has an entry for every exception of a lower room
        return await _form(visit, visit.field("fee"), visit.form, portal_error(error))
    return RedirectResponse(started.payment_redirect, 303, {"cache-control": "no-store"})


async def come_back(visit: Visit) -> Response:
    """Complete the payment from which the payer comes back, and redirect to its page."""
    portal, sandbox = _parts(visit)
    view = await _payment(visit)
    latest, problem = view.attempts[-1], ""
    if latest.token is not None:
        try:
            await process_payment(portal, sandbox.client, latest.token)
        except PortalError as error:
            problem = f"{error.status}: {error.message}"
    query = [("problem", problem)] if problem else []
    return visit.redirect(visit.path("sandbox_payment", query, reference=latest.reference))


async def show_payment(visit: Visit) -> Response:
    """Show the payment; the page reloads by itself until the payment is final."""
    return await _show(visit, cancelled=False)


async def show_cancelled(visit: Visit) -> Response:
    """Show the payment that the payer left without paying."""
    return await _show(visit, cancelled=True)


async def _show(visit: Visit, *, cancelled: bool) -> Response:
    portal, sandbox = _parts(visit)
    await _payment(visit)
    paid = await details(portal, sandbox.client, visit.request.path_params["reference"])
    view = await _payment(visit)
    latest = view.attempts[-1]
    status = payment_status(attempt.status for attempt in view.attempts)
    waits = latest.status == "initiated"
    explanation = "cancelled" if cancelled and waits else "waits" if waits else status
    return visit.page(
        "sandbox_payment.html",
        view=view,
        latest=latest,
        status=status,
        explanation=explanation,
        stale=paid.stale,
        problem=visit.request.query_params.get("problem", "")[:300],
        refresh_s=REFRESH_S if status == "pending" else None,
        resume=portal.paygov.payment_redirect(tcs_app_id=latest.tcs_app_id, token=latest.token or "")
        if waits
        else None,
        retry=latest.fee if status == "failed" else None,
        section="sandbox",
    )


async def _form(visit: Visit, fee_key: str, values: Mapping[str, str], refusal: PortalError | None) -> Response:
    portal, sandbox = _parts(visit)
    known = (portal.fees.fee(key, portal.clock()) for key in portal.fees.keys)
    fees = [fee for fee in known if fee is not None]
    fee = next((each for each in fees if each.key == fee_key), fees[-1])
    latest = await visit.parts.reports.sql(_LATEST, {"client": sandbox.client.name})
    return visit.page(
        "sandbox.html",
        http_status=refusal.status if refusal else 200,
        refusal=refusal.message if refusal else "",
        problems=_problems(refusal) if refusal else [],
        fees=fees,
        fee=fee,
        metadata_fields=_metadata_fields(fee),
        values=values,
        latest=latest.dicts(),
        curl=_curl(sandbox, fee),
        section="sandbox",
    )


def _parts(visit: Visit) -> tuple[Portal, SandboxParts]:
    portal, sandbox = visit.parts.portal, visit.parts.sandbox
    assert portal is not None, "the route needs a portal"
    assert sandbox is not None, "the route needs a sandbox"
    return portal, sandbox


async def _payment(visit: Visit) -> ObligationView:
    portal, sandbox = _parts(visit)
    reference = read_reference(visit.request.path_params["reference"])
    view = None if reference is None else await portal.ledger.obligation(sandbox.client.name, reference)
    if view is None:
        raise PageError(404, "errors.no_payment")
    return view


def _init_body(portal: Portal, sandbox: SandboxParts, visit: Visit, reference: str) -> dict[str, Any]:
    fee = portal.fees.fee(visit.field("fee"), portal.clock())
    body: dict[str, Any] = {
        "transactionReferenceId": reference,
        "fee": visit.field("fee"),
        "urlSuccess": f"{sandbox.portal_url}{visit.path('sandbox_return', reference=reference)}",
        "urlCancel": f"{sandbox.portal_url}{visit.path('sandbox_cancelled', reference=reference)}",
        "metadata": {},
    }
    if fee is None:
        return body
    for field in _metadata_fields(fee):
        text = visit.field(f"metadata.{field['name']}")
        if text:
            whole = whole_number(text) if field["type"] == "integer" else None
            body["metadata"][field["name"]] = text if whole is None else whole
    if fee.variable and visit.field("amount"):
        body["amount"] = orjson.Fragment(_json_number(visit.field("amount")))
    return body


def _curl(sandbox: SandboxParts, fee: Fee) -> str:
    base = sandbox.portal_url
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
        f"curl -X POST '{sandbox.payment_url}/PLASTIC_CARD/Success?token='$TOKEN\n"
        f"curl {base}/process -H 'content-type: application/json' -d '{{\"token\": \"'$TOKEN'\"}}'\n"
        f"curl {base}/details/$REF"
    )


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
