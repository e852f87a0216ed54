"""The policy of docs/moving.md lets `bursar move` do its work, and each of its actions is needed."""

import asyncio
import json
import os
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.move.commands import move
from bursar.bootstrap.move.stores import name_of
from bursar.cli import Factories
from bursar.dynamo.clients.remote_store import open_remote_store
from bursar.dynamo.regions import ACCOUNT
from bursar.dynamo.tools.moving.patient_store import PatientStore
from bursar.dynamo.tools.moving.write_fence import WriteFence
from bursar.payments.ledger.table import TABLE_NAME
from bursar.settings import Settings
from tests.support.bootstrap.backend import Backend, Guarded, secret_of
from tests.support.deploy.role_work import Statements, allowed_actions, without
from tests.support.deploy.template import REGION, ROOT

PAGE: Final = (ROOT / "docs" / "moving.md").read_text()
STATEMENTS: Final[Statements] = json.loads(PAGE.partition("```json\n")[2].partition("```")[0])["Statement"]
ACTIONS: Final = allowed_actions(STATEMENTS)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Backend, Backend]]:
    """Serve a store with a payment, and an empty one with its tables."""
    for name in [name for name in os.environ if name.startswith("BURSAR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mover")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_of("mover"))
    old, new = Backend(), Backend()
    try:
        asyncio.run(begin_payment(old.store_url))
        yield old, new
    finally:
        old.stop()
        new.stop()


async def begin_payment(url: str) -> None:
    async with Composition(Settings(store=url)) as parts:
        ledger, fee = await parts.ledger(), parts.fees.fee("PETITION_FILING_FEE", parts.clock())
        assert fee is not None
        assert fee.amount is not None
        attempt = await ledger.start_attempt(
            "dawson", str(uuid.uuid4()), fee, fee.amount, {"docketNumber": "1-26"}, "https://a/s", "https://a/c"
        )
        await ledger.record_token(attempt, uuid.uuid4().hex)


async def close(url: str, target: str) -> None:
    """Close a store, as a move to ``target`` does that is killed right after it."""
    store = await open_remote_store(url)
    fence = WriteFence(PatientStore(store, random.Random(1)), TABLE_NAME, f"{name_of(target)} {TABLE_NAME}")
    await fence.close()
    await store.close()


def policy_of(statements: Statements, region: str, folder: Path) -> dict[str, object]:
    """Return the policy of one side, for tables of these tests."""
    folder.mkdir()
    text = json.dumps([each for each in statements if region in str(each["Resource"])])
    return {
        "Version": "2012-10-17",
        "Statement": json.loads(text.replace(region, REGION).replace("ACCOUNT", ACCOUNT)),
    }


def moved(statements: Statements, stores: tuple[Backend, Backend], folder: Path) -> tuple[list[Result], list[str]]:
    """Copy the store, reopen the closed one, and switch over; return the results up to a failure, and the refusals."""
    old, new = stores
    sides: list[Guarded] = []
    for backend, region in ((old, "OLD_REGION"), (new, "NEW_REGION")):
        policy = policy_of(statements, region, folder / region)
        sides.append(backend.guarded(folder / region, {"mover": policy}))
    results: list[Result] = []
    with sides[0] as source, sides[1] as target:
        for options in (["--copy-only"], ["--reopen"], []):
            if options == ["--reopen"]:
                asyncio.run(close(old.store_url, target.url))
            results.append(
                CliRunner().invoke(move, [*options, "--settle-s", "0", source.url, target.url], obj=Factories())
            )
            if results[-1].exit_code:
                break
            if options == ["--reopen"]:
                asyncio.run(begin_payment(old.store_url))
    return results, [*source.refusals, *target.refusals]


def test_a_move_needs_no_more_than_the_policy(stores: tuple[Backend, Backend], tmp_path: Path) -> None:
    results, refusals = moved(STATEMENTS, stores, tmp_path)
    assert ([each.exit_code for each in results], refusals) == ([0, 0, 0], []), results[-1].output


@pytest.mark.parametrize(("sid", "action"), ACTIONS)
def test_a_move_needs_each_action(sid: str, action: str, stores: tuple[Backend, Backend], tmp_path: Path) -> None:
    results, refusals = moved(without(STATEMENTS, sid, action), stores, tmp_path)
    assert results[-1].exit_code == 2, f"a move works without {action} of {sid}"
    assert "run the same command again" in results[-1].output or "denied" in results[-1].output
    assert {refusal.partition("perform: ")[2].partition(" on ")[0] for refusal in refusals} == {action}
