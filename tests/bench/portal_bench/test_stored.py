"""Stored payments: they equal the portal's rows and are complete after the filling was stopped at any point."""

from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner

from bench.portal_bench import stored
from bursar.cli import bursar
from bursar.dynamo.commands import dynamo

COUNT = 25


class Stopped(Exception):
    """An error that stops a filling."""


def said(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> str:
    monkeypatch.setenv("BURSAR_DATA", str(folder))
    result = CliRunner().invoke(bursar, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_filling_that_was_stopped_goes_on_and_nothing_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = stored._add
    added: list[Any] = []

    def stopping(*arguments: Any) -> None:
        if len(added) == 1:
            raise Stopped
        add(*arguments)
        added.append(arguments)

    monkeypatch.setattr(stored, "GROUP_PAYMENTS", 10)
    monkeypatch.setattr(stored, "_add", stopping)
    with pytest.raises(Stopped):
        stored.store_payments(tmp_path, COUNT)
    monkeypatch.setattr(stored, "_add", add)
    assert stored.store_payments(tmp_path, COUNT) > 0
    assert stored.store_payments(tmp_path, COUNT) == 0
    assert [each.name for each in tmp_path.iterdir()] == ["bursar.db"]
    assert "150 items and 75 sentinels read, 0 findings" in said(monkeypatch, tmp_path, "audit")
    checked = CliRunner().invoke(dynamo, ["--data", str(tmp_path / "bursar.db"), "check"])
    assert (checked.exit_code, checked.output.strip()) == (0, "sound")


def test_a_store_with_other_rules_is_made_anew(tmp_path: Path) -> None:
    stored.store_payments(tmp_path, 2)
    with apsw.Connection(str(tmp_path / "bursar.db")) as connection:
        connection.execute("UPDATE rules SET document = document || '# of yesterday'")
    connection.close()
    assert stored.store_payments(tmp_path, 3) > 0
    with apsw.Connection(str(tmp_path / "bursar.db")) as connection:
        assert connection.execute("SELECT count(*) FROM items_1 WHERE item ->> '$.kind.S' = 'attempt'").get == 3
    connection.close()
