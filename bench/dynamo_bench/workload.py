"""The load of every server: four tables, their items of 600 bytes, and one template per operation.

A template is a request in JSON with marks. wrk fills them in Lua, the in-process run in Python:

    @old@   a random existing item           @part@   a random partition of 20 items
    @new@   an id not used before, in no order (one per request)          @any@   a random number
    @scan@  a random item of the table that is scanned                    @seg@   a random segment of it
"""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

ITEM_BYTES: Final = 600
PARTITION_ITEMS: Final = 20
BATCH_ITEMS: Final = 25
CONNECTIONS: Final = 64
CONNECTIONS_SCAN: Final = 8
"""A page of a scan costs some servers a tenth of a second of the processor, and the next server would wait for 64."""

SCAN_SEGMENTS: Final = 4

SINGLE, MANY, PAYMENTS, SCANNED = "single", "many", "payments", "scanned"

_MARK: Final = re.compile(r"@(old|new|part|any|scan|seg)@")

Json = dict[str, Any]


def tables() -> list[Json]:
    """Return the CreateTable requests: a table of single items, one of partitions, one like the payments table.

    The fourth is read by Scan only, so it does not grow while others write.
    """
    pk = {"AttributeName": "pk", "KeyType": "HASH"}
    sk = {"AttributeName": "sk", "KeyType": "RANGE"}
    texts = {name: {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "dueShard", "dueAt")}
    due = [{"AttributeName": "dueShard", "KeyType": "HASH"}, {"AttributeName": "dueAt", "KeyType": "RANGE"}]
    index = {"IndexName": "due", "KeySchema": due, "Projection": {"ProjectionType": "ALL"}}
    common = {"BillingMode": "PAY_PER_REQUEST"}
    both = [texts["pk"], texts["sk"]]
    return [
        {"TableName": SINGLE, "KeySchema": [pk], "AttributeDefinitions": [texts["pk"]], **common},
        {"TableName": MANY, "KeySchema": [pk, sk], "AttributeDefinitions": both, **common},
        {"TableName": SCANNED, "KeySchema": [pk], "AttributeDefinitions": [texts["pk"]], **common},
        {
            "TableName": PAYMENTS,
            "KeySchema": [pk, sk],
            "AttributeDefinitions": list(texts.values()),
            "GlobalSecondaryIndexes": [index],
            **common,
        },
    ]


def item(key: Json, **more: Any) -> Json:
    """Return an item of ITEM_BYTES by DynamoDB's count, with the attributes of a payment."""
    whole = {
        **key,
        "kind": {"S": "attempt"},
        "status": {"S": "initiated"},
        "version": {"N": "1"},
        "amount": {"N": "60.5"},
        "fee": {"S": "PETITION_FILING_FEE"},
        "metadata": {"M": {"docketNumber": {"S": "1234-26"}, "pages": {"N": "12"}}},
        "outcomeUnknown": {"BOOL": False},
        "createdAt": {"S": "2026-11-22T19:03:04.123Z"},
        **more,
    }
    # Every attribute costs its name and its content. A mark is replaced by about ten characters.
    spent = sum(len(name) + len(json.dumps(value)) - 8 for name, value in whole.items())
    return {**whole, "note": {"S": "n" * max(0, ITEM_BYTES - spent - 4)}}


def single_key(number: int | str) -> Json:
    """Return the key of an item of the table of single items."""
    return {"pk": {"S": f"item#{number:08d}" if isinstance(number, int) else f"item#{number}"}}


def partition_key(number: int | str, position: int) -> Json:
    """Return the key of an item of a partition."""
    name = f"{number:06d}" if isinstance(number, int) else number
    return {"pk": {"S": f"part#{name}"}, "sk": {"S": f"line#{position:04d}"}}


