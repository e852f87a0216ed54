"""The generation of an embedded store, inside and outside of it."""

import asyncio
import logging
import time
from decimal import Decimal
from pathlib import Path

import pytest

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.parts import generations
from bursar.bootstrap.parts.generations import Generations, note_outside, outside_of
from bursar.dynamo import AsyncEngine
from bursar.payments.ledger.store_records.restores import FOUND_AT_START
from bursar.settings import Settings


def portal_settings(data: Path, store: str | None = None) -> Settings:
    nowhere = "http://paygov.invalid/"
    return Settings(data=str(data), store=store, paygov_url=nowhere, payment_url=nowhere)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def remove(store: str) -> None:
    Path(store).unlink()


def write_beside(store: str, content: str) -> None:
    Path(store).parent.mkdir(mode=0o700)
    beside(store).write_text(content, encoding="latin-1")


def put_a_folder_beside(store: str) -> None:
    beside(store).mkdir()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def beside(store: str) -> Path:
    return Path(store + ".generation")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return portal_settings(tmp_path / "data")


@pytest.fixture
def store(settings: Settings) -> str:
    return str(Path(settings.data) / "bursar.db")


async def test_the_number_outside_is_never_above_the_one_inside(settings: Settings, store: str) -> None:
    numbers = []
    for _ in range(3):
        async with Composition(settings) as parts:
            portal = await parts.portal()
            inside = (await portal.ledger.restores.read()).generation
            numbers.append((outside_of(store), inside))
        assert outside_of(store) == inside + 1  # raised once more at the end
    assert all(outside == inside for outside, inside in numbers)
    assert numbers == sorted(set(numbers))
    assert mode_of(beside(store)) == 0o600


async def test_a_higher_number_outside_is_never_replaced_by_a_lower_one(settings: Settings, store: str) -> None:
    async with Composition(settings) as parts:
        portal = await parts.portal()
        note_outside(store, 1_000)  # another process has raised the store's number and noted it meanwhile
        await Generations(portal.ledger, store).raise_and_note()
        assert outside_of(store) == 1_000


async def test_a_start_leaves_the_due_times_of_live_attempts_alone(settings: Settings, store: str) -> None:
    async with Composition(settings) as parts:
        ledger = (await parts.portal()).ledger
        fee = parts.fees.fee("PETITION_FILING_FEE", time.time())
        assert fee is not None
        urls = ("https://app.example/ok", "https://app.example/no")
        attempt = await ledger.start_attempt("dawson", "r-1", fee, Decimal("60.00"), {"docketNumber": "1-26"}, *urls)
    async with Composition(settings) as parts:
        ledger = (await parts.portal()).ledger
        assert (await ledger.reread(attempt)).due_at == attempt.due_at


async def test_a_death_between_the_two_numbers_is_no_alarm(settings: Settings, store: str) -> None:
    async with Composition(settings) as parts:
        portal = await parts.portal()
        before = outside_of(store)
        await portal.ledger.restores.raise_generation()  # and dies before the number is noted
    note_outside(store, before)
    async with Composition(settings) as parts:
        assert await (await parts.portal()).restores.open_mark() is None


async def test_a_number_above_the_stores_marks_it_and_is_logged(
    settings: Settings, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Composition(settings) as parts:
        await parts.portal()
    note_outside(store, 1000)
    for creates_store in (False, True):
        caplog.clear()
        async with Composition(settings, creates_store=creates_store) as parts:
            portal = await parts.portal()
            state = await portal.restores.state()
            assert [mark.way for mark in state.marks] == [FOUND_AT_START]
            assert state.generation > 1000
        (alert,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert vars(alert)["alert"] == "restored"
        assert "THE STORE WAS RESTORED FROM A BACKUP" in alert.getMessage()


async def test_an_empty_store_in_place_of_one_is_marked(settings: Settings, store: str) -> None:
    async with Composition(settings) as parts:
        await parts.portal()
    remove(store)
    async with Composition(settings) as parts:
        assert await (await parts.portal()).restores.open_mark() is not None


@pytest.mark.parametrize("content", ["", "twelve", "\x00\xff"])
async def test_a_number_that_cannot_be_read_is_reported_and_replaced(
    settings: Settings, store: str, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_beside(store, content)
    async with Composition(settings) as parts:
        await parts.portal()
    assert "cannot be read" in caplog.text
    assert outside_of(store) > 0


async def test_a_number_that_cannot_be_written_is_reported(
    settings: Settings, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Composition(settings) as parts:
        await parts.ledger()
        put_a_folder_beside(store)
        await Generations(await parts.ledger(), store).raise_and_note()
    assert "cannot be written" in caplog.text
    assert names_in(Path(settings.data)) == ["bursar.db", "bursar.db.generation"]


async def test_the_number_is_raised_while_the_process_writes(
    settings: Settings, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "RAISE_INTERVAL_S", 0.01)
    async with Composition(settings) as parts:
        portal, engine = await parts.portal(), await parts.store()
        assert isinstance(engine, AsyncEngine)
        (work,) = parts.tasks()
        raising = asyncio.create_task(work)
        await asyncio.sleep(0.1)
        idle = outside_of(store)
        await engine.call("CreateTable", _OTHER_TABLE)
        for _ in range(6000):
            if outside_of(store) != idle:
                break
            await asyncio.sleep(0.01)
        assert (await portal.ledger.restores.read()).generation == outside_of(store) == idle + 1
        raising.cancel()


async def test_a_store_in_memory_has_no_generation(tmp_path: Path) -> None:
    async with Composition(portal_settings(tmp_path, "file::memory:")) as parts:
        await parts.portal()
        assert parts.tasks() == []
    assert names_in(tmp_path) == []


_OTHER_TABLE = {
    "TableName": "other",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}
