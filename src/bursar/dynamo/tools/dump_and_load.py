"""Copy tables out of a store and into one: a dump is text, one JSON document a line.

    {"CreateTable": {…}}                 a table's definition, as CreateTable takes it; "Rules" beside it, if it has any
    {"Item": {…}}                        the items of the table above, as in Amazon's DYNAMODB_JSON exports
    …

A dump is read page by page, so it is not a snapshot if other processes write. It may be compressed by gzip. The store
is anything that executes operations: an engine in this process, or a server of DynamoDB's API.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import IO, Any, Final

import orjson

from bursar.dynamo.errors import DynamoError

BATCH_ITEMS_MAX = 25
LINE_BYTES_MAX = 4 * 1024 * 1024
"""The longest line, which is longer than any item or definition."""
GZIP = b"\x1f\x8b"

Execute = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Carries out an operation and returns its response. Raises ``DynamoError``."""
Progress = Callable[[int], None]
"""A callback with the number of items read or written since the last call."""

_VECTOR_INDEX_MEMBERS: Final = (
    "IndexName",
    "SearchSchema",
    "Projection",
    "VectorAttribute",
    "Dimensions",
    "DistanceFunction",
)
_INDEX_MEMBERS: Final = ("IndexName", "KeySchema", "Projection", "OnDemandThroughput")
_TABLE_MEMBERS: Final = (
    "TableName",
    "AttributeDefinitions",
    "KeySchema",
    "StreamSpecification",
    "OnDemandThroughput",
    "DeletionProtectionEnabled",
)


class DumpError(ValueError):
    """A line is not part of a dump; the message contains the line's number and the reason."""


def table_names(execute: Execute) -> list[str]:
    """Return the names of all tables, sorted."""
    names: list[str] = []
    request: dict[str, Any] = {}
    while True:
        page = execute("ListTables", request)
        names += page["TableNames"]
        if "LastEvaluatedTableName" not in page:
            return names
        request = {"ExclusiveStartTableName": page["LastEvaluatedTableName"]}


def describe(execute: Execute, table: str) -> dict[str, Any]:
    """Return a table's description. Raises ``DynamoError`` when there is none."""
    description: dict[str, Any] = execute("DescribeTable", {"TableName": table})["Table"]
    return description


def dump(
    execute: Execute, tables: Iterable[str], progress: Progress, rules_of: Callable[[str], str | None] | None = None
) -> Iterator[bytes]:
    """Return the lines of a dump of ``tables``, each with its newline. Raises ``DynamoError`` for a missing table.

    ``rules_of`` returns the rules of a table, if the store has rules.
    """
    for table in tables:
        head: dict[str, Any] = {"CreateTable": create_table_request(describe(execute, table))}
        rules = rules_of(table) if rules_of is not None else None
        if rules is not None:
            head["Rules"] = rules
        yield orjson.dumps(head) + b"\n"
        request: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
        while True:
            page = execute("Scan", request)
            for item in page["Items"]:
                yield orjson.dumps({"Item": item}) + b"\n"
            progress(len(page["Items"]))
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def load(
    execute: Execute,
    lines: Iterable[bytes],
    progress: Progress,
    *,
    add: bool = False,
    skip: Container[str] = (),
    put_rules: Callable[[str, str], None] | None = None,
) -> dict[str, int]:
    """Create the tables of a dump and put their items; return the number of items of each table.

    The tables of ``skip`` are not changed; ``put_rules`` gives a table its rules. Raises :class:`DumpError` for a table
    that already exists, unless ``add``: then its items are put, over those with the same key. Raises ``DynamoError``
    for requests that the store refuses.
    """
    counts: dict[str, int] = {}
    rules: dict[str, str] = {}
    table = ""
    batch: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        document = _document(number, line)
        if "CreateTable" in document:
            put_items(execute, table, batch, progress)
            table = _table_name(number, document["CreateTable"])
            if table in skip:
                continue
            _create(execute, number, document["CreateTable"], add)
            counts[table] = 0
            if "Rules" in document:
                if put_rules is None:
                    raise DumpError(f"line {number}: table {table} has rules, which only a file can hold")
                rules[table] = document["Rules"]
        elif "Item" in document and table in skip:
            continue
        elif "Item" in document and table:
            batch.append(document["Item"])
            counts[table] += 1
            if len(batch) == BATCH_ITEMS_MAX:
                put_items(execute, table, batch, progress)
        else:
            got = ", ".join(document) or "an empty object"
            raise DumpError(f"line {number}: must be a CreateTable, or an Item after one; got {got}")
    put_items(execute, table, batch, progress)
    # The rules come last: the items obeyed the rules when they were dumped, and an engine that cannot read rules
    # accepts no write.
    for ruled, text in rules.items():
        assert put_rules is not None  # checked where the rules were read
        put_rules(ruled, text)
    return counts


