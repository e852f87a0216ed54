"""Fixtures for the tests of the commands: a function that runs one, and an attempt with an unknown outcome."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.portal.commands import REFERENCE, portal_on
from tests.support.write_paths import WritePath


@pytest.fixture
def run(write_path: WritePath, tmp_path: Path) -> Callable[..., Result]:
    def typed(command: Any, *arguments: str, ahead_s: float = 0.0) -> Result:
        factories = dict.fromkeys(("portal", "record"), lambda: portal_on(write_path, tmp_path / "portal.db", ahead_s))
        return CliRunner().invoke(command, list(arguments), obj=factories)

    return typed


@pytest.fixture
def unknown(write_path: WritePath, tmp_path: Path) -> str:
    """Return an attempt with an unknown outcome, in the file."""

    async def prepare() -> str:
        async with portal_on(write_path, tmp_path / "portal.db", 0.0) as portal:
            fee = portal.fees.fee("PETITION_FILING_FEE", portal.clock())
            assert fee is not None
            assert fee.amount is not None
            urls = ("https://client.example/a", "https://client.example/b")
            attempt = await portal.ledger.start_attempt(
                "dawson", REFERENCE, fee, fee.amount, {"docketNumber": "1"}, *urls
            )
            attempt = await portal.ledger.record_token(attempt, "0" * 32)
            attempt = await portal.ledger.take_lease(attempt, "owner", 90.0)
            await portal.ledger.record_unknown(attempt, "no whole answer from Pay.gov in time")
            return attempt.agency_tracking_id

    return asyncio.run(prepare())
