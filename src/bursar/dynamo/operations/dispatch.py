"""The dispatch table: every operation of DynamoDB's API.

An operation consists of the shape of its request, a function of (core, request), and its requirements on the file. A
write runs in a transaction that may contain writes of other requests. A read of several statements runs on one
snapshot.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.operations.backups import (
    bulk_puts,
    continuous_backups,
    exports,
    imports,
    on_demand_backups,
    restores,
)
from bursar.dynamo.operations.control_plane import (
    account,
    contributor_insights,
    kinesis,
    resource_policies,
    tables,
    tags,
    time_to_live,
    unavailable,
    update_table,
)
from bursar.dynamo.operations.data_plane import (
    batches,
    items,
    query,
    scan,
    statement_requests,
    streams,
    transactions,
    vector_requests,
)
from bursar.dynamo.operations.requests.shapes import Request


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API."""

    shape: Request
    run: Callable[[Core, Mapping[str, Any]], dict[str, Any]]
    """Returns the response; parts that are JSON already are ``orjson.Fragment``."""
    writes: bool = False
    snapshot: bool = False
    reads: Callable[[Mapping[str, Any]], bool] | None = None
    """Returns True for requests of a writing operation that only read: they do not wait for the write lock."""
    limits: str = ""
    """The entry in docs/compatibility.md, for an operation that does less than Amazon's."""


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
    "SearchVectors": Operation(
        vector_requests.SEARCH_VECTORS,
        vector_requests.search_vectors,
        limits="served: an exact search, where Amazon's is approximate",
    ),
    "TransactGetItems": Operation(transactions.TRANSACT_GET_ITEMS, transactions.transact_get_items, snapshot=True),
    "TransactWriteItems": Operation(transactions.TRANSACT_WRITE_ITEMS, transactions.transact_write_items, writes=True),
    "UpdateItem": Operation(items.UPDATE_ITEM, items.update_item, writes=True),
    "UpdateTable": Operation(update_table.UPDATE_TABLE, update_table.update_table, writes=True),
    # PartiQL
    **{
        name: Operation(
            shape,
            statement_requests.loaded_when_called(run),
            writes=True,
            snapshot=True,
            reads=statement_requests.only_reads,
        )
        for name, shape, run in (
            ("ExecuteStatement", statement_requests.EXECUTE_STATEMENT, "execute_statement"),
            ("BatchExecuteStatement", statement_requests.BATCH_EXECUTE_STATEMENT, "batch_execute_statement"),
            ("ExecuteTransaction", statement_requests.EXECUTE_TRANSACTION, "execute_transaction"),
        )
    },
    # Tags, time to live, policies, the account
    "TagResource": Operation(tags.TAG_RESOURCE, tags.tag_resource, writes=True),
    "UntagResource": Operation(tags.UNTAG_RESOURCE, tags.untag_resource, writes=True),
    "ListTagsOfResource": Operation(tags.LIST_TAGS_OF_RESOURCE, tags.list_tags_of_resource),
    "UpdateTimeToLive": Operation(time_to_live.UPDATE_TIME_TO_LIVE, time_to_live.update_time_to_live, writes=True),
    "DescribeTimeToLive": Operation(time_to_live.DESCRIBE_TIME_TO_LIVE, time_to_live.describe_time_to_live),
    "PutResourcePolicy": Operation(
        resource_policies.PUT_RESOURCE_POLICY,
        resource_policies.put_resource_policy,
        writes=True,
        limits="kept; enforced only where it denies all writes to everyone; access is by `--credentials`",
    ),
    "GetResourcePolicy": Operation(resource_policies.GET_RESOURCE_POLICY, resource_policies.get_resource_policy),
    "DeleteResourcePolicy": Operation(
        resource_policies.DELETE_RESOURCE_POLICY, resource_policies.delete_resource_policy, writes=True
    ),
    "DescribeLimits": Operation(
        account.NOTHING, account.describe_limits, limits="the quotas of a new account; nothing is throttled by them"
    ),
    "DescribeEndpoints": Operation(account.NOTHING, account.describe_endpoints, limits="served: names this server"),
    # Streams
    "ListStreams": Operation(streams.LIST_STREAMS, streams.list_streams, snapshot=True),
    "DescribeStream": Operation(streams.DESCRIBE_STREAM, streams.describe_stream, snapshot=True),
    "GetShardIterator": Operation(streams.GET_SHARD_ITERATOR, streams.get_shard_iterator, snapshot=True),
    "GetRecords": Operation(streams.GET_RECORDS, streams.get_records, snapshot=True),
    # Point-in-time recovery and backups
    "UpdateContinuousBackups": Operation(
        continuous_backups.UPDATE_CONTINUOUS_BACKUPS, continuous_backups.update_continuous_backups, writes=True
    ),
    "DescribeContinuousBackups": Operation(
        continuous_backups.DESCRIBE_CONTINUOUS_BACKUPS, continuous_backups.describe_continuous_backups, snapshot=True
    ),
    "RestoreTableToPointInTime": Operation(
        restores.RESTORE_TO_POINT_IN_TIME, restores.restore_to_point_in_time, writes=True
    ),
    "CreateBackup": Operation(on_demand_backups.CREATE_BACKUP, on_demand_backups.create_backup, writes=True),
    "DescribeBackup": Operation(on_demand_backups.BY_BACKUP, on_demand_backups.describe_backup, snapshot=True),
    "ListBackups": Operation(on_demand_backups.LIST_BACKUPS, on_demand_backups.list_backups, snapshot=True),
    "DeleteBackup": Operation(on_demand_backups.BY_BACKUP, on_demand_backups.delete_backup, writes=True),
    "RestoreTableFromBackup": Operation(
        on_demand_backups.RESTORE_FROM_BACKUP, on_demand_backups.restore_from_backup, writes=True
    ),
    "ExportTableToPointInTime": Operation(exports.EXPORT_TABLE, exports.export_table),
    "DescribeExport": Operation(exports.DESCRIBE_EXPORT, exports.describe_export, snapshot=True),
    "ListExports": Operation(exports.LIST_EXPORTS, exports.list_exports, snapshot=True),
    "ImportTable": Operation(imports.IMPORT_TABLE, imports.import_table, writes=True),
    "DescribeImport": Operation(imports.DESCRIBE_IMPORT, imports.describe_import, snapshot=True),
    "ListImports": Operation(imports.LIST_IMPORTS, imports.list_imports, snapshot=True),
    # Bulk operations
    "StartBulkPutItems": Operation(bulk_puts.BULK_PUT, bulk_puts.start_bulk_put_items, writes=True),
    "DescribeBulkOperation": Operation(bulk_puts.BY_BULK_OPERATION, bulk_puts.describe_bulk_operation, snapshot=True),
    "ListBulkOperations": Operation(bulk_puts.LIST_BULK_OPERATIONS, bulk_puts.list_bulk_operations, snapshot=True),
    "CancelBulkOperation": Operation(
        bulk_puts.BY_BULK_OPERATION, bulk_puts.cancel_bulk_operation, snapshot=True, limits="refused: it has ended"
    ),
    # Contributor insights
    "DescribeContributorInsights": Operation(
        contributor_insights.DESCRIBE_INSIGHTS, contributor_insights.describe_contributor_insights, snapshot=True
    ),
    "ListContributorInsights": Operation(
        contributor_insights.LIST_INSIGHTS, contributor_insights.list_contributor_insights, snapshot=True
    ),
    "UpdateContributorInsights": Operation(
        contributor_insights.UPDATE_INSIGHTS,
        contributor_insights.update_contributor_insights,
        writes=True,
        limits="kept and described; no keys are counted",
    ),
    # Kinesis
    "DescribeKinesisStreamingDestination": Operation(kinesis.DESCRIBE_KINESIS, kinesis.describe_kinesis, snapshot=True),
    "EnableKinesisStreamingDestination": Operation(
        kinesis.ENABLE_KINESIS,
        kinesis.enable_kinesis,
        writes=True,
        limits="served with `--kinesis-endpoint`; otherwise refused: there is no Kinesis Data Streams here",
    ),
    "DisableKinesisStreamingDestination": Operation(kinesis.DISABLE_KINESIS, kinesis.disable_kinesis, writes=True),
    "UpdateKinesisStreamingDestination": Operation(kinesis.UPDATE_KINESIS, kinesis.update_kinesis, writes=True),
    # Features that one machine does not have
    **{
        name: Operation(shape, run, snapshot=True, limits=limits)
        for name, (shape, run, limits) in unavailable.UNAVAILABLE.items()
    },
}
