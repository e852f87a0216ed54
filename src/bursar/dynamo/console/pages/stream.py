"""A table's stream, live: the page asks for new records every two seconds and puts them at the top of its list.

Each answer contains the place where the next one continues: an iterator, its shard and its stream.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from bursar.dynamo.console.item_texts import changes
from bursar.dynamo.console.visit import ConsoleVisit, url

RECORDS_PER_POLL_MAX: Final = 100
STARTS: Final = {"new": "LATEST", "all": "TRIM_HORIZON"}


async def stream_page(visit: ConsoleVisit) -> Response:
    """Show an empty list and the place where it begins: at new records, or at the oldest of the last 24 hours."""
    table = await visit.described()
    stream = table.get("LatestStreamArn")
    start = visit.query.get("from", "new")
    poll = ""
    if stream is not None:
        shards = await _shards(visit, stream)
        if shards:
            shard = shards[-1 if start != "all" else 0]["ShardId"]
            iterator = await _iterator(visit, stream, shard, STARTS.get(start, "LATEST"))
            poll = _poll(visit, stream, shard, iterator)
    return visit.page("stream.html", table=table, poll=poll, start=start)


async def records_page(visit: ConsoleVisit) -> Response:
    """Return the HTML of the records since the last request, which contains the URL for the next request."""
    stream, shard = visit.query.get("stream", ""), visit.query.get("shard", "")
    request = {"ShardIterator": visit.query.get("iterator", ""), "Limit": RECORDS_PER_POLL_MAX}
    answer = await visit.call("GetRecords", request)
    iterator = answer.get("NextShardIterator")
    if iterator is None:  # the shard is closed: its child continues
        children = [each for each in await _shards(visit, stream) if each.get("ParentShardId") == shard]
        if children:
            shard = children[0]["ShardId"]
            iterator = await _iterator(visit, stream, shard, "TRIM_HORIZON")
    poll = _poll(visit, stream, shard, iterator) if iterator is not None else ""
    return visit.page("records.html", records=[_shown(each) for each in answer["Records"]][::-1], poll=poll)


def _poll(visit: ConsoleVisit, stream: str, shard: str, iterator: str) -> str:
    return url("tables", visit.table_name, "stream", "records", stream=stream, shard=shard, iterator=iterator)


async def _shards(visit: ConsoleVisit, stream: str) -> list[dict[str, Any]]:
    """Return the shards of a stream, oldest first."""
    shards: list[dict[str, Any]] = []
    request: dict[str, Any] = {"StreamArn": stream}
    while True:
        described = (await visit.call("DescribeStream", request))["StreamDescription"]
        shards += described["Shards"]
        if "LastEvaluatedShardId" not in described:
            return shards
        request["ExclusiveStartShardId"] = described["LastEvaluatedShardId"]


async def _iterator(visit: ConsoleVisit, stream: str, shard: str, kind: str) -> str:
    request = {"StreamArn": stream, "ShardId": shard, "ShardIteratorType": kind}
    return str((await visit.call("GetShardIterator", request))["ShardIterator"])


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record for the list: the event, its time, the key, and the differences between the images."""
    change = record["dynamodb"]
    at = datetime.fromtimestamp(change["ApproximateCreationDateTime"], UTC)
    return {
        "event": record["eventName"],
        "at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "number": change["SequenceNumber"],
        "keys": change["Keys"],
        "changes": changes(change.get("OldImage", {}), change.get("NewImage", {})),
    }
