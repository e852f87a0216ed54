"""Write the table of operations of docs/compatibility.md.

    .venv/bin/python tools/compatibility.py

The operations come from the engine's dispatch table. The section of the public conformance suite is written by
tools/conformance.py. The text around the tables is written by hand and kept.
"""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bursar.dynamo.operations.dispatch import OPERATIONS
from bursar.dynamo.server.x_amz_target import DATA_OPERATIONS, STREAM_OPERATIONS

PAGE = Path(__file__).parent.parent / "docs" / "compatibility.md"
SERVICES = {"dynamodb": DATA_OPERATIONS, "dynamodbstreams": STREAM_OPERATIONS}
STATUSES = ("passed", "failed", "skipped")
SERVED = "served"
ABSENT = "**missing**: UnknownOperationException"


def operations_table() -> str:
    """Return the table of every operation of both services, with the engine's answer."""
    lines = ["| service | operation | answer |", "|---|---|---|"]
    for service, names in SERVICES.items():
        for name in names:
            operation = OPERATIONS.get(name)
            lines.append(f"| {service} | {name} | {ABSENT if operation is None else operation.limits or SERVED} |")
    return "\n".join(lines)


def conformance_table(run: dict[str, Any], version: str) -> str:
    """Return the totals and the table by folder of the suite, for one run."""
    counts: dict[str, Counter[str]] = {}
    for folder, status in _outcomes(run):
        counts.setdefault(folder, Counter())[status] += 1
    day = datetime.fromtimestamp(run["startTime"] / 1000, UTC).date()
    return "\n".join(
        [
            f"Run of {day}, suite {version}: {totals(run)}.",
            "",
            f"| tests | {' | '.join(STATUSES)} |",
            "|---|---:|---:|---:|",
            *(
                f"| {folder} | {' | '.join(str(count[status]) for status in STATUSES)} |"
                for folder, count in sorted(counts.items())
            ),
        ]
    )


def totals(run: dict[str, Any]) -> str:
    """Return the suite's two figures: divergence is failed / all tests, coverage is (passed + failed) / all tests."""
    count = Counter(status for _, status in _outcomes(run))
    tests = count.total()
    divergence, coverage = (100 * part / max(1, tests) for part in (count["failed"], tests - count["skipped"]))
    passed = f"**{count['passed']} of {tests}** tests passed"
    return f"{passed}; divergence **{divergence:.1f} %**, coverage **{coverage:.1f} %**"


def suite_version(suite: Path, commit: str | None) -> str:
    """Return the version and the commit of a checkout of the suite."""
    version = json.loads((suite / "package.json").read_text(encoding="utf-8")).get("version", "without a version")
    if commit is None:
        command = ("git", "-C", str(suite), "rev-parse", "--short=12", "HEAD")
        commit = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return f"{version} at commit {commit}"


def _outcomes(run: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (folder, status) of each test; a test that neither passed nor failed was skipped."""
    for file in run["testResults"]:
        folder = Path(file["name"].partition("/tests/")[2]).parent.as_posix()
        for test in file["assertionResults"]:
            yield folder, test["status"] if test["status"] in STATUSES else "skipped"


def replaced(page: str, section: str, text: str) -> str:
    """Return ``page`` with ``text`` between the marks of a section."""
    marks = f"(<!-- {section} -->\n).*?(<!-- end of {section} -->)"
    written, found = re.subn(marks, lambda mark: f"{mark[1]}{text}\n{mark[2]}", page, flags=re.DOTALL)
    if not found:
        raise SystemExit(f"{PAGE} has no section {section}")
    return written


def main() -> None:
    """Run the command."""
    page = replaced(PAGE.read_text(encoding="utf-8"), "operations", operations_table())
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
