"""The receipt: what was paid, no personal data, and a code that leads back to the payment."""

import io

import pytest
import segno
from pypdf import PdfReader

from bursar.dashboard.pages.payment.receipt import CODE_SCALE
from bursar.payments import Attempt, Outcome
from bursar.payments.reversals import ReversalReport
from tests.support.dashboard.office import HOST, Office

PAID = Outcome("processed", "3FPAID00001", "Success", "PLASTIC_CARD")


@pytest.fixture
async def paid(office: Office) -> Attempt:
    return await office.completed(PAID, "PETITION_FILING_FEE", "60.00", docketNumber="SECRET-26")


def path(attempt: Attempt) -> str:
    return f"/dashboard/payments/{attempt.client}/{attempt.reference}/receipt"


async def test_the_page_and_the_pdf_say_the_same_without_personal_data(office: Office, paid: Attempt) -> None:
    browser = office.visitor("viewer")
    page, document = await browser.get(path(paid)), await browser.get(f"{path(paid)}.pdf")
    text = PdfReader(io.BytesIO(document.body)).pages[0].extract_text()
    for expected in (paid.reference, "3FPAID00001", "$60.00", "Petition filing fee", "Eastern time"):
        assert expected in page.text
        assert expected in text.replace("\n", " ")
    assert "SECRET-26" not in page.text + text
    link = f"http://{HOST}/dashboard/payments/{paid.client}/{paid.reference}"
    assert f'href="{link}"' in page.text
    assert link in text.replace("\n", "")
    assert segno.make(link, error="m").svg_inline(scale=CODE_SCALE, light="#fff") in page.text


async def test_equal_payments_give_equal_documents(office: Office, paid: Attempt) -> None:
    browser = office.visitor("viewer")
    assert (await browser.get(f"{path(paid)}.pdf")).body == (await browser.get(f"{path(paid)}.pdf")).body


async def test_money_that_went_back_is_on_the_receipt(office: Office, paid: Attempt) -> None:
    report = ReversalReport("charged_back", paid.amount / 3, "operator", by="ada", reason="disputed")
    await office.ledger.reversals.record(paid, report, actor="operator")
    page = await office.visitor("viewer").get(path(paid))
    assert "($20.00)" in page.text
    assert "$40.00" in page.text


async def test_without_a_collection_there_is_no_receipt(office: Office) -> None:
    attempt = await office.initiated("PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    for target in (path(attempt), f"{path(attempt)}.pdf"):
        assert (await office.visitor("viewer").get(target)).status == 404
