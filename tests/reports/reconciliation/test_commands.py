"""The command ``bursar reconcile``, run as a person runs it: each run is kept, shown again, and signed off once."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from click.testing import CliRunner, Result

from bursar.payments.catalogue.clients import Clients
from bursar.payments.ledger.store_records import reconciliations
from bursar.payments.ledger.table import TABLE_NAME
from bursar.reports.reconciliation.commands import ReconciliationParts, reconcile
from bursar.reports.reports import Reports
from bursar.reports.tail.stream_source import StreamSource
from tests.support.payments.stage import Wall
from tests.support.reports.activity import Line, write_csv
from tests.support.reports.ledger_payments import NOON, Payments
from tests.support.write_paths import WritePath

T = TypeVar("T")


class Office:
    """A store in a file; each command opens it as a separate process does."""

    def __init__(self, write_path: WritePath, folder: Path) -> None:
        self.folder = folder
        self._write_path = write_path
        self._wall = Wall(NOON)
        self._seeds = 0
        self.agrees = Line("", "")
        self.attempt_id = self.within(self._prepare)

    @asynccontextmanager
    async def parts(self) -> AsyncIterator[ReconciliationParts]:
        self._seeds += 1
        self._wall.pass_s(60)
        path, wall = str(self.folder / "portal.db"), self._wall
        store = self._write_path.open(path, clock=wall, randomness=random.Random(self._seeds))
        await self._write_path.create_table(store)
        ledger = self._write_path.ledger(store, clock=wall, randomness=random.Random(-self._seeds))
        reports = Reports(StreamSource(store, TABLE_NAME), f"file:{self.folder / 'lake'}", wall)
        yield ReconciliationParts(reports, ledger, Clients([]), wall)
        await reports.close()
        await store.close()

    def within(self, work: Callable[[Payments], Awaitable[T]]) -> T:
        async def done() -> T:
            async with self.parts() as parts:
                return await work(Payments(parts, self._wall))

        return asyncio.run(done())

    async def _prepare(self, payments: Payments) -> str:
        attempt = await payments.paid("ACH")
        self.agrees = Line(attempt.agency_tracking_id, "P1")
        return attempt.agency_tracking_id

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(reconcile, list(arguments), obj={"reconciliation": self.parts})

    def file(self, *lines: Line) -> str:
        return str(write_csv(self.folder / "activity.csv", lines))


@pytest.fixture
def office(write_path: WritePath, tmp_path: Path) -> Office:
    return Office(write_path, tmp_path)


STRANGER = Line("x1", "PX", "5.00")


def squeezed(result: Result) -> str:
    """Return the output with one space for each run of white space."""
    return " ".join(result.output.split())


def run_id_in(result: Result) -> str:
    return result.output.rsplit("kept as run ", 1)[1].strip()


def test_files_that_agree_are_kept_and_end_with_0(office: Office) -> None:
    result = office.run(office.file(office.agrees), "--by", "Ada")
    assert result.exit_code == 0, result.output
    assert "activity.csv: 1 lines, 60.00 USD, SHA-256 " in result.output
    assert "2026-11-27 to 2026-11-27, New York" in result.output
    listed = office.run("list")
    assert (listed.exit_code, listed.output.count("\n")) == (0, 1)
    assert f"{run_id_in(result)}  2026-11-27T17:" in listed.output
    assert listed.output.rstrip().endswith("Ada  activity.csv  agrees")


def test_differences_end_with_1_until_they_are_signed_off(office: Office) -> None:
    result = office.run(office.file(office.agrees, STRANGER), "--by", "Ada")
    assert result.exit_code == 1, result.output
    assert "! missing here 1 5.00" in squeezed(result)
    assert "all classes of lines 2 65.00" in squeezed(result)
    assert "the files 2 65.00" in squeezed(result)
    assert "missing here  activity.csv:3  x1 PX  5.00 USD  Success, and no attempt has this id" in result.output
    run_id = run_id_in(result)
    assert office.run("list").exit_code == 1
    signed = office.run("sign-off", run_id, "--by", "Bob", "--reason", "of another application")
    assert (signed.exit_code, signed.output) == (0, f"{run_id} is signed off.\n")
    listed = office.run("list")
    assert (listed.exit_code, "1 differences, signed off by Bob" in listed.output) == (0, True)
    again = office.run("sign-off", run_id, "--by", "Eve", "--reason", "x")
    assert (again.exit_code, f"Error: {run_id}: is signed off by Bob at 2026-11-27T" in again.output) == (1, True)
    shown = office.run("show", run_id)
    assert "signed off by Bob: of another application" in shown.output
    assert result.output.splitlines()[3:-2] == shown.output.splitlines()[4:]


def test_a_dry_run_keeps_nothing(office: Office) -> None:
    result = office.run("--dry-run", office.file(STRANGER))
    assert (result.exit_code, "kept as run" in result.output) == (1, False)
    assert office.run("list").output == "There is no run.\n"


def test_applying_records_and_counts(office: Office) -> None:
    returned = Line(office.attempt_id, "P1", status="Retired")
    result = office.run(office.file(office.agrees, returned), "--apply", "--by", "Ada")
    assert "applied: 1 reversals recorded" in result.output
    assert result.exit_code == 1, "the difference was there when the run began"
    assert office.run(office.file(office.agrees, returned)).exit_code == 0


def test_what_cannot_be_recorded_is_named(office: Office) -> None:
    mapping = office.folder / "mapping.toml"
    mapping.write_text('[kinds]\nDispute = "charged_back"\n')
    lines = [Line(office.attempt_id, "P1", amount, kind="Dispute") for amount in ("-50.00", "-20.00")]
    result = office.run(office.file(office.agrees, *lines), "--mapping", str(mapping), "--apply", "--by", "Ada")
    assert (result.exit_code, "not recorded: activity.csv, line " in result.output) == (1, True)


def test_json_has_everything_that_is_kept(office: Office) -> None:
    result = office.run(office.file(office.agrees, STRANGER), "--format", "json", "--by", "Ada")
    found = json.loads(result.output)
    assert (found["by"], found["differences"], found["totals"]["missing_here"]) == ("Ada", 1, [1, 500])
    assert found["by_day"][0] == {"day": "2026-11-27", "class": "matched", "count": 1, "cents": 6000}
    (difference,) = found["difference_rows"]
    assert (difference["class"], difference["paygov_id"], difference["their_cents"]) == ("missing_here", "PX", 500)
    assert json.loads(office.run("show", found["run_id"], "--format", "json").output) == found


def test_the_differences_that_are_kept_are_bounded(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bursar.reports.reconciliation.run.DIFFERENCES_KEPT_MAX", 2)
    monkeypatch.setattr(reconciliations, "PART_ROWS", 1)
    lines = [Line(f"x{number}", f"PX{number}") for number in range(5)]
    result = office.run(office.file(office.agrees, *lines))
    assert "! missing here 5 300.00" in squeezed(result)
    assert "… and 3 more differences: --format json lists 2" in result.output
    assert "… and 3 more differences" in office.run("show", run_id_in(result)).output


def test_a_broken_file_is_named(office: Office) -> None:
    path = office.folder / "broken.xml"
    path.write_text("<a><credit_card>")
    result = office.run(str(path))
    assert result.exit_code == 1
    assert "BROKEN: line 1: must be well-formed XML: no element found" in result.output
    assert "Payments that the files lack were not looked for" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["FILE", "--from", "2026-11-27"], 2, "--from and --to: must be given together"),
        (
            ["FILE", "--from", "yesterday", "--to", "2026-11-27"],
            2,
            "must be a date such as 2026-11-29; got 'yesterday'",
        ),
        (["FILE", "--apply"], 2, "--apply: must be given with --by, and without --dry-run"),
        (["FILE", "--apply", "--by", "A", "--dry-run"], 2, "--apply: must be given with --by, and without --dry-run"),
        (["FILE", "--by", " "], 2, "must have 1 to 500 characters"),
        (["absent.csv"], 2, "does not exist"),
        (["FILE", "--mapping", "FILE"], 1, "must be a mapping in TOML"),
        (["show", "nothing"], 1, "nothing: must be a run; got none of this id"),
        (["sign-off", "nothing", "--by", "A", "--reason", "B"], 1, "nothing: must be a run; got none of this id"),
    ],
)
def test_a_mistake_is_named(office: Office, arguments: list[str], code: int, message: str) -> None:
    path = office.file(office.agrees)
    result = office.run(*(path if each == "FILE" else each for each in arguments))
    assert (result.exit_code, message in result.output) == (code, True), result.output


def test_help_lists_the_commands(office: Office) -> None:
    assert "sign-off" in office.run("--help").output
