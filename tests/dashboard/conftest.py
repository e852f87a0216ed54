"""Fixtures of the dashboard's tests: an office with payments."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from bursar.dashboard.sign_in import accounts
from tests.support.dashboard.office import Office, open_office

PAYMENTS = 120


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords in microseconds, not with 64 MiB of memory."""
    monkeypatch.setattr(accounts, "_hasher", lambda: PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


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
