"""The command ``bursar import``, run as an operator runs it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from bursar.portal.import_commands import import_
from tests.support.portal.old_rows import old_row, write_rows

Run = Callable[..., Result]
KNOWN = ("--client", "court=dawson")


def test_rows_of_unknown_clients_are_named(run: Run, tmp_path: Path) -> None:
    path = str(write_rows(tmp_path / "old.csv", [old_row(client_name="court"), old_row(2, fee="x")]))
    result = run(import_, path, "--by", "Ada", *KNOWN)
    assert result.exit_code == 1
    assert "not imported: old.csv:2: client_name: must be a client of the clients' file" in result.output
    assert "2 rows: imported 0 attempts (none)\n0 were imported before; 2 cannot be imported\n" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'FILE…'"),
        (["FILE"], "Missing option '--by'"),
        (["FILE", "--by", "Ada", "--client", "court"], "must be THEIRS=OURS; got 'court'"),
        (["absent.csv", "--by", "Ada"], "does not exist"),
    ],
)
def test_a_mistake_is_named(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    path = str(write_rows(tmp_path / "old.csv", [old_row()]))
    result = run(import_, *(path if each == "FILE" else each for each in arguments))
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_a_name_is_needed(run: Run, tmp_path: Path) -> None:
    path = str(write_rows(tmp_path / "old.csv", [old_row()]))
    result = run(import_, path, "--by", " ")
    assert (result.exit_code, "name: must have 1 to 500 characters" in result.output) == (1, True)


def test_every_file_is_read(run: Run, tmp_path: Path) -> None:
    files = [str(write_rows(tmp_path / f"{n}.csv", [old_row(n, client_name="nobody")])) for n in (1, 2, 3)]
    result = run(import_, *files, "--by", "Ada")
    assert [f"not imported: {n}.csv:2: client_name" in result.output for n in (1, 2, 3)] == [True, True, True]
    assert "3 rows: " in result.output
