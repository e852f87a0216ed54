"""A server of Kinesis' API as a target: the limits of requests, the order of an item's records, each answer."""

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from bursar.dynamo.tools.delivering.delivery import Rejected
from bursar.dynamo.tools.delivering.kinesis_records import KinesisRecord
from bursar.dynamo.tools.delivering.kinesis_target import KinesisTarget
from bursar.web.aws import FixedKeys
from bursar.web.sigv4_signing import AwsKeys
from tests.support.dynamo.kinesis import STREAM, MemoryTarget

REFUSED: Any = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}
TAKEN: Any = {"SequenceNumber": "1", "ShardId": "shardId-0"}
Answer = tuple[int, Any]


def records(*keys: str, data: bytes = b"{}") -> list[KinesisRecord]:
    return [KinesisRecord(number, key, data) for number, key in enumerate(keys)]


def requests_of(given: list[KinesisRecord]) -> list[list[int]]:
    """Return the numbers of the records in each request."""
    target = MemoryTarget()
    asyncio.run(target.put(STREAM, given, lambda record: target.requests.append([record])))
    return [[record.sequence for record in request] for request in target.requests]


def test_a_request_has_one_record_of_each_key_and_the_limits_of_kinesis() -> None:
    assert requests_of(records(*"XYXZX")) == [[0, 1, 3], [2], [4]]
    assert [len(request) for request in requests_of(records(*map(str, range(1_100))))] == [500, 500, 100]
    large = bytes(1024 * 1024 - 1)
    assert requests_of(records(*"abcdefg", data=large)) == [[0, 1, 2, 3, 4], [5, 6]]
    assert requests_of(records("ab", data=large)) == [[0]], "larger than Kinesis accepts: skipped"


@pytest.fixture
def answers() -> list[Answer]:
    """Return the answers of the server, first to last."""
    return []


@pytest.fixture
def asked() -> list[Any]:
    return []


@pytest.fixture
def target(answers: list[Answer], asked: list[Any]) -> Iterator[KinesisTarget]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.headers["X-Amz-Target"], body))
            status, answer = answers.pop(0)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield KinesisTarget(
        f"http://127.0.0.1:{server.server_port}", "us-east-1", FixedKeys(AwsKeys("x", "y")), lambda: 0.0
    )
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "usable"),
    [
        ((200, {"StreamDescriptionSummary": {"StreamStatus": "ACTIVE"}}), True),
        ((200, {"StreamDescriptionSummary": {"StreamStatus": "CREATING"}}), False),
        ((400, {"__type": "ResourceNotFoundException", "message": "none"}), False),
        ((400, {"__type": "LimitExceededException", "message": "slow down"}), None),
        ((500, {"__type": "InternalFailure"}), None),
        ((200, "no object"), None),
    ],
)
async def test_whether_a_data_stream_can_be_used(
    target: KinesisTarget, answers: list[Answer], answer: Answer, usable: bool | None
) -> None:
    answers.append(answer)
    if usable is None:
        with pytest.raises(Rejected):
            await target.is_usable(STREAM)
    else:
        assert await target.is_usable(STREAM) is usable
    await target.close()


async def test_a_refused_record_is_put_again_before_the_next_of_its_key(
    target: KinesisTarget, answers: list[Answer], asked: list[Any]
) -> None:
    answers += [(200, {"Records": [TAKEN, REFUSED]}), (200, {"Records": [TAKEN, TAKEN]}), (200, {"Records": [TAKEN]})]
    await target.put(STREAM, records(*"XYXY"), lambda _: None)
    assert [(operation, [entry["PartitionKey"] for entry in body["Records"]]) for operation, body in asked] == [
        ("Kinesis_20131202.PutRecords", ["X", "Y"]),
        ("Kinesis_20131202.PutRecords", ["Y", "X"]),
        ("Kinesis_20131202.PutRecords", ["Y"]),
    ]
    assert asked[0][1]["Records"][0]["Data"] == "e30="
    await target.close()


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Records": [REFUSED]}),
        (200, {"Records": []}),
        (400, {"__type": "ResourceNotFoundException", "message": "none"}),
        (503, {}),
    ],
)
async def test_what_was_accepted_before_a_failure_is_known(
    target: KinesisTarget, answers: list[Answer], answer: Answer
) -> None:
    answers += [(200, {"Records": [TAKEN, TAKEN]}), answer]
    with pytest.raises(Rejected) as rejected:
        await target.put(STREAM, records(*"XYX"), lambda _: None)
    assert rejected.value.accepted == 2
    await target.close()


@pytest.mark.parametrize("url", ["127.0.0.1:4566", "ftp://x", "http://", "http://x/?a=b"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must begin with http:// or https:// and have no query"):
        KinesisTarget(url, "us-east-1", FixedKeys(AwsKeys("x", "y")), lambda: 0.0)
