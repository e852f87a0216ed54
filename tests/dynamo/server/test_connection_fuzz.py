"""The server with the real engine: any input gets an error of Amazon's or a closed connection, never a 500.

Each example ends with a valid request on another connection, which must be answered: the server never hangs.
"""

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import AsyncEngine, Engine
from bursar.dynamo.operations.dispatch import OPERATIONS
from bursar.dynamo.server.x_amz_target import TARGETS
from tests.support.dynamo.server_clients import connected, raw_request, serving
from tests.support.hypothesis_profiles import examples
from tests.support.raw_client import REPLY_WITHIN_S

TABLE: dict[str, Any] = {
    "TableName": "notes",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}

fuzzed = examples(150)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        ["notes", "pk", ":v", "#n", "pk = :v", "SET a = :v", "ALL_OLD", "AA==", "9" * 50, "1E999", "ü\x00"]
    ),
)
KINDS = ("S", "N", "B", "SS", "NS", "BS", "L", "M", "NULL", "BOOL", "X")
wild = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KINDS, "pk", "a", ""]), inner, max_size=3)
    ),
    max_leaves=12,
)
# One valid request of each kind; the fuzzer replaces some of its parts.
NAMES = {"#n": "n"}
VALUES = {":v": {"N": "1"}}
KEY = {"pk": {"S": "a"}}
CONDITION = {"ConditionExpression": "#n = :v", "ExpressionAttributeNames": NAMES, "ExpressionAttributeValues": VALUES}
ITEM = {
    **KEY,
    "n": {"N": "1"},
    "l": {"L": [{"M": {"b": {"B": "AA=="}}}]},
    "ss": {"SS": ["x", "y"]},
    "z": {"NULL": True},
}
ON = {"TableName": "notes"}
VALID_REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("GetItem", {**ON, "Key": KEY, "ProjectionExpression": "#n, l[0].b", "ExpressionAttributeNames": NAMES}),
    ("PutItem", {**ON, "Item": ITEM, "ReturnValues": "ALL_OLD", "ReturnConsumedCapacity": "INDEXES", **CONDITION}),
    ("UpdateItem", {**ON, "Key": KEY, "UpdateExpression": "SET a = :v ADD c :v REMOVE l[0]", **CONDITION}),
    ("DeleteItem", {**ON, "Key": KEY, "ReturnValues": "NONE", **CONDITION}),
    (
        "Query",
        {
            **ON,
            "KeyConditionExpression": "pk = :p",
            "FilterExpression": "size(#n) > :v",
            "ExpressionAttributeNames": NAMES,
            "ExpressionAttributeValues": {**VALUES, ":p": {"S": "a"}},
            "ExclusiveStartKey": KEY,
            "Limit": 5,
        },
    ),
    ("Scan", {**ON, "Segment": 0, "TotalSegments": 4, "Select": "COUNT"}),
    ("BatchGetItem", {"RequestItems": {"notes": {"Keys": [KEY], "ConsistentRead": True}}}),
    (
        "BatchWriteItem",
        {"RequestItems": {"notes": [{"PutRequest": {"Item": ITEM}}, {"DeleteRequest": {"Key": {"pk": {"S": "b"}}}}]}},
    ),
    ("TransactGetItems", {"TransactItems": [{"Get": {**ON, "Key": KEY}}]}),
    (
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Put": {**ON, "Item": ITEM}},
                {"Update": {**ON, "Key": {"pk": {"S": "b"}}, "UpdateExpression": "SET a = :v", **CONDITION}},
                {"ConditionCheck": {**ON, "Key": {"pk": {"S": "c"}}, **CONDITION}},
            ],
            "ClientRequestToken": "t",
        },
    ),
    ("CreateTable", {**TABLE, "TableName": "more", "Tags": [{"Key": "k", "Value": "v"}]}),
    ("UpdateTable", {**ON, "DeletionProtectionEnabled": True}),
    ("DescribeTable", ON),
    ("ListTables", {"Limit": 1, "ExclusiveStartTableName": "aaa"}),
    ("DeleteTable", ON),
]
SERVICE: Any = get_session().get_service_model("dynamodb")
MEMBERS = {operation: sorted(SERVICE.operation_model(operation).input_shape.members) for operation, _ in VALID_REQUESTS}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, Any]:
    """Draw a valid request with some parts replaced, removed or added."""
    operation, request = draw(st.sampled_from(VALID_REQUESTS))
    request = copy.deepcopy(request)
    for _ in range(draw(st.integers(1, 3))):
        spots = [(request, member) for member in MEMBERS[operation]] + list(_spots(request))
        container, place = draw(st.sampled_from(spots))
        absent = isinstance(container, dict) and place not in container
        if absent or draw(st.booleans()):
            container[place] = draw(wild)
        else:
            del container[place]
    return operation, request


