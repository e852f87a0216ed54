"""``bursar move``, run as a user runs it: from a file to a server, and back to a file."""

import asyncio
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.move.commands import move
from bursar.cli import Factories
from bursar.dynamo import AsyncEngine
from bursar.payments.ledger.table import TABLE_NAME
from bursar.portal.webhooks.queue import TABLE_NAME as WEBHOOKS_TABLE
from bursar.portal.webhooks.queue import WebhookQueue
from bursar.settings import Settings
from bursar.startup import CannotStart
from tests.support.dynamo.served import Served

OLD = "file:data/bursar.db"
PAYMENTS = 3


def settings(store: str) -> Settings:
    return Settings(store=store, paygov_url="http://paygov.invalid/", payment_url="http://paygov.invalid/")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(move, arguments, obj=Factories())


async def make_store() -> None:
    async with Composition(settings(OLD)) as parts:
        portal = await parts.portal()
        await WebhookQueue(await parts.store()).create_table()
        fee = portal.fees.fee("PETITION_FILING_FEE", parts.clock())
        assert fee is not None
        assert fee.amount is not None
        for _ in range(PAYMENTS):
            attempt = await portal.ledger.start_attempt(
                "dawson", str(uuid.uuid4()), fee, fee.amount, {"docketNumber": "1-26"}, "https://a/s", "https://a/c"
            )
            await portal.ledger.record_token(attempt, uuid.uuid4().hex)


async def start(store: str) -> int:
    """Start a portal on ``store``; return the number of live attempts that it finds."""
    async with Composition(settings(store)) as parts:
        return len(await (await parts.portal()).ledger.due(4e9, 100))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder without settings from the environment, with a store in it."""
    for name in [name for name in os.environ if name.startswith("BURSAR_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    asyncio.run(make_store())


@pytest.fixture
def server() -> Iterator[str]:
    """Serve an empty DynamoDB; return its store URL."""
    served = Served(":memory:")
    try:
        yield f"dynamodb+http://127.0.0.1:{served.port}"
    finally:
        served.stop()


def test_a_store_moves_to_a_server_and_back_to_a_file(server: str) -> None:
    copied = run("--copy-only", OLD, server)
    assert (copied.exit_code, "has caught up" in copied.stdout) == (0, True), copied.stderr
    with pytest.raises(CannotStart, match="`bursar move` is filling it"):
        asyncio.run(start(server))
    assert asyncio.run(start(OLD)) == PAYMENTS, "the old store is in use until the switch-over"
    moved = run(OLD, server)
    assert moved.exit_code == 0, moved.stderr
    assert f"{server} is open" in moved.stdout
    assert f"  {TABLE_NAME}: " in moved.stdout
    assert f"  {WEBHOOKS_TABLE}: 0 items" in moved.stdout
    with pytest.raises(CannotStart, match="`bursar move` has closed it"):
        asyncio.run(start(OLD))
    assert asyncio.run(start(server)) == PAYMENTS
    assert "The move is done" in run(OLD, server).stdout
    assert "closed by a move to another place" in run(OLD, "file:other/bursar.db").stderr
    assert "move it back instead" in run("--reopen", OLD, server).stderr

    back = run(server, "file:back/bursar.db")
    assert back.exit_code == 0, back.stderr
    assert asyncio.run(start("file:back/bursar.db")) == PAYMENTS
    assert asyncio.run(has_rules("file:back/bursar.db"))


async def has_rules(store: str) -> bool:
    async with Composition(settings(store), creates_store=False) as parts:
        engine = await parts.store()
        assert isinstance(engine, AsyncEngine)
        return engine.engine.rules_document(TABLE_NAME) is not None


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("file:none.db", "file:new.db", "FROM: there is no store at none.db"),
        (OLD, "file:./data/bursar.db", "TO: must be another store than FROM"),
        (OLD, "file::memory:", "must outlive this command"),
        (OLD, "mysql://x", "TO: store URL: must begin with file:"),
    ],
)
def test_a_move_that_cannot_be_says_why(source: str, target: str, why: str) -> None:
    refused = run(source, target)
    assert (refused.exit_code, why in refused.stderr) == (2, True), refused.stderr
