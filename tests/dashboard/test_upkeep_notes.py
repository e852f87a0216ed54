"""Notes of audits and backups: the last one of each kind, bounded, and never a reason for a page to fail."""

import stat
from pathlib import Path

import pytest

from bursar.dashboard.upkeep_notes import LINE_CHARS_MAX, LINES_KEPT_MAX, UpkeepNote, UpkeepNotes


def test_the_last_note_of_each_kind_is_kept(tmp_path: Path) -> None:
    notes = UpkeepNotes(tmp_path)
    assert notes.all() == []
    notes.keep("backup", 1.0, target="first.db")
    notes.keep("backup", 2.0, target="second.db")
    notes.keep("audit", 3.0, findings=2, lines=["unique: one", "unique: two"])
    assert notes.all() == [
        UpkeepNote("audit", 3.0, 2, ("unique: one", "unique: two"), {}),
        UpkeepNote("backup", 2.0, 0, (), {"target": "second.db"}),
    ]
    assert stat.S_IMODE((tmp_path / "last_audit.json").stat().st_mode) == 0o600


def test_a_note_is_bounded(tmp_path: Path) -> None:
    notes = UpkeepNotes(tmp_path)
    notes.keep("chain_audit", 1.0, findings=10_000, lines=["x" * 10_000] * 10_000)
    found = notes.read("chain_audit")
    assert found is not None
    assert (found.findings, len(found.lines), len(found.lines[0])) == (10_000, LINES_KEPT_MAX, LINE_CHARS_MAX)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"at": "x"}', b'{"at": 1, "findings": 0, "lines": null}'])
def test_a_damaged_note_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last_audit.json").write_bytes(content)
    assert UpkeepNotes(tmp_path).read("audit") is None
