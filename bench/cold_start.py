"""Measure the cold start of the portal's function: CPU time and memory of a fresh process, import and first answer.

    python -m bench.cold_start                       # prints the median of 9 processes
    python -m bench.cold_start --peer HANDLER.js     # and that of another portal's handler in Node, in turns

The code has its byte code, as in the package, and the store is `bursar dynamo` in another process. Lambda's own start
of an instance is not measured.

HANDLER.js is the bundle that the other portal's own build makes of one handler. It is called with an event of API
Gateway, and inherits the environment: the closest portal needs APP_ENV=prod NODE_ENV=production LOG_LEVEL=silent. An
answer that reports an error is an answer, so its time is a lower bound.
"""

import argparse
import asyncio
import compileall
import os
import py_compile
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bursar.bootstrap.composition import Composition
from bursar.settings import Settings
from tests.support.dynamo.served import Served

PROCESSES: Final = 9
ROOT: Final = Path(__file__).resolve().parent.parent
CLIENTS: Final = '[clients.dawson]\nrole_arn = "arn:aws:iam::123456789012:role/dawson"\nfees = "*"\n'
FIRST_ANSWER: Final = """
import resource, time
from bursar.bootstrap.lambda_functions.portal import handler
event = {
    "version": "2.0", "rawPath": "/details/0b5c6f6e-0000-4000-8000-000000000001", "rawQueryString": "", "headers": {},
    "requestContext": {
        "http": {"method": "GET"}, "stage": "$default", "requestId": "r-1",
        "authorizer": {"iam": {"userArn": "arn:aws:sts::123456789012:assumed-role/dawson/session-1"}},
    },
}
assert handler(event, None)["statusCode"] == 404
print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
PEER_ANSWER: Final = """
const exported = require(process.argv[1]);
const handler = exported.handler ?? Object.values(exported)[0];
const event = {pathParameters: {transactionReferenceId: "0b5c6f6e-0000-4000-8000-000000000001"}, headers: {},
  requestContext: {identity: {userArn: "arn:aws:sts::123456789012:assumed-role/dawson/session-1"}}};
const measured = () => {
  const used = process.resourceUsage();
  process.stdout.write(`\\n${(used.userCPUTime + used.systemCPUTime) / 1e6} ${used.maxRSS / 1024}\\n`);
  process.exit(0);
};
process.on("uncaughtException", measured);
handler(event, {}).then(measured, measured);
"""


def main() -> None:
    """Print the median CPU time in seconds, and the largest resident memory in MB."""
    parser = argparse.ArgumentParser(description="Measure the cold start of the portal's function.")
    parser.add_argument("--peer", type=Path, metavar="HANDLER.js", help="Another portal's handler for Node.")
    peer = parser.parse_args().peer
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(ROOT / "src" / "bursar", folder / "task" / "bursar")
        compileall.compile_dir(
            folder / "task", quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
        (folder / "clients.toml").write_text(CLIENTS)
        server = Served(str(folder / "store.db"))
        try:
            url = server.url.replace("http", "dynamodb+http")
            asyncio.run(_make_table(url))
            measured = [(_measure(folder, url), peer and _measure_peer(peer)) for _ in range(PROCESSES)]
        finally:
            server.kill()
    print(f"Python {sys.version.split()[0]}, {PROCESSES} processes: {_summary([ours for ours, _ in measured])}")
    if peer:
        print(f"{peer.name} in Node, in turns with them: {_summary([theirs for _, theirs in measured])}")


def _summary(measured: Sequence[tuple[float, float]]) -> str:
    cpu_s, memory_mb = zip(*measured, strict=True)
    return f"CPU {statistics.median(cpu_s):.3f} s (least {min(cpu_s):.3f} s), memory {max(memory_mb):.0f} MB"


def _measure_peer(handler: Path) -> tuple[float, float]:
    printed = subprocess.check_output(
        ["node", "-e", PEER_ANSWER, str(handler.resolve())], text=True, stderr=subprocess.DEVNULL
    )
    cpu_s, memory_mb = map(float, printed.splitlines()[-1].split())
    return cpu_s, memory_mb


async def _make_table(url: str) -> None:
    async with Composition(Settings(store=url)) as parts:
        await parts.ledger()


def _measure(folder: Path, url: str) -> tuple[float, float]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(folder / "task"),
        "AWS_LAMBDA_FUNCTION_NAME": "portal",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "BURSAR_STORE": url,
        "BURSAR_CLIENTS": str(folder / "clients.toml"),
        "BURSAR_PAYGOV_URL": "http://127.0.0.1:1/",
        "BURSAR_PAYMENT_URL": "http://127.0.0.1:1/",
    }
    printed = subprocess.check_output(
        [sys.executable, "-c", FIRST_ANSWER], text=True, env=environment, stderr=subprocess.DEVNULL
    )
    cpu_s, memory_mb = map(float, printed.split())
    return cpu_s, memory_mb


if __name__ == "__main__":
    main()
