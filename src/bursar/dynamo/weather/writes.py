"""Writes with weather: throttled, in conflict with transactions, in partial batches, and answered with 500.

A refused write has not taken place. One that is answered with 500 has taken place, as a whole and once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.operations.data_plane.transactions import READERS
from bursar.dynamo.partiql import ExistsStatement, parse_statement
from bursar.dynamo.storage.table import Table
from bursar.dynamo.weather.conditions import CalmRun, Conditions, checked, index_partitions, key_of
from bursar.dynamo.weather.reads import CONFLICT, split_batch
from bursar.dynamo.weather.refusals import (
    Throttled,
    conflict,
    conflict_reason,
    server_error,
    throttled_reason,
    transaction_cancelled,
)

ERROR_AFTER_WRITE: Final = "error_after_write"

_Action = tuple[Table, bytes, bytes, Mapping[str, Any] | None]
"""(table, encoded key, encoded partition key, the item of a put)."""


class Writes:
    """The writing operations of one store."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def item(self, run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a put, an update or a deletion of one item."""
        checked(core, run, request)
        conditions = self._conditions
        table = core.table(request["TableName"])
        key, partition = key_of(table, request.get("Item") or request["Key"])
        conditions.contention.begin(table)
        throttled = self._throttling((table, key, partition, request.get("Item")))
        if throttled is not None:
            raise throttled
        weather = conditions.of(table)
        contended = conditions.contention.is_contended(
            table, key, weather.transaction_conflict_requests, by_transaction=True
        )
        if contended and conditions.happens(table, CONFLICT, weather.transaction_conflict_share):
            conditions.count(table, CONFLICT)
            raise conflict()
        response = run(core, request)
        conditions.contention.note(table, key, transactional=False)
        self._fail_after_write([table])
        return response

    def batch(self, run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        """Write a batch, or a part of it and return the other elements."""
        checked(core, run, request)
        asked: dict[str, Any] = {}
        unprocessed: dict[str, Any] = {}
        tables = []
        throttled: Throttled | None = None
        for name, (kept, left) in split_batch(self._conditions, core, request["RequestItems"]).items():
            table = core.table(name)
            tables.append(table)
            self._conditions.contention.begin(table)
            refusals = [self._throttling(_element(table, element)) for element in kept]
            throttled = next((refusal for refusal in refusals if refusal is not None), throttled)
            left += [element for element, refusal in zip(kept, refusals, strict=True) if refusal is not None]
            kept = [element for element, refusal in zip(kept, refusals, strict=True) if refusal is None]
            if kept:
                asked[name] = kept
            if left:
                unprocessed[name] = left
        if not asked and throttled is not None:
            raise throttled
        response = run(core, {**request, "RequestItems": asked})
        for name, elements in asked.items():
            table = core.table(name)
            for element in elements:
                self._conditions.contention.note(table, _element(table, element)[1], transactional=False)
        self._fail_after_write(tables)
        return {**response, "UnprocessedItems": unprocessed}

    def transaction(self, run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        """Write a transaction, or cancel it. A repetition of a successful one gets the same answer."""
        conditions = self._conditions
        token = request.get("ClientRequestToken")
        if token is not None and core.storage.token(token, core.clock()) is not None:
            return run(core, request)
        try:
            actions = [_action(core, element) for element in request["TransactItems"]]
        except (DynamoError, KeyError):
            return run(core, request)  # which reports the error
        tables = {table.id: table for table, *_ in actions}
        for table in tables.values():
            conditions.contention.begin(table)
        reasons = self._reasons(actions)
        if reasons:
            raise transaction_cancelled(reasons, request["TransactItems"])
        conditions.transactional = True
        try:
            response = run(core, request)
        finally:
            conditions.transactional = False
        for table, key, _, _ in actions:
            conditions.contention.note(table, key, transactional=True)
        self._fail_after_write(list(tables.values()))
        return response

    def statements(self, run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run statements of PartiQL that write: they may be answered with 500."""
        response = run(core, request)
        many = request.get("Statements") or request.get("TransactStatements") or [request]
        tables = []
        for one in many:
            statement = parse_statement(one["Statement"])
            tables.append(core.table((statement.select if isinstance(statement, ExistsStatement) else statement).table))
        self._fail_after_write(tables)
        return response

    def _reasons(self, actions: Sequence[_Action]) -> dict[int, dict[str, Any]]:
        """Return the cancellation reasons of a transaction, by the position of the action."""
        conditions = self._conditions
        reasons: dict[int, dict[str, Any]] = {}
        seen: set[int] = set()
        for at, action in enumerate(actions):
            table, key, _, _ = action
            weather = conditions.of(table)
            if table.id not in seen:
                throttled = self._throttling(action)
                if throttled is not None:
                    reasons[at] = throttled_reason(throttled)
            seen.add(table.id)
            contended = conditions.contention.is_contended(
                table, key, weather.transaction_conflict_requests, by_transaction=True
            )
            if contended and conditions.happens(table, CONFLICT, weather.transaction_conflict_share):
                conditions.count(table, CONFLICT)
                reasons[at] = conflict_reason()
        return reasons

    def _throttling(self, action: _Action) -> Throttled | None:
        """Return the error of a write for which the table or one of its global indexes has no capacity."""
        table, _, partition, item = action
        throttled = self._conditions.throttling(table, None, "Write", [partition])
        if throttled is not None:
            return throttled
        for index in table.indexes.values():
            if index.is_global:
                partitions = index_partitions(table, index.name, [dict(item) if item is not None else None])
                throttled = self._conditions.throttling(table, index.name, "Write", partitions)
                if throttled is not None:
                    return throttled
        return None

    def _fail_after_write(self, tables: Sequence[Table]) -> None:
        """Raise InternalServerError for some of the writes that took place."""
        for table in tables:
            share = self._conditions.of(table).error_after_write_share
            if self._conditions.happens(table, ERROR_AFTER_WRITE, share):
                self._conditions.count(table, ERROR_AFTER_WRITE)
                raise server_error()


def _element(table: Table, element: Mapping[str, Any]) -> _Action:
    item = element["PutRequest"]["Item"] if "PutRequest" in element else None
    key, partition = key_of(table, element["DeleteRequest"]["Key"] if item is None else item)
    return table, key, partition, item


def _action(core: Core, element: Mapping[str, Any]) -> _Action:
    action: Mapping[str, Any] = next((element[name] for name in READERS if element.get(name) is not None), {})
    table = core.table(action["TableName"])
    item = action.get("Item")
    key, partition = key_of(table, action["Key"] if item is None else item)
    return table, key, partition, item
