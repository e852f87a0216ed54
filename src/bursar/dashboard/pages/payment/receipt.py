"""The receipt of a payment, as a page to print and as PDF, with a code that leads back to the payment.

It has no personal data. Equal payments give equal documents: the time of the document is that of the last change.
"""

import asyncio
import io
import logging
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from bursar.dashboard.exports.downloads import download_headers
from bursar.dashboard.formatting import dollars, zoned_time_text
from bursar.dashboard.pages.payment.page import PaymentOnPage, read_payment
from bursar.dashboard.visit import PageError, Visit
from bursar.web.pages.harmless_text import harmless

CODE_SCALE: Final = 4
PDF_MARGIN_MM: Final = 20
PDF_LABEL_MM: Final = 60
PDF_CODE_MM: Final = 38
_FONT: Final = "DejaVu"


async def show_receipt(visit: Visit) -> Response:
    """Show the receipt."""
    payment = await _paid(visit)
    await visit.log("viewed", visit.request.url.path)
    url = payment_url(visit, payment)
    return visit.page(
        "receipt.html",
        payment=payment,
        lines=_lines(visit, payment),
        code=Markup(await asyncio.to_thread(_code_svg, url)),  # segno draws it from the URL only
        url=url,
        names={"client": payment.client, "reference": payment.reference},
        section="transactions",
    )


async def send_receipt_pdf(visit: Visit) -> Response:
    """Send the receipt as PDF."""
    payment = await _paid(visit)
    await visit.log("exported", visit.path("payment", client=payment.client, reference=payment.reference), form="pdf")
    content = await asyncio.to_thread(_pdf, visit, payment)
    headers = download_headers(f"receipt-{payment.reference}.pdf")
    return Response(content, headers=headers, media_type="application/pdf")


def payment_url(visit: Visit, payment: PaymentOnPage) -> str:
    """Return the whole address of the payment's page."""
    return visit.own_origin + visit.path("payment", client=payment.client, reference=payment.reference)


async def _paid(visit: Visit) -> PaymentOnPage:
    """Return the payment of the URL. Raises :class:`PageError` unless it was collected."""
    payment = await read_payment(visit)
    if not payment.collected:
        raise PageError(404, "errors.no_receipt")
    return payment


def _lines(visit: Visit, payment: PaymentOnPage) -> list[tuple[str, str]]:
    """Return the lines of a receipt: label and value."""
    text = visit.text
    paid = next(each for each in reversed(payment.view.attempts) if each.status == "processed")
    found = [
        (text("columns.fee"), visit.parts.fees.name(paid.fee)),
        (text("columns.client"), payment.client),
        (text("columns.reference"), payment.reference),
        (text("event_facts.paygov_tracking_id"), paid.paygov_tracking_id or ""),
        (text("columns.method"), text.label("methods", paid.payment_method or "")),
        (text("receipt.paid"), zoned_time_text(text, paid.settled_at or paid.updated_at)),
        (text("columns.amount"), dollars(payment.collected)),
    ]
    if payment.reversed:
        found += [(text("payment.reversed"), dollars(-payment.reversed)), (text("payment.net"), dollars(payment.net))]
    return [(label, harmless(value)) for label, value in found if value]


def _code_svg(url: str) -> str:
    import segno

    return segno.make(url, error="m").svg_inline(scale=CODE_SCALE, light="#fff")


def _pdf(visit: Visit, payment: PaymentOnPage) -> bytes:
    import segno
    from fpdf import FPDF

    from bursar.reports.output.pdf import fonts_folder

    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it logs every glyph at INFO
    text, url = visit.text, payment_url(visit, payment)
    document = FPDF(format="Letter")
    document.set_margin(PDF_MARGIN_MM)
    document.set_title(text("receipt.title"))
    document.set_lang(text.language)
    document.set_creation_date(datetime.fromtimestamp(payment.latest.updated_at, UTC))
    for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
        document.add_font(_FONT, style, fonts_folder() / name)
    document.add_page()
    document.set_font(_FONT, "B", 18)
    document.cell(0, 12, text("receipt.title"), new_x="LMARGIN", new_y="NEXT")
    document.ln(4)
    for label, value in _lines(visit, payment):
        document.set_font(_FONT, "", 10)
        document.cell(PDF_LABEL_MM, 8, label)
        document.set_font(_FONT, "B", 10)
        document.multi_cell(0, 8, value, align="L", new_x="LMARGIN", new_y="NEXT")
    document.ln(6)
    picture = io.BytesIO()
    segno.make(url, error="m").save(picture, kind="png", scale=8)
    document.image(picture, w=PDF_CODE_MM, alt_text=url)
    document.set_font(_FONT, "", 8)
    document.multi_cell(0, 5, f"{text('receipt.code')} {url}", align="L", new_x="LMARGIN", new_y="NEXT")
    return bytes(document.output())
