"""What the tests of the payments room share: one attempt as a start leaves it."""

from decimal import Decimal

import pytest

from bursar.clock import from_iso_ms
from bursar.payments.records import Attempt


@pytest.fixture
def attempt() -> Attempt:
    started = from_iso_ms("2026-11-22T19:30:00.125Z")
    return Attempt(
        agency_tracking_id="b0000000000000000001",
        client="dawson",
        reference="0b5c6f6e-0000-4000-8000-000000000001",
        fee="PETITION_FILING_FEE",
        fee_version="2020-01-01",
        tcs_app_id="TCSUSTAXCOURTPETITION",
        amount=Decimal("60.00"),
        metadata={"docketNumber": "123-26"},
        url_success="https://app.example/success",
        url_cancel="https://app.example/cancel",
        created_at=started,
        updated_at=started,
        status="received",
        event_seq=1,
    )