def _spots(container: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a JSON document: its container, and its key or index."""
    places = container.items() if isinstance(container, dict) else enumerate(container)
    for place, value in list(places):
        yield container, place
        if isinstance(value, dict | list):
            yield from _spots(value)


def exchange(raw: bytes, judge: Callable[[int, bytes], None]) -> None:
    """Send ``raw``, pass status and body of each answer to ``judge``, then require an answer to a valid request."""

    async def once() -> None:
        engine = Engine.open(":memory:")
        engine.execute("CreateTable", TABLE)
        shared = AsyncEngine(engine)
        async with serving(shared) as server:
            async with connected(server) as client:
                await client.send(raw)
                client.writer.write_eof()
                answers = await client.ended()
            while answers:
                head, _, rest = answers.partition(b"\r\n\r\n")
                length = next(
                    (int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), 0
                )
                judge(int(head.split()[1]), rest[:length])
                answers = rest[length:]
            async with connected(server) as honest:
                reply = await asyncio.wait_for(honest.ask(raw_request("ListTables")), REPLY_WITHIN_S)
                assert reply.status == 200
        await shared.close()

    asyncio.run(once())


def assert_is_amazons(status: int, body: bytes) -> None:
    assert status in (200, 400), body
    answer = orjson.loads(body)
    if status == 400:
        assert "#" in answer["__type"]
        assert set(answer) <= {"__type", "message", "Message", "Item", "CancellationReasons"}


def assert_is_no_server_error(status: int, body: bytes) -> None:
    assert status < 500, body


def sent(operation: str, body: Any) -> bytes:
    return raw_request(operation, json.dumps(body).encode("utf-8", "surrogatepass"))


@fuzzed
@given(damaged())
def test_requests_with_a_wrong_part_get_amazons_errors(request: tuple[str, Any]) -> None:
    exchange(sent(*request), assert_is_amazons)


@fuzzed
@given(st.sampled_from(sorted(OPERATIONS)), wild)
def test_wild_values_get_amazons_errors(operation: str, body: Any) -> None:
    exchange(sent(operation, body), assert_is_amazons)


@pytest.mark.parametrize(("operation", "request_"), VALID_REQUESTS)
def test_the_requests_before_damage_are_valid(operation: str, request_: dict[str, Any]) -> None:
    """Check that the fuzzer starts from requests that succeed, or whose condition fails on an empty table."""
    answered: list[Any] = []
    exchange(sent(operation, request_), lambda status, body: answered.append((status, body)))
    ((status, body),) = answered
    assert status == 200 or b"ConditionalCheckFailed" in body or b"LimitExceeded" in body, body


VALID = raw_request(
    "PutItem", b'{"TableName":"notes","Item":{"pk":{"S":"a"},"n":{"N":"1.5"},"l":{"L":[{"BOOL":true}]}}}'
)
CHUNKED = raw_request(body=b"", headers={"Content-Length": None, "Transfer-Encoding": "chunked"})


@fuzzed
@given(st.data())
def test_damaged_requests_are_answered_or_ended(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from([VALID, VALID * 3, CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["change", "remove", "insert", "cut"])):
            case "change":
                raw[at] = data.draw(st.integers(0, 255))
            case "remove":
                del raw[at : at + data.draw(st.integers(1, 20))]
            case "insert":
                raw[at:at] = data.draw(st.binary(max_size=20))
            case "cut":
                del raw[at + 1 :]
        if not raw:
            raw = bytearray(b" ")
    exchange(bytes(raw), assert_is_no_server_error)


HEADERS = [
    *("Content-Type", "X-Amz-Target", "Authorization", "X-Amz-Date", "Accept-Encoding", "Content-Encoding", "Origin"),
    *("Expect", "Connection", "Upgrade", "Host", "Transfer-Encoding", "Content-Length", "Date", "Trailer"),
]
header_values = st.one_of(
    st.none(),
    st.sampled_from(["gzip", "gzip;q=x", "chunked", "close", "h2c", "100-continue", "AWS4-", "0", "99", "%s%d"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30),
)


@fuzzed
@given(
    st.dictionaries(st.sampled_from(HEADERS), header_values, max_size=4),
    st.sampled_from(["POST", "GET", "OPTIONS", "HEAD", "CONNECT", "M-SEARCH"]),
    st.sampled_from(["/", "/?X-Amz-Algorithm=a", "//..//", "/\xff", "*", "http://x/"]),
)
def test_wild_headers_are_answered_or_ended(headers: dict[str, str | None], method: str, path: str) -> None:
    exchange(raw_request("ListTables", method=method, path=path, headers=headers), assert_is_no_server_error)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_operation_of_amazons_is_answered(target: bytes) -> None:
    for body in (b"{}", b'{"TableName":"notes"}'):
        exchange(raw_request(body=body, headers={"X-Amz-Target": target.decode()}), assert_is_amazons)


def nested(levels: int) -> bytes:
    return b'{"M":{"a":' * levels + b'{"S":"x"}' + b"}}" * levels


@pytest.mark.parametrize("levels", [31, 32, 33, 200, 500, 5000, 500_000])
def test_deep_nesting_is_bounded(levels: int) -> None:
    statuses = []

    def judge(status: int, body: bytes) -> None:
        assert_is_amazons(status, body)
        statuses.append(status)

    item = b'{"TableName":"notes","Item":{"pk":{"S":"a"},"deep":%b}}' % nested(levels)
    exchange(raw_request("PutItem", item), judge)
    assert statuses == [200 if levels < 32 else 400]
    condition = b"(" * levels + b"pk = :v" + b")" * levels
    exchange(
        raw_request("Scan", orjson.dumps({"TableName": "notes", "FilterExpression": condition.decode()})),
        assert_is_amazons,
    )


@pytest.mark.parametrize("size", [400 * 1024, 1024 * 1024, 5 * 1024 * 1024])
def test_large_bodies_get_amazons_limits(size: int) -> None:
    item = {"pk": {"S": "a"}, "filler": {"S": "x" * size}}
    exchange(raw_request("PutItem", orjson.dumps({"TableName": "notes", "Item": item})), assert_is_amazons)


@pytest.mark.parametrize("text", [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\\ud800", b"\x00", b"\xf8\x88\x80\x80\x80"])
def test_text_that_is_not_utf_8_is_refused(text: bytes) -> None:
    def judge(status: int, body: bytes) -> None:
        assert (status, orjson.loads(body)["__type"]) == (400, "com.amazon.coral.service#SerializationException")

    exchange(raw_request("PutItem", b'{"TableName":"notes","Item":{"pk":{"S":"%b"}}}' % text), judge)
