"""Reads in the weather: stale, throttled, in small pages and partial batches, and with items that have expired.

The operation runs first, so that errors of a request are reported as without weather. A strongly consistent read and a
transactional one are never stale.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import orjson

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.expressions import parse_key_condition, resolve_key_conditions
from bursar.dynamo.operations.data_plane import legacy_parameters, query
from bursar.dynamo.partiql import SelectStatement, parse_statement
from bursar.dynamo.storage.table import Table
from bursar.dynamo.weather.conditions import CalmRun, Conditions, key_of
from bursar.dynamo.weather.past import undoing
from bursar.dynamo.weather.refusals import conflict_reason, throttled_reason, transaction_cancelled

STALE, STALE_INDEX = "stale_read", "stale_index"
SMALL_PAGE, PARTIAL_BATCH = "small_page", "partial_batch"
CONFLICT, TTL = "transaction_conflict", "expired_item"
_OF_ITEMS: Final = ("Item", "Items", "Responses")


@dataclass(frozen=True, slots=True)
class _ReadPlace:
    """The place of a read: a table, or one of its global indexes; ``partitions`` None for all."""

    table: Table
    index: str | None
    partitions: Sequence[bytes] | None
    eventual: bool


class Reads:
    """The reading operations of one store."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def get_item(self, run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return an item, which may be out of date for an eventually consistent read."""
        run(core, request)
        table = core.table(request["TableName"])
        place = _ReadPlace(table, None, [key_of(table, request["Key"])[1]], not request.get("ConsistentRead"))
        return self._read(run, core, request, [place])

    def page(self, run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return a page of a Query or a Scan, which may be out of date for an eventually consistent read."""
        run(core, request)
        table = core.table(request["TableName"])
        name = request.get("IndexName")
        index = name if name is not None and table.indexes[name].is_global else None
        place = _ReadPlace(
            table, index, _partitions(table, request), index is not None or not request.get("ConsistentRead")
        )
        return self._page(run, core, request, place)

    def statement(self, run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the items of a SELECT, which may be out of date for an eventually consistent read."""
        run(core, request)
        select = parse_statement(request["Statement"])
        assert isinstance(select, SelectStatement)
        table = core.table(select.table)
        index = select.index if select.index is not None and table.indexes[select.index].is_global else None
        place = _ReadPlace(table, index, None, index is not None or not request.get("ConsistentRead"))
        return self._page(run, core, request, place)

    def batch(self, run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the items of a batch, or a part of them and the other keys."""
        run(core, request)
        asked: dict[str, Mapping[str, Any]] = dict(request["RequestItems"])
        places = []
        unprocessed: dict[str, Any] = {}
        elements = {name: one["Keys"] for name, one in asked.items()}
        for name, (kept, left) in split_batch(self._conditions, core, elements).items():
            table = core.table(name)
            if left:
                unprocessed[name] = {**asked[name], "Keys": left}
            if not kept:
                del asked[name]
                continue
            asked[name] = {**asked[name], "Keys": kept}
            partitions = [key_of(table, key)[1] for key in kept]
            places.append(_ReadPlace(table, None, partitions, not asked[name].get("ConsistentRead")))
        response = self._read(run, core, {**request, "RequestItems": asked}, places)
        for name, rest in response["UnprocessedKeys"].items():
            keys = [*rest["Keys"], *unprocessed.get(name, {"Keys": ()})["Keys"]]
            unprocessed[name] = {**rest, "Keys": keys}
        return {**response, "UnprocessedKeys": unprocessed}

    def transaction(self, run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the items as of one moment, or cancel the transaction if another request is writing one of them."""
        run(core, request)
        conditions = self._conditions
        reasons: dict[int, dict[str, Any]] = {}
        tables: dict[int, list[bytes]] = {}
        for at, element in enumerate(request["TransactItems"]):
            table = core.table(element["Get"]["TableName"])
            key, partition = key_of(table, element["Get"]["Key"])
            weather = conditions.of(table)
            if table.id not in tables:
                throttled = conditions.throttling(table, None, "Read", [partition])
                if throttled is not None:
                    reasons[at] = throttled_reason(throttled)
            tables.setdefault(table.id, []).append(partition)
            contended = conditions.contention.is_contended(
                table, key, weather.transaction_conflict_requests, by_transaction=False
            )
            if contended and conditions.happens(table, CONFLICT, weather.transaction_conflict_share):
                conditions.count(table, CONFLICT)
                reasons[at] = conflict_reason()
        if reasons:
            raise transaction_cancelled(reasons, request["TransactItems"])
        measured = run(core, {**request, "ReturnConsumedCapacity": "TOTAL"})
        for one in measured.pop("ConsumedCapacity"):
            table = core.table(one["TableName"])
            conditions.take(table, None, "Read", tables[table.id], one["CapacityUnits"])
        return run(core, request)

    def _page(self, run: CalmRun, core: Core, request: Mapping[str, Any], place: _ReadPlace) -> dict[str, Any]:
        """Return a page. Some pages have a smaller limit than the request's."""
        conditions, table = self._conditions, place.table
        weather = conditions.of(table)
        asked, limit = request.get("Limit"), None
        if conditions.happens(table, SMALL_PAGE, weather.small_page_share):
            limit = conditions.chances.sequence(table.name, SMALL_PAGE).randint(1, weather.small_page_items_max)
        if limit is None or (asked is not None and asked <= limit):
            return self._read(run, core, request, [place])
        response = self._read(run, core, {**request, "Limit": limit}, [place])
        if "LastEvaluatedKey" in response or "NextToken" in response:
            conditions.count(table, SMALL_PAGE)
        return response

    def _read(
        self, run: CalmRun, core: Core, request: Mapping[str, Any], places: Sequence[_ReadPlace]
    ) -> dict[str, Any]:
        conditions = self._conditions
        for place in places:
            throttled = conditions.throttling(place.table, place.index, "Read", place.partitions)
            if throttled is not None:
                raise throttled
        measured = run(core, {**request, "ReturnConsumedCapacity": "TOTAL"}).get("ConsumedCapacity")
        for place in places:
            conditions.take(place.table, place.index, "Read", place.partitions, _units(measured, place.table))
        response = self._stale(run, core, request, places)
        for place in places:
            self._note_expired(place.table, response)
        return response

    def _stale(
        self, run: CalmRun, core: Core, request: Mapping[str, Any], places: Sequence[_ReadPlace]
    ) -> dict[str, Any]:
        """Run a read on the present tables, or with some partitions in an earlier state."""
        fresh = run(core, request)
        changed = []
        for place in places:
            if place.eventual:
                changes = self._differences(place)
                if changes:
                    changed.append((place, changes))
        if not changed:
            return fresh
        with ExitStack() as rewinding:
            for place, changes in changed:
                rewinding.enter_context(core.rewound(undoing(place.table, changes)))
            stale = run(core, request)
        if orjson.dumps(stale) != orjson.dumps(fresh):
            for place, _ in changed:
                self._conditions.count(place.table, STALE if place.index is None else STALE_INDEX)
        return stale

    def _differences(self, place: _ReadPlace) -> dict[bytes, Any]:
        conditions, table = self._conditions, place.table
        weather = conditions.of(table)
        if place.index is None:
            kind, share, lag_ms = STALE, weather.stale_read_share, weather.stale_read_lag_ms
        else:
            kind, share, lag_ms = STALE_INDEX, weather.stale_index_share, weather.stale_index_lag_ms
        if share == 0:
            return {}
        read = conditions.chances.next_read(table.name)
        return conditions.past.differences(
            table,
            conditions.clock() - lag_ms / 1000,
            lambda partition: conditions.chances.lags(table.name, kind, read, partition, share),
        )

    def _note_expired(self, table: Table, response: Mapping[str, Any]) -> None:
        """Count the returned items whose time to live is over."""
        if table.ttl_attribute is None or self._conditions.of(table).ttl_delay_s == 0:
            return
        found = orjson.loads(orjson.dumps({name: response[name] for name in _OF_ITEMS if name in response}))
        items = [*found.get("Items", ()), *([found["Item"]] if "Item" in found else ())]
        answers = found.get("Responses", {})
        items += answers.get(table.name, ()) if isinstance(answers, dict) else ()
        now = self._conditions.clock()
        expired = [item for item in items if float(item.get(table.ttl_attribute, {}).get("N", "inf")) < now]
        if expired:
            self._conditions.count(table, TTL, len(expired))


def split_batch(
    conditions: Conditions, core: Core, elements: Mapping[str, Sequence[Any]]
) -> dict[str, tuple[list[Any], list[Any]]]:
    """Return the elements of a batch to carry out and those to leave unprocessed, for each table.

    At least one element of the batch is carried out, as on Amazon's.
    """
    parts: dict[str, tuple[list[Any], list[Any]]] = {}
    room = sum(map(len, elements.values())) - 1
    for name, all_of_table in elements.items():
        table = core.table(name)
        left: set[int] = set()
        share = conditions.of(table).partial_batch_share
        if room and conditions.happens(table, PARTIAL_BATCH, share):
            numbers = conditions.chances.sequence(table.name, PARTIAL_BATCH)
            left = set(numbers.sample(range(len(all_of_table)), numbers.randint(1, min(room, len(all_of_table)))))
            room -= len(left)
            conditions.count(table, PARTIAL_BATCH)
        kept = [one for at, one in enumerate(all_of_table) if at not in left]
        parts[name] = (kept, [one for at, one in enumerate(all_of_table) if at in left])
    return parts


def _partitions(table: Table, request: Mapping[str, Any]) -> list[bytes] | None:
    """Return the partition that a Query reads; None for a Scan."""
    text, legacy = request.get("KeyConditionExpression"), request.get("KeyConditions")
    if text is None and legacy is None:
        return None
    if text is None:
        conditions: Any = legacy_parameters.key_conditions(request["KeyConditions"])
    else:
        binding = query.PARAMETERS.binding(request)
        assert binding is not None
        conditions = parse_key_condition(text).bind(binding).conditions()
    index = None if request.get("IndexName") is None else table.index(request["IndexName"])
    if index is None:
        names, sort, types = table.key_names[:1], table.key_names[1:], table.types
    else:
        names, sort, types = index.partition_names, index.sort_names, index.types
    return [resolve_key_conditions(conditions, names, sort, types).partition_bytes]


def _units(measured: Any, table: Table) -> float:
    """Return the units that a response reports for a table."""
    reported = measured if isinstance(measured, list) else [measured]
    return float(sum(one["CapacityUnits"] for one in reported if one and one["TableName"] == table.name))
