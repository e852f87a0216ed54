"""The dashboard's own database: its journal, and many processes that write at once."""

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

from bursar.dashboard.state_file import StateFile

PROCESSES = 2
ROWS_EACH = 5
_ADD = "INSERT INTO stops (name, run, at) VALUES (?, ?, 0)"


def journal_mode(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def make_earlier(path: Path) -> None:
    """Write a file as earlier versions did: in WAL mode, with one row."""
    StateFile(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(_ADD, ("earlier", "0"))
    assert journal_mode(path) == "wal"


def add_rows(path: Path, name: str) -> None:
    state = StateFile(path)
    for run in range(ROWS_EACH):
        with state.writing() as connection:
            connection.execute(_ADD, (name, str(run)))


def test_a_new_file_is_not_in_wal_mode(tmp_path: Path) -> None:
    StateFile(tmp_path / "dashboard.db")
    assert journal_mode(tmp_path / "dashboard.db") == "delete"


def test_processes_that_open_an_earlier_file_together_leave_wal_mode_and_lose_no_row(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.db"
    make_earlier(path)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        list(processes.map(add_rows, [path] * PROCESSES, map(str, range(PROCESSES))))
    assert journal_mode(path) == "delete"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM stops").fetchone()[0] == 1 + PROCESSES * ROWS_EACH
