"""The hosted payment pages for a payer's browser: without JavaScript and other files."""

import functools
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from bursar.paygov.protocol import PAY_PATH, TOKEN_FIELD
from bursar.paygov.simulator.answers import EASTERN
from bursar.paygov.simulator.books import FAILED, SUCCESS
from bursar.paygov.simulator.core import PayerRefused, Simulator

if TYPE_CHECKING:
    import jinja2

FORM_BYTES_MAX = 4_096

PAYMENT_TYPES: Final = (
    ("PLASTIC_CARD", "Debit or credit card", "The outcome is known at once."),
    ("ACH", "Bank account (ACH)", "Received first; settles, or is returned, a little later."),
    ("PAYPAL", "PayPal", "The outcome is known at once."),
)
OUTCOMES: Final = (
    (SUCCESS, "It succeeds", "The payer is charged when the collection is completed."),
    (FAILED, "It is declined", "The completed collection is Failed; the payer is not charged."),
)
HEADINGS: Final = {400: "That cannot be paid", 404: "No such payment", 409: "Already paid", 410: "Too late"}

SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class HostedPages:
    """The endpoints under /pay of one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def show(self, request: Request) -> Response:
        """Answer ``GET /pay?token=…&tcsAppID=…`` with the payment page, or with a page that explains the refusal."""
        try:
            entry = self._simulator.payable(request.query_params.get(TOKEN_FIELD, ""))
        except PayerRefused as refused:
            return self._refusal_page(refused, request.query_params.get(TOKEN_FIELD, ""))
        until = datetime.fromtimestamp(entry.started_at + self._simulator.settings.token_life_s, EASTERN)
        return page(
            "pay.html",
            action=PAY_PATH,
            token=entry.token,
            amount=f"{entry.amount:,.2f}",
            tcs_app_id=entry.tcs_app_id,
            agency_tracking_id=entry.agency_tracking_id,
            payment_types=PAYMENT_TYPES,
            outcomes=OUTCOMES,
            good_until=f"{until:%-I:%M %p} {until.tzname()}",
        )

    async def submit(self, request: Request) -> Response:
        """Answer ``POST /pay``, the form of the page: pay or cancel, and send the payer back."""
        body = await bounded_body(request, FORM_BYTES_MAX)
        form = {name: values[0] for name, values in parse_qs((body or b"").decode("utf-8", "replace")).items()}
        token = form.get(TOKEN_FIELD, "")
        try:
            if form.get("action") == "cancel":
                return _send_to(self._simulator.cancel(token))
            return _send_to(self._simulator.pay(token, form.get("payment_type", ""), form.get("outcome", "")))
        except PayerRefused as refused:
            return self._refusal_page(refused, token)

    async def pay_by_script(self, request: Request) -> Response:
        """Answer ``POST /pay/{payment_type}/{outcome}?token=…`` with ``{"redirectUrl": …}``."""
        try:
            url = self._simulator.pay(
                request.query_params.get(TOKEN_FIELD, ""),
                request.path_params["payment_type"],
                request.path_params["outcome"],
            )
        except PayerRefused as refused:
            return refusal(refused.http_status, str(refused))
        return JSONResponse({"redirectUrl": url})

    async def cancel_by_script(self, request: Request) -> Response:
        """Answer ``POST /pay/cancel?token=…`` with ``{"redirectUrl": …}``."""
        try:
            url = self._simulator.cancel(request.query_params.get(TOKEN_FIELD, ""))
        except PayerRefused as refused:
            return refusal(refused.http_status, str(refused))
        return JSONResponse({"redirectUrl": url})

    def _refusal_page(self, refused: PayerRefused, token: str) -> Response:
        entry = self._simulator.books.entry(token)
        paid = entry is not None and entry.paid_at is not None
        back = None if entry is None else entry.url_success if paid else entry.url_cancel
        return page(
            "notice.html",
            status=refused.http_status,
            heading=HEADINGS[refused.http_status],
            sentence=str(refused),
            back=back,
            lines=(),
        )


def page(name: str, *, status: int = HTTPStatus.OK, **values: object) -> HTMLResponse:
    """Return a template of pages/, rendered, with headers that forbid framing, caching and referrers."""
    return HTMLResponse(_templates().get_template(name).render(**values), status, SECURITY_HEADERS)


def refusal(status: int, message: str, errors: Sequence[object] = ()) -> JSONResponse:
    """Return an error in the JSON shape that all of Bursar uses."""
    return JSONResponse({"message": message, "errors": list(errors)}, status)


async def bounded_body(request: Request, bytes_max: int) -> bytes | None:
    """Return the body of ``request``; None if it is larger than ``bytes_max``."""
    whole = bytearray()
    async for piece in request.stream():
        whole += piece
        if len(whole) > bytes_max:
            return None
    return bytes(whole)


def _send_to(url: str) -> Response:
    # 303: the browser follows with a GET, although it posted here.
    return RedirectResponse(url, HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"})


@functools.cache
def _templates() -> "jinja2.Environment":
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
