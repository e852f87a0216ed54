"""The benchmark of the dashboard's pages: it says how much was stored as counted, and which data it measured."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from bench.bench_dashboard import Measured, measure_copy, postpone_verification, report
from bursar.bootstrap.parts.reports_socket import upkeep_path
from bursar.reports.lake.upkeep import UpkeepFile
from bursar.settings import Settings


def test_the_page_has_the_counted_payments_and_the_options_of_the_data() -> None:
    measured = Measured(
        alone_cpu_s={"Overview": 0.14},
        alone_s={"Overview": 0.2},
        weights={"Overview": 134_000},
        payments=1_000_017,
        attempts=1_070_000,
        loads=[0.1, 2.5],
    )
    measured.answers_s["Overview"] += [0.2, 0.4]
    measured.answers_s["Search: failed"] += [0.09]
    measured.api_ms["/transactions"].append("51")
    page = report(measured, "--copy-of data", 8, 60.0, 1.0)
    assert "1,000,017 payments with 1,070,000 attempts were stored." in page
    assert "bench_dashboard --copy-of data --people 8 --seconds 60 --think 1 --write" in page
    assert "| Overview | 140 | 200 | 2 |" in page
    assert "| `GET /transactions` | 51 |" in page
    assert "184 to 2,669 ms" in page  # the closest portal's log


def test_a_run_does_not_verify_the_lake_of_its_data(tmp_path: Path) -> None:
    record = UpkeepFile(upkeep_path(Settings(data=str(tmp_path))))
    assert record.read().is_due(time.time(), Settings().lake_verify_interval_s)
    postpone_verification(tmp_path)
    assert not record.read().is_due(time.time() + 3_600, Settings().lake_verify_interval_s)


def test_a_data_set_is_copied_without_its_postgres_and_its_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = tmp_path / "data"
    for name in ("bursar.db", "writer.lock", "lake/state.json", "postgres/base"):
        (original / name).parent.mkdir(parents=True, exist_ok=True)
        (original / name).write_text(name)
    started: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        copy = Path(command[5])
        assert sorted(str(each.relative_to(copy)) for each in copy.rglob("*")) == [
            "bursar.db",
            "lake",
            "lake/state.json",
        ]
        started.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert measure_copy(original, ["--people", "2"]) == 0
    [command] = started
    assert command[:3] == ["unshare", "--mount", "sh"]
    assert command[6] == str(original)
    assert command[-4:] == ["--data", str(original), "--people", "2"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data"]
