"""The sandbox refuses bad input. No browser: while one runs in a process, pytest runs no coroutine there."""

from tests.support.dashboard.office import CLIENTS, Office

SANDBOX = "/dashboard/sandbox"


async def test_a_number_of_any_length_is_refused_as_bad_input(office: Office) -> None:
    visitor = office.visitor("operator", portal=office.portal(), sandbox=office.sandbox())
    await visitor.get(f"{SANDBOX}?fee=COPY_FEE")
    fields = {"fee": "COPY_FEE", "amount": "1.00", "metadata.copyRequestId": "CR-1"}
    page = await visitor.post(SANDBOX, {**fields, "metadata.numberOfPages": "9" * 5_000})
    assert page.status == 400
    assert "numberOfPages" in page.text


async def test_the_latest_payments_are_those_of_the_applications_own_client(office: Office) -> None:
    own = await office.initiated("PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    other = await office.initiated("PETITION_FILING_FEE", "60.00", CLIENTS[1], docketNumber="2-26")
    visitor = office.visitor("operator", portal=office.portal(), sandbox=office.sandbox())
    page = await visitor.get(SANDBOX)
    assert own.reference in page.text
    assert other.reference not in page.text
