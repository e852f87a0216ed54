"""Sealing: each day that is over gets one root, in the table, the log and the copies, no matter what fails."""

import logging
import random
from collections.abc import AsyncIterator, Iterable
from datetime import date, timedelta

import pytest

from bursar.payments.audit.root_copies import RootCopiesError
from bursar.payments.ledger.store_records.daily_roots import DailyRoot, DailyRoots, start_of
from bursar.portal.state.daily_sealing import DAYS_AT_ONCE_MAX, MARGIN_S, RETRY_S, SPREAD_S, DailySealing
from bursar.portal.upkeep.sweep import sweep
from tests.support.payments.stage import Wall
from tests.support.portal.stage import Stage, on_stage
from tests.support.write_paths import WritePath

DAY = date(2026, 11, 22)
DAY_S = 24 * 3600


class Copies:
    """Copies in memory. While ``trouble`` is set, they cannot be written."""

    def __init__(self) -> None:
        self.roots: dict[str, str] = {}
        self.trouble = False

    async def read(self) -> dict[str, str]:
        return self.roots

    async def add(self, roots: Iterable[DailyRoot]) -> None:
        if self.trouble:
            raise RootCopiesError("the disk is full")
        self.roots = {root.date: root.root for root in roots} | self.roots


@pytest.fixture
def copies() -> Copies:
    return Copies()


@pytest.fixture
def wall() -> Wall:
    return Wall(start_of(DAY) + 12 * 3600)


@pytest.fixture
async def roots(write_path: WritePath, wall: Wall) -> AsyncIterator[DailyRoots]:
    store = write_path.open(clock=wall, randomness=random.Random(1))
    await write_path.create_table(store)
    yield write_path.ledger(store, clock=wall, randomness=random.Random(2)).daily_roots
    await store.close()


@pytest.fixture
def sealing(roots: DailyRoots, wall: Wall, copies: Copies) -> DailySealing:
    return DailySealing(roots, copies, clock=wall, randomness=random.Random(1))


async def sealed(roots: DailyRoots) -> list[str]:
    return [root.date for root in await roots.stored()]


async def test_the_first_root_is_of_yesterday(
    roots: DailyRoots, wall: Wall, sealing: DailySealing, copies: Copies
) -> None:
    await sealing.run_if_due()
    assert await sealed(roots) == ["2026-11-21"]
    assert list(copies.roots) == ["2026-11-21"]


async def test_a_day_is_sealed_an_hour_after_its_end_at_the_earliest_and_two_at_the_latest(
    roots: DailyRoots, wall: Wall, sealing: DailySealing
) -> None:
    await sealing.run_if_due()
    midnight = start_of(DAY + timedelta(days=1))
    wall.now = midnight + MARGIN_S - 1
    await sealing.run_if_due()
    assert await sealed(roots) == ["2026-11-21"]
    wall.now = midnight + MARGIN_S + SPREAD_S
    await sealing.run_if_due()
    assert await sealed(roots) == ["2026-11-21", "2026-11-22"]


async def test_a_process_that_starts_within_the_margin_does_not_seal_the_day_before(
    roots: DailyRoots, wall: Wall, sealing: DailySealing
) -> None:
    wall.now = start_of(DAY) + MARGIN_S - 1
    await sealing.run_if_due()
    assert await sealed(roots) == ["2026-11-20"]


async def test_the_roots_depend_on_each_other(roots: DailyRoots, wall: Wall, sealing: DailySealing) -> None:
    await sealing.run_if_due()
    wall.pass_s(DAY_S)
    await sealing.run_if_due()
    first, second = await roots.stored()
    assert (await roots.compute(DAY, first.root)).root == second.root


async def test_days_without_a_sweeper_are_sealed_later_a_few_at_once(
    roots: DailyRoots, wall: Wall, sealing: DailySealing
) -> None:
    await sealing.run_if_due()
    wall.pass_s((DAYS_AT_ONCE_MAX + 2) * DAY_S)
    await sealing.run_if_due()
    assert len(await sealed(roots)) == 1 + DAYS_AT_ONCE_MAX
    wall.pass_s(RETRY_S)
    await sealing.run_if_due()
    assert len(await sealed(roots)) == 1 + DAYS_AT_ONCE_MAX + 2


async def test_a_copy_that_failed_is_made_later(
    roots: DailyRoots, wall: Wall, sealing: DailySealing, copies: Copies, caplog: pytest.LogCaptureFixture
) -> None:
    copies.trouble = True
    await sealing.run_if_due()
    assert "sealing the days failed: RootCopiesError('the disk is full')" in caplog.text
    copies.trouble = False
    await sealing.run_if_due()
    assert copies.roots == {}
    wall.pass_s(RETRY_S)
    await sealing.run_if_due()
    assert list(copies.roots) == ["2026-11-21"]


async def test_each_root_is_a_line_in_the_log(
    roots: DailyRoots, wall: Wall, sealing: DailySealing, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await sealing.run_if_due()
    (line,) = [record for record in caplog.records if record.message == "daily root"]
    (root,) = await roots.stored()
    assert (vars(line)["date"], vars(line)["root"], vars(line)["events"]) == (root.date, root.root, 0)


@on_stage
async def test_a_pass_of_the_sweeper_seals(stage: Stage) -> None:
    roots = stage.ledger.daily_roots
    stage.portal.sealing = DailySealing(roots, None, clock=stage.loop.clock, randomness=random.Random(1))
    await sweep(stage.portal)
    assert len(await sealed(roots)) == 1
