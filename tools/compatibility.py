"""Write the tables of docs/compatibility.md: the operations, and the counts of the public conformance suite.

    .venv/bin/python tools/compatibility.py [--conformance results.json --suite CHECKOUT]

The operations come from the engine's dispatch table. ``results.json`` is written by ``npx vitest run --reporter=json
--outputFile=results.json`` in a checkout of github.com/nubo-db/dynamodb-conformance, with DYNAMODB_ENDPOINT at a
`bursar dynamo`. The text around the tables is written by hand and kept.
"""

import argparse
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bursar.dynamo.operations.dispatch import OPERATIONS
from bursar.dynamo.server.x_amz_target import DATA_OPERATIONS, STREAM_OPERATIONS

PAGE = Path(__file__).parent.parent / "docs" / "compatibility.md"
SERVICES = {"dynamodb": DATA_OPERATIONS, "dynamodbstreams": STREAM_OPERATIONS}
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


def conformance_table(run: dict[str, Any], commit: str) -> str:
    """Return the table of passed tests by folder of the suite, for one run."""
    counts: dict[str, list[int]] = {}
    for folder, passed in _outcomes(run):
        count = counts.setdefault(folder, [0, 0])
        count[0] += passed
        count[1] += 1
    day = datetime.fromtimestamp(run["startTime"] / 1000, UTC).date()
    passed, tests = (sum(count[at] for count in counts.values()) for at in (0, 1))
    return "\n".join(
        [
            f"Run of {day}, suite at commit {commit}: **{passed} of {tests}** tests passed.",
            "",
            "| tests | passed | of |",
            "|---|---:|---:|",
            *(f"| {folder} | {count[0]} | {count[1]} |" for folder, count in sorted(counts.items())),
        ]
    )


def _outcomes(run: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield (folder, 1 for passed) of each test; a skipped test has not passed."""
    for file in run["testResults"]:
        folder = Path(file["name"].partition("/tests/")[2]).parent.as_posix()
        for test in file["assertionResults"]:
            yield folder, int(test["status"] == "passed")


def replaced(page: str, section: str, text: str) -> str:
    """Return ``page`` with ``text`` between the marks of a section."""
    marks = f"(<!-- {section} -->\n).*?(<!-- end of {section} -->)"
    written, found = re.subn(marks, lambda mark: f"{mark[1]}{text}\n{mark[2]}", page, flags=re.DOTALL)
    if not found:
        raise SystemExit(f"{PAGE} has no section {section}")
    return written


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--conformance", type=Path, metavar="JSON", help="a run's result")
    parser.add_argument("--suite", type=Path, metavar="FOLDER", help="the suite's checkout, for its commit")
    arguments = parser.parse_args()
    page = replaced(PAGE.read_text(encoding="utf-8"), "operations", operations_table())
    if arguments.conformance:
        if not arguments.suite:
            parser.error("--conformance needs --suite")
        commit = subprocess.run(
            ["git", "-C", arguments.suite, "rev-parse", "--short=12", "HEAD"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        run = json.loads(arguments.conformance.read_text(encoding="utf-8"))
        page = replaced(page, "conformance", conformance_table(run, commit))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
