"""The operations of DynamoDB's API, one table of them.

An operation is the shape of its request, a function of (core, request), and what it needs of the file: a write runs
inside of a transaction that may hold other requests' writes too; a read of several statements runs on one snapshot.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bursar.dynamo.core import Core
from bursar.dynamo.operations import batches, items, query, scan, tables, transactions, update_table
from bursar.dynamo.operations.shapes import Request


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

    shape: Request
    run: Callable[[Core, Mapping[str, Any]], dict[str, Any]]
    """The response; parts that are JSON already are ``orjson.Fragment``."""
    writes: bool = False
    snapshot: bool = False


OPERATIONS: dict[str, Operation] = {
    "BatchGetItem": Operation(batches.BATCH_GET_ITEM, batches.batch_get_item, snapshot=True),
    "BatchWriteItem": Operation(batches.BATCH_WRITE_ITEM, batches.batch_write_item, writes=True),
    "CreateTable": Operation(tables.CREATE_TABLE, tables.create_table, writes=True),
    "DeleteItem": Operation(items.DELETE_ITEM, items.delete_item, writes=True),
    "DeleteTable": Operation(tables.DELETE_TABLE, tables.delete_table, writes=True),
    "DescribeTable": Operation(tables.DESCRIBE_TABLE, tables.describe_table, snapshot=True),
    "GetItem": Operation(items.GET_ITEM, items.get_item),
    "ListTables": Operation(tables.LIST_TABLES, tables.list_tables),
    "PutItem": Operation(items.PUT_ITEM, items.put_item, writes=True),
    "Query": Operation(query.QUERY, query.query),
    "Scan": Operation(scan.SCAN, scan.scan),
    "TransactGetItems": Operation(transactions.TRANSACT_GET_ITEMS, transactions.transact_get_items, snapshot=True),
    "TransactWriteItems": Operation(transactions.TRANSACT_WRITE_ITEMS, transactions.transact_write_items, writes=True),
    "UpdateItem": Operation(items.UPDATE_ITEM, items.update_item, writes=True),
    "UpdateTable": Operation(update_table.UPDATE_TABLE, update_table.update_table, writes=True),
}
