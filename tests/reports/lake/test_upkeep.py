"""The record of the lake's upkeep survives restarts, damage and full disks, and says when a person is needed."""

from pathlib import Path

import pytest

from bursar.reports.lake.upkeep import Upkeep, UpkeepFile

DAY_S = 86_400.0


def test_figures_are_kept_beside_each_other(tmp_path: Path) -> None:
    path = tmp_path / "data" / "upkeep.json"
    assert UpkeepFile(path).read() == Upkeep()
    UpkeepFile(path).note_complete(100.0)
    UpkeepFile(path).note_verified(200.0, 3)
    assert UpkeepFile(path).read() == Upkeep(100.0, 200.0, 3)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"other": 1}'])
def test_a_damaged_record_is_none(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "upkeep.json"
    path.write_bytes(content)
    assert UpkeepFile(path).read() == Upkeep()
    assert "cannot be read" in caplog.text
    UpkeepFile(path).note_complete(1.0)
    assert UpkeepFile(path).read() == Upkeep(1.0)


def test_a_record_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    UpkeepFile(tmp_path / "file" / "upkeep.json").note_complete(1.0)
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize(
    ("upkeep", "now", "problem"),
    [
        (Upkeep(), 2 * DAY_S, None),
        (Upkeep(), 2 * DAY_S + 1, "the verification is overdue: the last was 48 hours ago"),
        (Upkeep(verified_at=DAY_S), 3 * DAY_S, None),
        (Upkeep(verified_at=DAY_S), 4 * DAY_S, "the verification is overdue: the last was 72 hours ago"),
        (
            Upkeep(verified_at=DAY_S, differences=2),
            DAY_S,
            "the last verification found 2 differences, and repaired them",
        ),
    ],
)
def test_differences_and_a_late_verification_are_problems(upkeep: Upkeep, now: float, problem: str | None) -> None:
    assert upkeep.problem(now, DAY_S, 0.0) == problem


def test_a_verification_is_due_after_the_interval_and_when_the_clock_was_set_back() -> None:
    upkeep = Upkeep(verified_at=1000.0)
    assert [upkeep.is_due(now, 60.0) for now in (999.0, 1000.0, 1059.9, 1060.0)] == [True, False, False, True]
    assert Upkeep().is_due(0.0, 60.0)
