"""A demo has cases that wait for a person, and they stay open when its sweeper asks the simulator."""

import asyncio
import random
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.generate import demo_history
from bursar.bootstrap.generate.demo_history import fill_for_demo
from bursar.bootstrap.up import BOOKS_FILE
from bursar.cli import bursar
from bursar.paygov import PayGov, PayGovConfig
from bursar.paygov.protocol import ONLINE_PATH, QUERY_PATH
from bursar.paygov.simulator import Books, Simulator, SimulatorTransport
from bursar.portal.state.portal import Portal, PortalSettings
from bursar.portal.upkeep.attention import attention
from bursar.portal.use_cases.resolution import ask_paygov
from bursar.settings import Settings

URL = "http://paygov.example"


async def open_cases(settings: Settings) -> list[tuple[str, bool, str]]:
    """Return the attempts that need a person, after Pay.gov was asked about them, and the open refunds."""
    books = Books(Path(settings.data) / BOOKS_FILE)
    simulator = Simulator(time.time, random.Random(1), books)
    config = PayGovConfig(url=f"{URL}{ONLINE_PATH}", query_url=f"{URL}{QUERY_PATH}", payment_url=f"{URL}/pay")
    async with Composition(settings, creates_store=False) as parts:
        ledger = await parts.ledger()
        portal = Portal(
            ledger, PayGov(config, SimulatorTransport(simulator)), parts.fees, parts.clients, PortalSettings(),
            clock=time.time, randomness=random.Random(2),
        )  # fmt: skip
        for each in await attention(portal):
            if not each.contradicted:
                result = await ask_paygov(portal, each.attempt, actor="sweeper", may_complete=True)
                assert result.attempt.unknown_reason == each.attempt.unknown_reason
        found: list[tuple[str, bool, str]] = [
            (each.attempt.status, each.contradicted, each.reason) for each in await attention(portal)
        ]
        found += [("refund", False, each.status) for each in await ledger.open_refunds(10)]
    books.close()
    return found


def test_a_demo_has_cases_that_wait_for_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_history, "DEMO_PAYMENTS", 40)
    monkeypatch.setattr(demo_history, "DEMO_MONTHS", 1)
    settings = Settings(data=str(tmp_path / "data"), development_client=True)
    fill_for_demo(settings, lambda _: None)
    unknown, contradicted, refund = asyncio.run(open_cases(settings))
    assert unknown == ("processing", False, "Pay.gov's answer is about another amount: 50.00 instead of 60.00")
    assert contradicted[:2] == ("processed", True)
    assert contradicted[2].startswith("Pay.gov says failed as P")
    assert refund == ("refund", False, "open")
    monkeypatch.setenv("BURSAR_DATA", settings.data)
    for arguments in (["audit"], ["audit", "--chain"]):
        result = CliRunner().invoke(bursar, arguments)
        assert (result.exit_code, "0 findings" in result.output) == (0, True), result.output
