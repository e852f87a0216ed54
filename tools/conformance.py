"""Run the public conformance suite against `bursar dynamo`, and write its figures to docs/compatibility.md.

    .venv/bin/python tools/conformance.py CHECKOUT [--region REGION] [--commit NAME] [--report FILE] [TEST …]

CHECKOUT is a checkout of github.com/paritysuite/dynamodb-conformance with its packages installed (`npm ci`). Each
failed test is printed, and the totals last. With TESTs (files, as vitest takes them) or a REGION other than us-east-1,
the page is left alone. The exit code is 1 when a test failed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bursar.dynamo.tools.testing import Server  # noqa: E402 - the tool runs as a script too
from tools import compatibility  # noqa: E402 - likewise

FAILURE_CHARACTERS_MAX = 300
PAGE_REGION = "us-east-1"  # the region of the page's figures
SUITE_KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}


def run_suite(suite: Path, report: Path, tests: list[str], region: str) -> dict[str, Any]:
    """Run the suite against a separate engine of a region and return vitest's report."""
    command = ["npx", "vitest", "run", "--reporter=json", f"--outputFile={report}", *tests]
    with Server(region=region) as server:
        environment = {**os.environ, **SUITE_KEYS, "AWS_REGION": region, "DYNAMODB_ENDPOINT": server.url}
        code = subprocess.run(command, cwd=suite, env=environment, stdout=sys.stderr, check=False).returncode
    if not report.exists():
        raise SystemExit(f"vitest ended with code {code} and no report")
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def failures(run: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each failed test: its name, and the start of what it said."""
    for file in run["testResults"]:
        for test in file["assertionResults"]:
            if test["status"] == "failed":
                said = " ".join("".join(test["failureMessages"]).split())[:FAILURE_CHARACTERS_MAX]
                yield f"{test['fullName']}: {said}"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("suite", type=Path, metavar="CHECKOUT")
    parser.add_argument("tests", nargs="*", metavar="TEST")
    parser.add_argument("--region", default=PAGE_REGION, help=f"the engine's region ({PAGE_REGION})")
    parser.add_argument("--commit", help="the suite's commit, where the folder is not a Git checkout")
    parser.add_argument("--report", type=Path, metavar="FILE", help="keep vitest's report here")
    arguments = parser.parse_args()
    if not (arguments.suite / "node_modules").is_dir():
        parser.error(f"{arguments.suite} has no packages: run `npm ci` there")
    with tempfile.TemporaryDirectory() as folder:
        report = arguments.report.resolve() if arguments.report else Path(folder) / "results.json"
        run = run_suite(arguments.suite, report, arguments.tests, arguments.region)
    for line in failures(run):
        print(line)
    version = compatibility.suite_version(arguments.suite, arguments.commit)
    if not arguments.tests and arguments.region == PAGE_REGION:
        page = compatibility.PAGE.read_text(encoding="utf-8")
        table = compatibility.conformance_table(run, version)
        compatibility.PAGE.write_text(compatibility.replaced(page, "conformance", table), encoding="utf-8")
    print(compatibility.totals(run))
    return int(run["numFailedTests"] > 0 or not run["numTotalTests"])


if __name__ == "__main__":
    sys.exit(main())
