"""The parts that reads and writes of one store share: settings, random events, the past, capacity and contention."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from bursar.clock import Clock
from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.items.attribute_values import Item, normalise_item
from bursar.dynamo.items.key_encoding import encode_key_value
from bursar.dynamo.operations.data_plane.capacity import index_write_units, write_units
from bursar.dynamo.storage.table import Follower, ItemWrite, Table
from bursar.dynamo.weather.chances import Chances
from bursar.dynamo.weather.contention import RecentWrites
from bursar.dynamo.weather.past import Past
from bursar.dynamo.weather.refusals import KEY_RANGE, Throttled
from bursar.dynamo.weather.settings import TableWeather, Weather
from bursar.dynamo.weather.throughput import Throughput

CalmRun = Callable[[Core, Mapping[str, Any]], dict[str, Any]]
"""An operation of the engine without weather."""

THROTTLED: Final = "throttled"


class Conditions:
    """The weather of one store, while it runs."""

    def __init__(self, weather: Weather, clock: Clock) -> None:
        self.weather = weather
        self.clock = clock
        self.chances = Chances(weather.seed)
        self.past = Past(clock)
        self.throughput = Throughput()
        self.contention = RecentWrites()
        self.transactional = False
        """Whether the request in progress is a transaction, whose writes cost twice."""

    def of(self, table: Table) -> TableWeather:
        """Return the settings of a table."""
        return self.weather.of(table.name)

    def happens(self, table: Table, kind: str, share: float) -> bool:
        """Return whether something happens now."""
        return self.chances.happens(table.name, kind, share)

    def count(self, table: Table, kind: str, times: int = 1) -> None:
        """Count what happened."""
        self.chances.count(table.name, kind, times)

    def forget(self) -> None:
        """Forget all earlier writes: they are in every replica, and neither lock items nor use capacity."""
        self.past.forget()
        self.contention = RecentWrites()
        self.throughput = Throughput()

    # Capacity -------------------------------------------------------------------------------------------------

    def throttling(
        self, table: Table, index: str | None, kind: str, partitions: Sequence[bytes] | None
    ) -> Throttled | None:
        """Return and count the error of a request that finds no capacity; None if it finds some.

        ``kind``: Read or Write.
        """
        weather = self.of(table)
        refusal = self.throughput.refusal(weather, table, index, kind, partitions, self.clock())
        if refusal is None and index is None and self.happens(table, THROTTLED, weather.throttled_share):
            refusal = Throttled(table, None, kind, KEY_RANGE)
        if refusal is not None:
            self.count(table, THROTTLED)
        return refusal

    def take(
        self, table: Table, index: str | None, kind: str, partitions: Sequence[bytes] | None, units: float
    ) -> None:
        """Take the units of a request, in equal parts from its partitions."""
        self.throughput.take(self.of(table), table, index, kind, partitions, self.clock(), units)

    def writes_follower(self, table: Table) -> Follower:
        """Return a follower that takes the units of each write from the table and its global indexes."""

        def item_changed(write: ItemWrite, _row_id: int) -> None:
            old, new = write.old, write.new
            partition = encode_key_value((new or old or {})[table.partition_name])
            units = write_units(write.larger_bytes, transactional=self.transactional)
            self.take(table, None, "Write", (partition,), units)
            for index in table.indexes.values():
                units = index_write_units(index, old, new) if index.is_global else 0
                if units:
                    self.take(table, index.name, "Write", index_partitions(table, index.name, (old, new)), units)

        return item_changed


def key_of(table: Table, item: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return (encoded key, encoded partition key) of an item or a key that has passed the operation's checks."""
    key = normalise_item({name: item[name] for name in table.key_names})
    return table.stored_key_of(key), encode_key_value(key[table.partition_name])


def index_partitions(table: Table, name: str, items: Iterable[Item | None]) -> list[bytes]:
    """Return the encoded partition keys of items in an index; those outside of it have none."""
    index = table.indexes[name]
    return [
        b"".join(encode_key_value(item[part]) for part in index.partition_names)
        for item in items
        if item is not None and index.holds(item)
    ]


def checked(core: Core, run: CalmRun, request: Mapping[str, Any]) -> None:
    """Run a write operation without its token and without writing, to raise its errors."""
    run(_WithoutWrites(core), request)


class _WithoutWrites(Core):
    """A core whose writes do nothing. Everything else is that of the wrapped core."""

    def __init__(self, core: Core) -> None:
        self.__dict__.update(core.__dict__)

    def apply(self, writes: Sequence[ItemWrite], table_check: object = None) -> None:
        """Write nothing."""
