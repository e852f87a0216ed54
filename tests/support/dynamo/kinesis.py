"""Data streams of Kinesis: in memory for the deliveries of one loop, and by moto's server for whole ones."""

import asyncio
import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bursar.clock import Clock, system_clock
from bursar.dynamo.engine.captured_changes import CapturedChanges
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.tools.delivering.delivery import Rejected
from bursar.dynamo.tools.delivering.kinesis_destinations import KinesisDestinations
from bursar.dynamo.tools.delivering.kinesis_records import KinesisRecord
from bursar.dynamo.tools.delivering.kinesis_target import KinesisTarget
from bursar.web.aws import FixedKeys
from bursar.web.sigv4_signing import AwsKeys

STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
WITHIN_S = 120.0
KEYS: Any = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}


class MemoryTarget(KinesisTarget):
    """A server of Kinesis that keeps what it gets. With ``randomness`` it refuses some records, or all."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "us-east-1", FixedKeys(AwsKeys("x", "y")), lambda: 0.0)
        self.usable: bool | None = True
        """Whether data streams can be used; None for a server that does not answer."""
        self.requests: list[list[KinesisRecord]] = []
        self.received: list[KinesisRecord] = []
        self.randomness: random.Random | None = None

    async def is_usable(self, arn: str) -> bool:
        """See :class:`KinesisTarget`."""
        if self.usable is None:
            raise Rejected("no answer")
        return self.usable

    async def _put(self, arn: str, request: list[KinesisRecord]) -> set[int]:
        if self.usable is None:
            raise Rejected("no answer")
        self.requests.append(request)
        refused: set[int] = set()
        if self.randomness is not None:
            refused = {record.sequence for record in request if self.randomness.random() < 0.3}
        self.received += [record for record in request if record.sequence not in refused]
        if len(refused) == len(request):
            raise Rejected("all of them")
        return refused

    def events(self) -> list[dict[str, Any]]:
        """Return what the records say, in the order of their arrival."""
        return [json.loads(record.data) for record in self.received]


def delivered(
    engine: AsyncEngine, target: KinesisTarget, until: Callable[[], bool], *, clock: Clock, reports: list[str]
) -> None:
    """Deliver in an event loop whose pauses are short, until a condition holds."""

    async def turn(_: float) -> None:
        await asyncio.sleep(0.001 if isinstance(target, MemoryTarget) else 0.01)

    async def run() -> None:
        destinations = KinesisDestinations(
            CapturedChanges(engine), target, clock=clock, sleep=turn, report=reports.append
        )
        running = asyncio.create_task(destinations.run())
        async with asyncio.timeout(WITHIN_S):
            while not until():
                await turn(0)
        running.cancel()
        outcome = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(outcome[0], asyncio.CancelledError), outcome
        await target.close()

    asyncio.run(run())


class MotoKinesis:
    """moto's server with one data stream; ``before_answer`` is called after each request, by its operation."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._served, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.before_answer: Callable[[str], None] = lambda _operation: None
        self.signatures: set[str] = set()

    def _served(self, environ: dict[str, Any], start_response: Any) -> Any:
        answer = self._app(environ, start_response)
        self.signatures.add(environ.get("HTTP_AUTHORIZATION", "").partition(", SignedHeaders")[0])
        self.before_answer(environ.get("HTTP_X_AMZ_TARGET", "").partition(".")[2])
        return answer

    def target(self) -> KinesisTarget:
        """Return the server as the target of deliveries."""
        return KinesisTarget(self.url, "us-east-1", FixedKeys(AwsKeys("x", "y")), system_clock)

    @contextmanager
    def running(self) -> Iterator[Any]:
        """Serve for the length of a ``with``; yield a client of Kinesis."""
        import boto3

        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield boto3.client("kinesis", endpoint_url=self.url, **KEYS)
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def records_of(client: Any, name: str) -> list[dict[str, Any]]:
    """Return the records of a data stream, shard after shard."""
    records: list[dict[str, Any]] = []
    for shard in client.list_shards(StreamName=name)["Shards"]:
        place = {"StreamName": name, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = client.get_shard_iterator(**place)["ShardIterator"]
        records += client.get_records(ShardIterator=iterator)["Records"]
    return [json.loads(record["Data"]) | {"PartitionKey": record["PartitionKey"]} for record in records]


def in_order(events: Sequence[dict[str, Any]], value: Callable[[dict[str, Any]], Any]) -> dict[str, list[Any]]:
    """Return the values of each item's events, each value where it came first."""
    values: dict[str, list[Any]] = {}
    for event in events:
        of_item = values.setdefault(json.dumps(event["dynamodb"]["Keys"]), [])
        if value(event) not in of_item:
            of_item.append(value(event))
    return values