def preloaded(items: int, partitions: int, scanned: int) -> Iterator[tuple[str, Json]]:
    """Yield (table, item) for every item before the first measurement."""
    for number in range(items):
        yield SINGLE, item(single_key(number))
    for number in range(scanned):
        yield SCANNED, item(single_key(number))
    for number in range(partitions):
        for position in range(PARTITION_ITEMS):
            yield MANY, item(partition_key(number, position))
            if position == 0:
                obligation = {"pk": {"S": f"o#{number:06d}"}, "sk": {"S": "obligation"}}
                yield PAYMENTS, item(obligation, status={"S": "open"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One measured operation: the template of its request, and the required ratio to the fastest peer.

    An operation whose targets have not been set has none.
    """

    name: str
    api_name: str
    template: str
    ratio_min: float | None = None
    rate_min: int | None = None
    """Requests per second at that ratio on the machine where the targets were set."""
    stretch: int = 1
    """Factor of the run time: some servers work on 64 batches at the same time and end none of them for seconds."""
    connections: int = CONNECTIONS


def _template(request: Json) -> str:
    return json.dumps(request, separators=(",", ":"))


def _conditional_update() -> Json:
    return {
        "TableName": SINGLE,
        "Key": single_key("@old@"),
        "UpdateExpression": "SET #s = :s, updatedAt = :u ADD version :one",
        "ConditionExpression": "attribute_exists(pk) AND #s <> :final",
        "ExpressionAttributeNames": {"#s": "status"},
        "ExpressionAttributeValues": {
            ":s": {"S": "processing"},
            ":u": {"S": "2026-11-22T19:03:@any@Z"},
            ":one": {"N": "1"},
            ":final": {"S": "processed"},
        },
    }


def _payment() -> Json:
    """Return a new attempt: its item, its event, its sentinel, and its obligation."""
    absent = {"ConditionExpression": "attribute_not_exists(pk)"}
    due = {"dueShard": {"S": "3"}, "dueAt": {"S": "2026-11-22T19:03:@any@Z"}}
    attempt = item({"pk": {"S": "o#@part@"}, "sk": {"S": "attempt#@new@"}}, **due)
    event = {"pk": {"S": "o#@part@"}, "sk": {"S": "event#@new@#0001"}, "kind": {"S": "event"}, "name": {"S": "started"}}
    sentinel = {"pk": {"S": "unique#agency#@new@"}, "sk": {"S": "sentinel"}, "owner": {"S": "attempt#@new@"}}
    obligation = {
        "TableName": PAYMENTS,
        "Key": {"pk": {"S": "o#@part@"}, "sk": {"S": "obligation"}},
        "UpdateExpression": "SET #s = :live, updatedAt = :u",
        "ConditionExpression": "attribute_exists(pk) AND #s <> :paid",
        "ExpressionAttributeNames": {"#s": "status"},
        "ExpressionAttributeValues": {
            ":live": {"S": "open"},
            ":paid": {"S": "paid"},
            ":u": {"S": "2026-11-22T19:03:@any@Z"},
        },
    }
    puts = [{"Put": {"TableName": PAYMENTS, "Item": each, **absent}} for each in (attempt, event, sentinel)]
    return {"TransactItems": [*puts, {"Update": obligation}]}


def _batch() -> Json:
    puts = [{"PutRequest": {"Item": item(single_key(f"@new@-{place:02d}"))}} for place in range(BATCH_ITEMS)]
    return {"RequestItems": {SINGLE: puts}}


QUERY: Final = {
    "TableName": MANY,
    "KeyConditionExpression": "pk = :pk",
    "ExpressionAttributeValues": {":pk": {"S": "part#@part@"}},
}


def _scan(*, parallel: bool) -> str:
    """Return a Scan of up to 1 MB: from a random item on, or the beginning of a random segment."""
    if not parallel:
        return _template({"TableName": SCANNED, "ExclusiveStartKey": single_key("@scan@")})
    request = {"TableName": SCANNED, "TotalSegments": SCAN_SEGMENTS, "Segment": "@seg@"}
    return _template(request).replace('"@seg@"', "@seg@")  # a number in JSON


OPERATIONS: Final = (
    Operation("GetItem", "GetItem", _template({"TableName": SINGLE, "Key": single_key("@old@")}), 2.5, 20_000),
    Operation("Query of 20", "Query", _template(QUERY), 6.0, 10_800),
    Operation("PutItem", "PutItem", _template({"TableName": SINGLE, "Item": item(single_key("@new@"))}), 2.5, 6_300),
    Operation("UpdateItem, condition", "UpdateItem", _template(_conditional_update()), 2.5, 5_000),
    Operation("TransactWriteItems, 4 actions", "TransactWriteItems", _template(_payment()), 5.0, 3_500),
    Operation("BatchWriteItem of 25", "BatchWriteItem", _template(_batch()), 3.0, 700, stretch=4),
    Operation("Scan, pages of 1 MB", "Scan", _scan(parallel=False), stretch=4, connections=CONNECTIONS_SCAN),
    Operation(f"Scan, {SCAN_SEGMENTS} segments", "Scan", _scan(parallel=True), stretch=4, connections=CONNECTIONS_SCAN),
)


@dataclass(frozen=True, slots=True)
class Filling:
    """The values for the marks: the numbers of items and partitions, and a unique name of the run.

    ``scanned`` is the number of items of the table that is scanned; with 0, there is no Scan.
    """

    items: int
    partitions: int
    run: str
    scanned: int = 0

    def requests(self, template: str) -> Iterator[str]:
        """Yield requests endlessly: all different, and the same for the same ``run``."""
        luck = random.Random(self.run)
        pieces = _MARK.split(template)  # every second part is the name of a mark
        count = 0
        while True:
            count += 1
            values = {
                "old": f"{luck.randrange(self.items):08d}",
                "part": f"{luck.randrange(self.partitions):06d}",
                "new": f"{self.run}{count * 48271 % 2147483647:010d}",
                "any": f"{luck.randrange(10**6):06d}",
                "scan": f"{luck.randrange(max(1, self.scanned)):08d}",
                "seg": f"{luck.randrange(SCAN_SEGMENTS)}",
            }
            yield "".join(values[piece] if at % 2 else piece for at, piece in enumerate(pieces))

    def lua(self, operation: Operation, headers: dict[str, str]) -> str:
        """Return the script for wrk: the same requests, and at the end one line of JSON with wrk's counts."""
        pieces = _MARK.split(operation.template)
        parts = ", ".join(f"[=[{piece}]=]" if at % 2 == 0 else f'"@{piece}"' for at, piece in enumerate(pieces))
        head = ", ".join(f'["{name}"] = "{value}"' for name, value in headers.items())
        return _LUA.format(
            parts=parts,
            headers=head,
            items=self.items,
            partitions=self.partitions,
            scanned=max(1, self.scanned),
            segments=SCAN_SEGMENTS,
            run=self.run,
            spread=48271,
        )


_LUA: Final = """
wrk.method = "POST"
wrk.headers = {{ {headers} }}
local parts = {{ {parts} }}
local marked = {{}}
for at = 1, #parts do
  if parts[at]:sub(1, 1) == "@" then marked[#marked + 1] = {{ at, parts[at]:sub(2) }} end
end
local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end
local count, value = 0, {{}}
function init(args) math.randomseed(1000 + number) end
function request()
  count = count + 1
  value.old = string.format("%08d", math.random({items}) - 1)
  value.part = string.format("%06d", math.random({partitions}) - 1)
  value.new = string.format("{run}%d%010.0f", number, count * {spread} % 2147483647)
  value.any = string.format("%06d", math.random(1000000) - 1)
  value.scan = string.format("%08d", math.random({scanned}) - 1)
  value.seg = string.format("%d", math.random({segments}) - 1)
  for each = 1, #marked do parts[marked[each][1]] = value[marked[each][2]] end
  return wrk.format(nil, nil, nil, table.concat(parts))
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{{"requests":%d,"duration_us":%d,"refused":%d,"broken":%d,"p50_us":%d,"p99_us":%d}}\\n',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""
