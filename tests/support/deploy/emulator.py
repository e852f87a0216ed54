"""AWS's emulator of Lambda's runtime: it starts a package as Lambda does, and hands it events one after another.

``tools/install-cloud`` builds the emulator, and installs the client of the runtime that is in Lambda's Python.
"""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.bootstrap.function_calls import init_body
from tests.support.deploy.template import ROOT

CLOUD: Final = ROOT / ".tools" / "cloud"
EMULATOR: Final = CLOUD / "bin" / "aws-lambda-rie"
RUNTIME: Final = CLOUD / "runtime"
PYTHON: Final = CLOUD / "bin" / "python"
PACKAGE: Final = CLOUD / "packages" / "portal.zip"
INVOCATION: Final = "/2015-03-31/functions/function/invocations"
ROLE_ARN: Final = "arn:aws:sts::123456789012:assumed-role/dawson/session-1"
WAIT_S_MAX: Final = 120.0
POLL_S: Final = 0.1


def why_absent() -> str | None:
    """Return why the emulator cannot run, or None."""
    for part in (EMULATOR, RUNTIME, PYTHON, PACKAGE):
        if not part.exists():
            return f"{part.relative_to(ROOT)} is missing: make test-cloud makes it, with Python 3.13 and Go"
    return None


class Function:
    """A function in the emulator. Its log is in ``log``."""

    def __init__(self, port: int, log: Path) -> None:
        self._url = f"http://127.0.0.1:{port}{INVOCATION}"
        self.log = log

    def __call__(self, event: Any) -> Any:
        """Return the function's answer to one event. Raises ``AssertionError`` with the log if it failed."""
        with urllib.request.urlopen(self._url, json.dumps(event).encode(), timeout=WAIT_S_MAX) as reply:
            answer = json.load(reply)
        assert "errorType" not in answer, (answer, self.log.read_text())
        return answer

    def ask(self, method: str, path: str, body: Any = None, arn: str = ROLE_ARN) -> tuple[int, Any]:
        """Call the portal by an event of an HTTP API, payload format 2.0, as API Gateway passes it on."""
        reply = self(http_event(method, path, body, arn))
        return reply["statusCode"], json.loads(reply["body"])

    def begin(self) -> tuple[str, str]:
        """Return (reference, token) of a payment that the payer has not paid yet."""
        reference = str(uuid.uuid4())
        status, answer = self.ask("POST", "/init", init_body(reference))
        assert status == 200, (answer, self.log.read_text())
        return reference, answer["token"]


def http_event(method: str, path: str, body: Any, arn: str) -> dict[str, Any]:
    """Return the event. Source: API Gateway developer guide, "AWS Lambda proxy integrations for HTTP APIs"."""
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "id.execute-api.us-east-1.amazonaws.com"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "id",
            "authorizer": {"iam": {"accountId": "123456789012", "userArn": arn}},
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "requestId": str(uuid.uuid4()),
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        **({} if body is None else {"body": json.dumps(body)}),
        "isBase64Encoded": False,
    }


def unpacked(folder: Path) -> Path:
    """Unpack the package of the portal and the sweeper, and return its folder, as ``/var/task`` is on Lambda."""
    with zipfile.ZipFile(PACKAGE) as package:
        package.extractall(folder / "task")
    return folder / "task"


@contextmanager
def emulated(task: Path, handler: str, variables: Mapping[str, str], folder: Path) -> Iterator[Function]:
    """Run a function of the package ``task`` under the emulator for the length of a ``with``."""
    port, runtime_port = _free_port(), _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": f"{task}:{RUNTIME}",
        "PYTHONSAFEPATH": "1",
        "LAMBDA_TASK_ROOT": str(task),
        "AWS_LAMBDA_FUNCTION_NAME": handler.split(".")[-2],
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(int(WAIT_S_MAX)),
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        **variables,
    }
    command = [
        str(EMULATOR),
        f"--runtime-interface-emulator-address=127.0.0.1:{port}",
        f"--runtime-api-address=127.0.0.1:{runtime_port}",
        str(PYTHON),
        "-m",
        "awslambdaric",
        handler,
    ]
    log = folder / f"{handler}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=task, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_for(port, process)
            yield Function(port, log)
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + WAIT_S_MAX
    while process.poll() is None and time.monotonic() < ends:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(POLL_S)
    raise AssertionError(f"the emulator does not listen; its exit code: {process.returncode}")