def create_table_request(description: dict[str, Any]) -> dict[str, Any]:
    """Return the CreateTable request for the table that ``description`` (DescribeTable's) describes."""
    request: dict[str, Any] = {member: description[member] for member in _TABLE_MEMBERS if member in description}
    billing = description.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    request["BillingMode"] = billing
    if billing == "PROVISIONED":
        request["ProvisionedThroughput"] = _throughput(description)
    if "TableClassSummary" in description:
        request["TableClass"] = description["TableClassSummary"]["TableClass"]
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        for index in description.get(member, ()):
            kept = {name: index[name] for name in _INDEX_MEMBERS if name in index}
            if billing == "PROVISIONED" and member == "GlobalSecondaryIndexes":
                kept["ProvisionedThroughput"] = _throughput(index)
            request.setdefault(member, []).append(kept)
    for index in description.get("VectorIndexes", ()):
        kept = {name: index[name] for name in _VECTOR_INDEX_MEMBERS if name in index}
        request.setdefault("VectorIndexes", []).append(kept)
    return request


def _throughput(description: dict[str, Any]) -> dict[str, int]:
    throughput = description["ProvisionedThroughput"]
    return {unit: throughput[unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits")}


def _document(number: int, line: bytes) -> dict[str, Any]:
    if len(line) > LINE_BYTES_MAX:
        raise DumpError(f"line {number}: must have at most {LINE_BYTES_MAX} bytes; got {len(line)} or more")
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DumpError(f"line {number}: must be JSON: {error}") from None
    if not isinstance(document, dict):
        raise DumpError(f"line {number}: must be a JSON object; got {type(document).__name__}")
    return document


def _table_name(number: int, request: Any) -> str:
    if not isinstance(request, dict) or not isinstance(request.get("TableName"), str):
        raise DumpError(f"line {number}: CreateTable must have a TableName")
    table: str = request["TableName"]
    return table


def _create(execute: Execute, number: int, request: Mapping[str, Any], add: bool) -> None:
    try:
        execute("CreateTable", request)
    except DynamoError as error:
        if error.code != "ResourceInUseException":
            raise
        if not add:
            name = request["TableName"]
            raise DumpError(f"line {number}: table {name} exists already; --add puts items into it") from None


def put_items(execute: Execute, table: str, batch: list[dict[str, Any]], progress: Progress) -> None:
    """Put at most 25 items into a table, and empty the list."""
    waiting: dict[str, Any] = {table: [{"PutRequest": {"Item": item}} for item in batch]} if batch else {}
    while waiting:
        waiting = execute("BatchWriteItem", {"RequestItems": waiting}).get("UnprocessedItems", {})
    progress(len(batch))
    batch.clear()


def lines_of(source: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a dump, compressed or not. Raises :class:`DumpError` for a damaged archive."""
    content = unpacked(source)
    try:
        yield from iter(lambda: content.readline(LINE_BYTES_MAX + 1), b"")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DumpError(f"the archive is damaged: {error}") from None


def unpacked(source: Any) -> IO[bytes] | gzip.GzipFile:
    """Return the content of a file that gzip may have compressed."""
    buffered = source if isinstance(source, io.BufferedReader) else io.BufferedReader(source)
    return gzip.open(buffered) if is_packed(buffered) else buffered


def is_packed(file: io.BufferedReader) -> bool:
    """Return whether gzip has compressed a file that is open at its start."""
    return file.peek(len(GZIP))[: len(GZIP)] == GZIP
