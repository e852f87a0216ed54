"""The reports process: the portal keeps one, it survives what a statement does, and payments do not wait for it."""

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from bursar.bootstrap.parts.reports_socket import SOCKET_PATH_BYTES_MAX, reports_socket, upkeep_path
from bursar.bootstrap.reports_process import ask_once, environment_of, lake_tasks, verify_lake_when_due
from bursar.bootstrap.serving import background
from bursar.clock import Clock
from bursar.reports.errors import LakeBusy, ReportError
from bursar.reports.lake.upkeep import Upkeep, UpkeepFile
from bursar.reports.port import PaymentReports
from bursar.reports.reports import Reports
from bursar.reports.server.client import RemoteVerification
from bursar.reports.server.priority import NICENESS
from bursar.settings import Settings, load_settings
from sim.loop import VirtualLoop, run_virtual
from tests.support.bootstrap.whole_system import bursar, running_up
from tests.support.reports.book import Book

WAIT_S = 120.0


def reports_processes(up_pid: int) -> list[int]:
    """Return the process ids of the reports processes that the process ``up_pid`` started."""
    children = Path(f"/proc/{up_pid}/task/{up_pid}/children").read_text(encoding="ascii").split()
    return [int(child) for child in children if b"reports" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def counts(portal_url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{portal_url}/transaction-payment-status", timeout=WAIT_S) as reply:
        found: dict[str, int] = json.load(reply)
        return found


def test_a_killed_reports_process_is_replaced_and_ends_with_the_portal(tmp_path: Path) -> None:
    with running_up(tmp_path / "data") as up:
        assert counts(up.portal_url)["total"] == 0
        [first] = reports_processes(up.process.pid)
        os.kill(first, signal.SIGKILL)
        assert counts(up.portal_url)["total"] == 0
        [second] = reports_processes(up.process.pid)
        assert second != first
        priorities = [os.getpriority(os.PRIO_PROCESS, each) for each in (up.process.pid, second)]
        assert priorities == [os.getpriority(os.PRIO_PROCESS, 0), NICENESS], "payments get the processor first"
        maps = Path(f"/proc/{up.process.pid}/maps").read_text(encoding="utf-8")
        assert "duckdb" not in maps, "no query runs in the process that takes payments"
        done = bursar("sql", "SELECT 41 + 1 AS x", "--format", "csv", cwd=tmp_path)
        assert "42" in done.stdout, done
        up.kill()
        wait_until(lambda: not Path(f"/proc/{second}").exists())


def test_the_settings_reach_another_process(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path), development_client=True, rate_per_s=7.5, table="other")
    environment = {name: value for name, value in environment_of(settings).items() if name.startswith("BURSAR_")}
    assert load_settings({}, environment, tmp_path) == settings


def test_a_socket_belongs_to_one_store_table_and_lake_and_has_a_short_path(tmp_path: Path) -> None:
    settings = [
        Settings(data=str(tmp_path)),
        Settings(data=str(tmp_path), table="other"),
        Settings(data=str(tmp_path), store="dynamodb:?region=us-east-1"),
        Settings(data=str(tmp_path), lake="s3://bucket/lake"),
        Settings(data=str(tmp_path / ("long" * 50))),
    ]
    paths = [reports_socket(each) for each in settings]
    assert len(set(paths)) == len(paths)
    assert all(len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX for path in paths)


class Asked:
    """Reports that note the statements, and fail if ``error`` is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.statements: list[str] = []
        self._error = error

    async def sql(self, statement: str) -> None:
        self.statements.append(statement)
        if self._error is not None:
            raise self._error


def test_the_process_asks_a_question_before_its_first_caller_does() -> None:
    reports = Asked()
    asyncio.run(ask_once(cast("PaymentReports", reports)))
    assert reports.statements == ["SELECT status FROM payments LIMIT 0"]


def test_a_first_question_that_fails_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(ask_once(cast("PaymentReports", Asked(ReportError("the lake is broken")))))
    assert [record.getMessage() for record in caplog.records] == ["the first question failed: the lake is broken"]


class Verified:
    """Reports whose verifications end as ``ends``: differences, or an error."""

    def __init__(self, upkeep: UpkeepFile, clock: Clock, ends: list[int | Exception]) -> None:
        self.at: list[float] = []
        self._upkeep = upkeep
        self._clock = clock
        self._ends = ends

    async def verify_lake(self) -> RemoteVerification:
        self.at.append(self._clock())
        end = self._ends.pop(0)
        if isinstance(end, Exception):
            raise end
        self._upkeep.note_verified(self._clock(), end)
        return RemoteVerification(end == 0, ("payments", "  2026-11  DIFFERS"))


def test_the_lake_is_verified_on_its_schedule(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    upkeep = UpkeepFile(upkeep_path(Settings(data=str(tmp_path))))

    async def days(loop: VirtualLoop) -> list[float]:
        begun = loop.clock()
        reports = Verified(upkeep, loop.clock, [0, LakeBusy("another process is writing the lake"), 3, 0])
        verifying = verify_lake_when_due(cast("PaymentReports", reports), upkeep, loop.clock, 86_400.0)
        with suppress(TimeoutError):
            await asyncio.wait_for(verifying, 2.5 * 86_400.0)
        return [round((at - begun) / 3600, 1) for at in reports.at]

    assert run_virtual(days) == [0.0, 24.0, 24.3, 48.3]
    assert "verifying the lake failed: another process is writing the lake" in caplog.text
    assert "the lake was repaired:\npayments\n  2026-11  DIFFERS" in caplog.text


class Noted(UpkeepFile):
    """A record that sets ``found`` at the first verification with differences."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.found = asyncio.Event()

    def note_verified(self, at: float, differences: int) -> None:
        super().note_verified(at, differences)
        if differences:
            self.found.set()


async def test_the_process_that_keeps_a_lake_writes_and_verifies_it(tmp_path: Path) -> None:
    book = Book()
    settings = Settings(data=str(tmp_path), lake_interval_s=0.01, lake_verify_interval_s=0.02)
    record = Noted(upkeep_path(settings))
    reports = Reports(book.source, settings.lake_url, book.clock, upkeep=record)
    book.pay(20)
    gone = book.move(book.start(), "processed")
    book.now += 3600.0
    await reports.write_lake()
    del book.attempts[gone.agency_tracking_id]
    async with background(lake_tasks(reports, settings, book.clock)):
        await record.found.wait()
    assert (await reports.verify_lake()).equal
    assert record.read() == Upkeep(complete_at=book.now, verified_at=book.now, differences=0)
    book.now += 100.0
    book.move(book.start(), "failed")
    oldest_s, book.now = book.now, book.now + 50.0
    await reports.write_lake(only_if_due=True)
    assert record.read().complete_at == oldest_s
    await reports.close()
