"""The capacity of a table, its indexes and their partitions, as buckets of units.

    provisioned    the throughput of the table or index, with burst_s seconds of what was unused
    partition      3,000 read units and 1,000 write units a second for one partition, in every table

A hot partition may use the capacity that the table's other partitions leave, up to the partition's limit. Amazon calls
this adaptive capacity. A request is admitted if no bucket is empty, and its units are taken afterwards; so a large
request can leave a negative level, and the next requests are throttled until it is filled. Source: Developer Guide,
"DynamoDB burst and adaptive capacity", "Designing partition keys".
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final
from zlib import crc32

from bursar.dynamo.storage.table import Table
from bursar.dynamo.weather.refusals import KEY_RANGE, PROVISIONED, Throttled, is_provisioned
from bursar.dynamo.weather.settings import TableWeather

BUCKETS_MAX: Final = 10_000
"""The most buckets that are kept. The least recently used one is removed first, because it is full again, or nearly."""


class _Bucket:
    __slots__ = ("_at", "_rate", "_room", "units")

    def __init__(self, rate: float, room: float, now: float) -> None:
        self._rate = rate
        self._room = room
        self._at = now
        self.units = room

    def fill(self, now: float) -> None:
        self.units = min(self._room, self.units + self._rate * max(0.0, now - self._at))
        self._at = now


class Throughput:
    """The buckets of one store."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[object, ...], _Bucket] = OrderedDict()

    def refusal(
        self,
        weather: TableWeather,
        table: Table,
        index: str | None,
        kind: str,
        partitions: Sequence[bytes] | None,
        now: float,
    ) -> Throttled | None:
        """Return the error of a request to a table or one of its indexes for which a bucket is empty, or None.

        ``kind`` is ``Read`` or ``Write``; ``partitions`` are encoded partition keys, None for a request to all.
        """
        for limit, bucket, _ in self._of(weather, table, index, kind, partitions, now):
            if bucket.units <= 0:
                return Throttled(table, index, kind, limit)
        return None

    def take(
        self,
        weather: TableWeather,
        table: Table,
        index: str | None,
        kind: str,
        partitions: Sequence[bytes] | None,
        now: float,
        units: float,
    ) -> None:
        """Take the units that a request consumed."""
        for _, bucket, share in self._of(weather, table, index, kind, partitions, now):
            bucket.units -= units * share

    def _of(
        self,
        weather: TableWeather,
        table: Table,
        index: str | None,
        kind: str,
        partitions: Sequence[bytes] | None,
        now: float,
    ) -> list[tuple[str, _Bucket, float]]:
        """Return (limit, bucket, share of the units) of the buckets that a request needs."""
        found = []
        provisioned = _provisioned_units(table, index, kind) if weather.provisioned_limits else 0
        if provisioned:
            bucket = self._bucket((table.id, index, kind), provisioned, max(1, weather.burst_s), now)
            found.append((PROVISIONED, bucket, 1.0))
        rate = weather.partition_read_units_per_s if kind == "Read" else weather.partition_write_units_per_s
        if rate:
            # A Scan reads all partitions, one after another, so it does not exceed the limit of a single one.
            numbers = (
                range(weather.partitions)
                if partitions is None
                else [crc32(key) % weather.partitions for key in partitions]
            )
            for number in numbers:
                bucket = self._bucket((table.id, index, kind, number), rate, 1, now)
                found.append((KEY_RANGE, bucket, 1.0 / len(numbers)))
        return found

    def _bucket(self, name: tuple[object, ...], rate: float, seconds: float, now: float) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(rate, rate * seconds, now)
            if len(self._buckets) > BUCKETS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        bucket.fill(now)
        return bucket


def _provisioned_units(table: Table, index: str | None, kind: str) -> int:
    """Return the provisioned units a second of a table or a global index; 0 without a limit."""
    if not is_provisioned(table):
        return 0
    document = table.document
    if index is not None:
        found = [one for one in document.get("GlobalSecondaryIndexes", ()) if one["IndexName"] == index]
        document = found[0] if found else {}
    units: int = document.get("ProvisionedThroughput", {}).get(f"{kind}CapacityUnits", 0)
    return units
