"""The state of a lake is read without pyiceberg, if nothing was written since it was last read."""

import os
from pathlib import Path

import pytest

from bursar.reports.lake.lake import Lake
from bursar.reports.lake.lake_state import LakeState, no_state
from bursar.reports.lake.state_cache import STATE_FILE
from bursar.reports.reports import Reports
from tests.support.reports.book import Book


@pytest.fixture
async def lake(book: Book, reports: Reports, tmp_path: Path) -> Lake:
    book.pay(20)
    book.now += 3600
    await reports.write_lake()
    return Lake.at(f"file:{tmp_path / 'lake'}")


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: Lake) -> LakeState:
        raise AssertionError("the lake was read")

    monkeypatch.setattr(Lake, "_read_state", read)


async def test_a_state_that_was_read_is_known(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    state = lake.state()
    assert state == lake._read_state()
    assert state["payments"].row_count > 0
    forbid_reading(monkeypatch)
    assert lake.state() == state


async def test_a_commit_makes_the_known_state_old(book: Book, reports: Reports, lake: Lake) -> None:
    before = lake.state()
    book.pay(20, seed=2)
    book.now += 3600
    await reports.write_lake()
    after = lake.state()
    assert after != before
    assert after == lake._read_state()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format": 0}', b'{"format": [1, 2], "metadata": {}}', b"\xff"]
)
async def test_a_damaged_file_is_not_believed(lake: Lake, content: bytes) -> None:
    state = lake.state()
    assert lake.folder is not None
    (lake.folder / STATE_FILE).write_bytes(content)
    assert lake.state() == state


async def test_a_reader_needs_no_permission_to_write(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    state = lake._read_state()
    assert lake.folder is not None
    (lake.folder / STATE_FILE).unlink(missing_ok=True)

    def refuse(*arguments: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    assert lake.state() == state
    monkeypatch.undo()
    assert not (lake.folder / STATE_FILE).exists()


def test_a_lake_that_does_not_exist_stays_so(tmp_path: Path) -> None:
    assert Lake.at(f"file:{tmp_path / 'lake'}").state() == no_state()
    assert not (tmp_path / "lake").exists()
