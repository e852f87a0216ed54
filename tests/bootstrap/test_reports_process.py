"""The reports process: the portal keeps one, it survives what a statement does, and payments do not wait for it."""

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from bursar.bootstrap.reports_process import ask_once, environment_of
from bursar.bootstrap.reports_socket import SOCKET_PATH_BYTES_MAX, reports_socket
from bursar.reports.errors import ReportError
from bursar.reports.port import PaymentReports
from bursar.settings import Settings, load_settings
from tests.support.bootstrap.whole_system import bursar, running_up

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
