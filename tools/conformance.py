"""Run the public conformance suite against `bursar dynamo`, and write its figures to docs/compatibility.md.

    .venv/bin/python tools/conformance.py CHECKOUT [--region REGION] [--commit NAME | --named TEXT] [--report FILE]
        [TEST …]

CHECKOUT is a checkout of github.com/paritysuite/dynamodb-conformance with its packages installed (`npm ci`). Each
failed test is printed, and the totals last. With TESTs (files, as vitest takes them) or a REGION other than us-east-1,
the page is left alone. The exit code is 1 when a test failed.

The suite sends its requests to S3 and Kinesis to the engine's address. A moto server gets them, and is the engine's
counterpart for `--s3-endpoint` and `--kinesis-endpoint`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bursar.dynamo.tools.testing import Server  # noqa: E402 - the tool runs as a script too
from tools import compatibility  # noqa: E402 - likewise

FAILURE_CHARACTERS_MAX = 300
FORWARDED_WITHIN_S = 60.0
PAGE_REGION = "us-east-1"  # the region of the page's figures
SUITE_KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}


@contextmanager
def beside_counterparts(region: str) -> Iterator[str]:
    """Start an engine of a region, and a server of S3 and Kinesis; yield the address that serves all three."""
    from moto.server import ThreadedMotoServer

    os.environ.update(SUITE_KEYS)  # for the engine's own requests to S3 and Kinesis
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    other = "{}:{}".format(*moto.get_host_and_port())
    options = ("--s3-endpoint", f"http://{other}", "--kinesis-endpoint", f"http://{other}")
    with Server(region=region, options=options) as engine:
        front = ThreadingHTTPServer(("127.0.0.1", 0), _forwarding(engine.url.removeprefix("http://"), other))
        threading.Thread(target=front.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{front.server_port}"
        front.shutdown()
    moto.stop()


def _forwarding(engine: str, other: str) -> type[BaseHTTPRequestHandler]:
    """Return a handler that sends each request to the engine if it is DynamoDB's, and to the other server if not."""

    class Forwarding(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *_: object) -> None:
            """Log nothing."""

        def _forward(self) -> None:
            to = engine if self.headers.get("X-Amz-Target", "").startswith("DynamoDB") else other
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = HTTPConnection(to, timeout=FORWARDED_WITHIN_S)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = _forward  # noqa: N815 - the names of the base class

    return Forwarding


def run_suite(suite: Path, report: Path, tests: list[str], region: str) -> dict[str, Any]:
    """Run the suite against a separate engine of a region and return vitest's report."""
    command = ["npx", "vitest", "run", "--reporter=json", f"--outputFile={report}", *tests]
    with beside_counterparts(region) as url:
        environment = {**os.environ, **SUITE_KEYS, "AWS_REGION": region, "DYNAMODB_ENDPOINT": url}
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
    parser.add_argument("--named", metavar="TEXT", help="what the page calls the suite, where it is not one version")
    parser.add_argument("--report", type=Path, metavar="FILE", help="keep vitest's report here")
    arguments = parser.parse_args()
    if not (arguments.suite / "node_modules").is_dir():
        parser.error(f"{arguments.suite} has no packages: run `npm ci` there")
    with tempfile.TemporaryDirectory() as folder:
        report = arguments.report.resolve() if arguments.report else Path(folder) / "results.json"
        run = run_suite(arguments.suite, report, arguments.tests, arguments.region)
    for line in failures(run):
        print(line)
    version = arguments.named or compatibility.suite_version(arguments.suite, arguments.commit)
    if not arguments.tests and arguments.region == PAGE_REGION:
        page = compatibility.PAGE.read_text(encoding="utf-8")
        table = compatibility.conformance_table(run, version)
        compatibility.PAGE.write_text(compatibility.replaced(page, "conformance", table), encoding="utf-8")
    print(compatibility.totals(run))
    return int(run["numFailedTests"] > 0 or not run["numTotalTests"])


if __name__ == "__main__":
    sys.exit(main())
