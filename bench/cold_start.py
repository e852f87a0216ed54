"""Measure the cold start of the portal's function: CPU time and memory of a fresh process, import and first answer.

    python -m bench.cold_start            # prints the median of 9 processes

The code has its byte code, as in the package, and the store is `bursar dynamo` in another process. Lambda's own start
of an instance is not measured.
"""

import asyncio
import compileall
import os
import py_compile
import shutil
import statistics
import subprocess
import sys
import tempfile
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


def main() -> None:
    """Print the median CPU time in seconds, and the largest resident memory in MB."""
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
            measured = [_measure(folder, url) for _ in range(PROCESSES)]
        finally:
            server.kill()
    cpu_s, memory_mb = zip(*measured, strict=True)
    print(f"CPU {statistics.median(cpu_s):.3f} s (least {min(cpu_s):.3f} s), memory {max(memory_mb):.0f} MB", end="")
    print(f"; Python {sys.version.split()[0]}, {PROCESSES} processes")


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
