"""DynamoDB for tests: in this process, or in a server with an address.

    with InProcess() as dynamodb:                            with Server() as server:
        dynamodb.client.put_item(…)                              boto3.client("dynamodb", endpoint_url=server.url)

Both hold their tables in memory. The pytest plugin (:mod:`bursar.dynamo.tools.pytest_plugin`) has them as fixtures.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson

from bursar.dynamo.clients.boto3_in_process import boto3_client, boto3_resource, boto3_streams_client
from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.regions import DEFAULT_REGION, check_region
from bursar.dynamo.server.x_amz_target import DATA_TARGET
from bursar.dynamo.storage.sqlite_file import MEMORY
from bursar.dynamo.tools.dump_and_load import table_names
from bursar.dynamo.tools.seeding import seed

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_dynamodb import DynamoDBClient, DynamoDBServiceResource

    from bursar.dynamo.weather.settings import Weather

ANSWERS_WITHIN_S = 60.0
ENDS_WITHIN_S = 10.0
_HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Date": "20260101T000000Z",
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host;x-amz-date;x-amz-target, Signature=00",
}
"""The headers of a request. A server without access keys requires a signature, but does not verify it."""
PROFILE = ("AWS_PROFILE", "AWS_SESSION_TOKEN")
"""The environment variables that would make an SDK use another account."""


class InProcess:
    """A separate engine with boto3 on it, without a server and sockets. boto3 is imported when it is used."""

    def __init__(
        self, weather: "str | Weather" = "calm", seed: int | None = None, *, region: str = DEFAULT_REGION
    ) -> None:
        """Make an empty database. ``weather`` is calm, typical, storm, the path of a TOML file, or a ``Weather``.

        ``region`` is the region of the clients, ARNs and stream records. Raises ``WeatherError`` (a ``ValueError``) for
        any other weather, and ``ValueError`` for a text that is no region's name.
        """
        if weather == "calm":
            self.engine = Engine.open(MEMORY, region=region)
        else:
            self.engine = _weather_engine(weather, seed, region)

    @cached_property
    def client(self) -> "DynamoDBClient":
        """Return boto3's client."""
        return boto3_client(self.engine)

    @cached_property
    def resource(self) -> "DynamoDBServiceResource":
        """Return boto3's resource, which has ``Table``."""
        return boto3_resource(self.engine)

    @cached_property
    def streams(self) -> "BaseClient":
        """Return boto3's client of DynamoDB Streams."""
        return boto3_streams_client(self.engine)

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an operation in DynamoDB JSON, without boto3. Raises ``DynamoError``."""
        return self.engine.execute(operation, request)

    @property
    def happened(self) -> dict[tuple[str, str], int]:
        """Return the counts of weather events by (table, kind of weather)."""
        return self.engine.happened()

    @property
    def weather_report(self) -> str:
        """Return the weather, its seed and its counts, in one line; an empty text if it is calm."""
        return self.engine.weather_report()

    def seed(self, *files: str | Path) -> dict[str, int]:
        """Make the tables of files and put their items; return the number of items of each. Raises ``SeedError``."""
        with self.calm():
            paths = [Path(file) for file in files]
            rules = self.engine.put_rules_document
            return seed(self.execute, paths, put_rules=rules, region=self.engine.region)

    def calm(self) -> AbstractContextManager[None]:
        """Return a context in which requests have no weather, for the parts of a test that prepare and verify."""
        return self.engine.calm()

    def close(self) -> None:
        """Forget the tables."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()


class Server:
    """`bursar dynamo` in a child process, on a free port of loopback, until :meth:`close`."""

    def __init__(self, *, region: str = DEFAULT_REGION, options: Sequence[str] = ()) -> None:
        """Start the server, with further options of the command."""
        self._region = check_region(region)
        served = ("--data", MEMORY, "--port", "0", "--region", region, *options)
        command = (sys.executable, "-m", "bursar", "dynamo", *served)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        self.url = said.partition('endpoint_url="')[2].partition('"')[0]
        if not self.url:
            self.close()
            raise RuntimeError("the server did not start")

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables with which every SDK of Amazon's finds the server; :data:`PROFILE` must be unset."""
        return {
            "AWS_ENDPOINT_URL_DYNAMODB": self.url,
            "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": self._region,
            "AWS_REGION": self._region,
        }

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an operation in DynamoDB JSON. Raises ``DynamoError``."""
        headers = {**_HEADERS, "X-Amz-Target": f"{DATA_TARGET}.{operation}"}
        with closing(HTTPConnection(self.url.removeprefix("http://"), timeout=ANSWERS_WITHIN_S)) as connection:
            connection.request("POST", "/", orjson.dumps(request), headers)
            response = connection.getresponse()
            answer: dict[str, Any] = orjson.loads(response.read())
        if response.status != 200:
            raise DynamoError(answer["__type"].rpartition("#")[2], answer.get("message", ""))
        return answer

    def seed(self, *files: str | Path) -> dict[str, int]:
        """Make the tables of files and put their items; return the number of items of each. Raises ``SeedError``."""
        return seed(self.execute, [Path(file) for file in files], region=self._region)

    def clear(self) -> None:
        """Delete all tables."""
        for table in table_names(self.execute):
            if self.execute("DescribeTable", {"TableName": table})["Table"].get("DeletionProtectionEnabled"):
                self.execute("UpdateTable", {"TableName": table, "DeletionProtectionEnabled": False})
            self.execute("DeleteTable", {"TableName": table})

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()


def _weather_engine(weather: "str | Weather", seed: int | None, region: str) -> Engine:
    from bursar.dynamo.weather.engine import WeatherEngine
    from bursar.dynamo.weather.settings import named_weather

    chosen = named_weather(weather, seed) if isinstance(weather, str) else weather
    return WeatherEngine.open(MEMORY, region=region, weather=chosen)
