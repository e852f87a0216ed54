"""Fixtures of the dashboard's tests: an office with payments."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.dashboard.office import Office, open_office

PAYMENTS = 120


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Open an office without payments."""
    async with open_office(tmp_path) as opened:
        yield opened


@pytest.fixture
async def busy_office(office: Office) -> Office:
    """Return an office with some months of payments."""
    await office.fill(PAYMENTS)
    return office
