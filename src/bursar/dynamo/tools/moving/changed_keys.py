"""Read which keys of a table have changed, from its stream, on any DynamoDB.

    stream:  shard A (closed) ─► its children B, C …     each shard: sequence numbers rise

The stream gives only keys, and the caller reads the present items. So the order of shards does not matter, nor does a
record that is delivered twice. The place in each shard is kept: the last sequence number that was read, or the end of
the shard. Streams keep records for 24 hours.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.tools.moving.patient_store import PatientStore

AT_END: Final = "end"
"""The place of a closed shard that was read to its end."""
LOST_CODES: Final = frozenset({"TrimmedDataAccessException", "ResourceNotFoundException"})

Places = dict[str, str]
"""Shard → the last sequence number that was read, or :data:`AT_END`."""


class ChangesLost(Exception):
    """The stream no longer has all changes since the given places: it keeps records for 24 hours."""


class ChangedKeys:
    """The changes of one table since a time, by its stream."""

    def __init__(self, store: PatientStore, table: str) -> None:
        self._store = store
        self._table = table

    async def enable(self) -> None:
        """Enable the table's stream, if it has none."""
        described = await self._store.call("DescribeTable", {"TableName": self._table})
        if described["Table"].get("LatestStreamArn") and _enabled(described["Table"]):
            return
        specification = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
        await self._store.call("UpdateTable", {"TableName": self._table, "StreamSpecification": specification})

    async def is_enabled(self) -> bool:
        """Return whether the stream can be read and its table is active."""
        table = (await self._store.call("DescribeTable", {"TableName": self._table}))["Table"]
        return _enabled(table) and table["TableStatus"] == "ACTIVE" and bool(await self._shards(table))

    async def since(self, places: Places, began_at: float) -> AsyncIterator[list[Item]]:
        """Yield the keys of the next changes in each shard, page by page; ``places`` moves with each page.

        Records from before ``began_at`` (Unix s) are skipped. A key may be yielded again. Ends when each shard has been
        read up to now. Raises :class:`ChangesLost`.
        """
        table = (await self._store.call("DescribeTable", {"TableName": self._table}))["Table"]
        shards = await self._shards(table)
        for shard in list(places):
            if shard not in shards:  # a shard is removed when its records are
                if places[shard] != AT_END:
                    raise ChangesLost(f"{self._table}: shard {shard} of the stream is gone")
                del places[shard]
        for shard in shards:
            if places.get(shard) != AT_END:
                async for keys in self._read(table["LatestStreamArn"], shard, places, began_at):
                    yield keys

    async def _read(self, arn: str, shard: str, places: Places, began_at: float) -> AsyncIterator[list[Item]]:
        iterator: str | None = await self._iterator(arn, shard, places.get(shard))
        while iterator is not None:
            try:
                page = await self._store.call("GetRecords", {"ShardIterator": iterator})
            except DynamoError as error:
                raise _lost_or(error, self._table) from error
            records = page["Records"]
            if records:
                places[shard] = records[-1]["dynamodb"]["SequenceNumber"]
                keys = _distinct(records, began_at)
                if keys:
                    yield keys
            iterator = page.get("NextShardIterator")
            if iterator is None:
                places[shard] = AT_END
            elif not records:
                return

    async def _iterator(self, arn: str, shard: str, place: str | None) -> str:
        request = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        if place is not None:
            request |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": place}
        try:
            iterator: str = (await self._store.call("GetShardIterator", request))["ShardIterator"]
        except DynamoError as error:
            raise _lost_or(error, self._table) from error
        return iterator

    async def _shards(self, table: Mapping[str, Any]) -> list[str]:
        """Return the ids of all shards, oldest first."""
        found: list[str] = []
        request = {"StreamArn": table["LatestStreamArn"]}
        while True:
            page = (await self._store.call("DescribeStream", request))["StreamDescription"]
            found += [shard["ShardId"] for shard in page["Shards"]]
            if "LastEvaluatedShardId" not in page:
                return found
            request["ExclusiveStartShardId"] = page["LastEvaluatedShardId"]


def _enabled(table: Mapping[str, Any]) -> bool:
    return bool(table.get("StreamSpecification", {}).get("StreamEnabled"))


def _distinct(records: list[Mapping[str, Any]], began_at: float) -> list[Item]:
    found = {}
    for record in records:
        change = record["dynamodb"]
        if float(change["ApproximateCreationDateTime"]) >= began_at:
            found[repr(sorted(change["Keys"].items()))] = change["Keys"]
    return list(found.values())


def _lost_or(error: DynamoError, table: str) -> Exception:
    if error.code in LOST_CODES:
        return ChangesLost(f"{table}: the stream no longer has all changes since the copy began ({error})")
    return error
