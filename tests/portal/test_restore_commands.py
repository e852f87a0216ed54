"""The command ``bursar restored``, run as an operator runs it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from bursar.portal.restore_commands import restored

ACTIVITY = "Agency Tracking ID,Pay.gov Tracking ID,Transaction Amount,Transaction Status\n"


def test_restored_shows_marks_and_clears(run: Callable[..., Result], unknown: str, tmp_path: Path) -> None:
    decision = ("--by", "Ada", "--reason", "compared")
    never = run(restored)
    assert (never.exit_code, never.output) == (0, "The store was never restored.\n")
    assert run(restored, "--mark", *decision).exit_code == 0
    shown_open = run(restored, "--show")
    assert (shown_open.exit_code, "marked by an operator, Ada: compared" in shown_open.output) == (1, True)
    assert "THE MARK IS OPEN" in shown_open.output
    activity = tmp_path / "activity.csv"
    rows = [
        f"{unknown},P1,60.00,Success",
        "b00000000000000000000,P2,60.00,Settled",
        "b11111111111111111111,P3,60.00,Failed",
    ]
    activity.write_text(ACTIVITY + "\n".join(rows))
    cleared = run(restored, "--clear", "--activity-file", str(activity), *decision)
    assert cleared.exit_code == 0, cleared.output
    assert "only at Pay.gov: b00000000000000000000 as P2" in cleared.output
    assert "1 collections are recorded" in cleared.output
    shown = run(restored)
    assert (shown.exit_code, "by Ada: compared" in shown.output, "P2" in shown.output) == (0, True, True)
    again = run(restored, "--clear", *decision)
    assert (again.exit_code, "There is no restore mark to clear" in again.output) == (1, True)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (ACTIVITY + "b0,P1,60.00,Received", "1 collections in the file are neither paid nor failed"),
        ("nothing\n", "line 1: the columns: must have one for amount and one for status"),
        (ACTIVITY + "b0,P1,60.005,Success", "line 2: amount: must be dollars such as 60.00"),
    ],
)
def test_an_activity_file_that_decides_nothing_clears_nothing(
    run: Callable[..., Result], unknown: str, tmp_path: Path, content: str, why: str
) -> None:
    decision = ("--by", "Ada", "--reason", "compared")
    run(restored, "--mark", *decision)
    activity = tmp_path / "activity.csv"
    activity.write_text(content)
    refused = run(restored, "--clear", "--activity-file", str(activity), *decision)
    assert (refused.exit_code, why in refused.output) == (1, True)
    assert run(restored).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--clear"],
        ["--mark", "--by", "Ada"],
        ["--show", "--clear", "--by", "Ada", "--reason", "x"],
        ["--activity-file", __file__],
    ],
)
def test_restored_refuses_options_that_do_not_fit(run: Callable[..., Result], arguments: list[str]) -> None:
    assert run(restored, *arguments).exit_code == 2
