"""The page docs/compatibility.md agrees with the engine, and its counts add up."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOOL: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "compatibility.py"))
PAGE = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")


def test_the_page_lists_the_operations_as_they_are() -> None:
    assert TOOL["replaced"](PAGE, "operations", TOOL["operations_table"]()) == PAGE
    assert TOOL["ABSENT"] not in PAGE


def test_the_counts_of_the_conformance_run_add_up() -> None:
    said = re.search(r"\*\*(\d+) of (\d+)\*\* tests passed; divergence \*\*([0-9.]+) %\*\*, coverage", PAGE)
    rows = re.findall(r"^\| tier[^|]+\| (\d+) \| (\d+) \| (\d+) \|$", PAGE, flags=re.MULTILINE)
    assert said
    passed, failed, skipped = (sum(int(row[at]) for row in rows) for at in range(3))
    assert [passed, passed + failed + skipped] == [int(said[1]), int(said[2])]
    assert said[3] == f"{100 * failed / int(said[2]):.1f}"


def test_a_test_that_was_skipped_has_not_passed(tmp_path: Path) -> None:
    run = {
        "startTime": 1_800_000_000_000,
        "testResults": [
            {
                "name": "/suite/tests/tier1/getItem/basic.test.ts",
                "assertionResults": [{"status": status} for status in ("passed", "skipped", "failed", "todo")],
            }
        ],
    }
    (tmp_path / "package.json").write_text('{"version": "3.5.0"}')
    table = TOOL["conformance_table"](run, TOOL["suite_version"](tmp_path, "abc"))
    assert "Run of 2027-01-15, suite 3.5.0 at commit abc: **1 of 4** tests passed; " in table
    assert "divergence **25.0 %**, coverage **50.0 %**." in table
    assert "| tier1/getItem | 1 | 1 | 2 |" in table


def test_a_page_without_the_section_is_refused() -> None:
    with pytest.raises(SystemExit, match="has no section operations"):
        TOOL["replaced"]("nothing", "operations", "")
