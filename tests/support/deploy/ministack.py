"""AWS as a whole on this machine: ministack in its own environment, with the stack of the template."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.deploy.template import ROOT, TEMPLATE

MINISTACK: Final = ROOT / ".tools" / "cloud" / "bin" / "python"
REGION: Final = "us-east-1"
STACK: Final = "bursar"
PACKAGES_BUCKET: Final = "packages"
WAIT_S_MAX: Final = 180.0
POLL_S: Final = 0.5

T = TypeVar("T")


class Cloud:
    """A running ministack. ``client`` makes boto3 clients of it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.host = f"127.0.0.1:{port}"

    def client(self, service: str) -> Any:
        import boto3

        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="000000000000",
            aws_secret_access_key="test",
        )

    def deploy(self, packages: Path, parameters: Mapping[str, str]) -> dict[str, str]:
        """Create the stack from the packages in a folder, and return its outputs."""
        s3, stacks = self.client("s3"), self.client("cloudformation")
        s3.create_bucket(Bucket=PACKAGES_BUCKET)
        for package in packages.glob("*.zip"):
            s3.upload_file(str(package), PACKAGES_BUCKET, package.name)
        template = TEMPLATE.read_text().replace("../dist/", f"s3://{PACKAGES_BUCKET}/")
        # Arrow's S3 client does not read AWS_ENDPOINT_URL.
        template = template.replace("/lake?glue", f"/lake?s3.endpoint={self.url}&glue")
        stacks.create_stack(
            StackName=STACK,
            TemplateBody=template,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )

        def ended() -> dict[str, Any] | None:
            (stack,) = stacks.describe_stacks(StackName=STACK)["Stacks"]
            return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

        stack = eventually(ended)
        if stack["StackStatus"] != "CREATE_COMPLETE":
            events = stacks.describe_stack_events(StackName=STACK)["StackEvents"]
            failed = [each for each in events if each["ResourceStatus"].endswith("FAILED")]
            raise AssertionError(f"{stack['StackStatus']}: {failed}")
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def function(self, logical_name: str) -> str:
        """Return the name of a function of the stack."""
        found = self.client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=logical_name)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def call(
        self, api_id: str, keys: Mapping[str, str], method: str, path: str, body: Any = None
    ) -> tuple[int, dict[str, Any]]:
        """Call the API as an application does, signed by the keys of its role."""
        content = b"" if body is None else json.dumps(body).encode()
        url = f"{self.url}{path}"
        headers = {"Host": f"{api_id}.execute-api.localhost:{self.host.partition(':')[2]}"}
        if content:
            headers["Content-Type"] = "application/json"
        signed = AWSRequest(method, url, data=content, headers=headers)
        credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        SigV4Auth(credentials, "execute-api", REGION).add_auth(signed)
        request = urllib.request.Request(url, content or None, dict(signed.headers.items()), method=method)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S_MAX) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")


@contextmanager
def running(folder: Path) -> Iterator[Cloud]:
    """Run ministack on a free port of the loopback interface for the length of a ``with``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with (folder / "ministack.log").open("wb") as log:
        process = subprocess.Popen(
            [MINISTACK, "-m", "ministack"], env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            cloud = Cloud(port)
            eventually(lambda: _answers(port))
            yield cloud
        finally:
            process.terminate()
            process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def eventually(ask: Callable[[], T | None]) -> T:
    """Return the first true answer of ``ask``, asked again until ``WAIT_S_MAX``. Raises ``AssertionError``."""
    ends = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < ends:
        answer = ask()
        if answer:
            return answer
        time.sleep(POLL_S)
    raise AssertionError(f"no answer within {WAIT_S_MAX:.0f} s")
