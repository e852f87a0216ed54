"""Every operation that Amazon's two endpoints know, including those that the engine does not offer.

The server answers any other operation with UnknownOperationException. The engine refuses those that it does not offer.
A test compares this list with botocore's service models.
"""

from typing import Final

DATA_TARGET = "DynamoDB_20120810"
STREAMS_TARGET = "DynamoDBStreams_20120810"

# fmt: off
DATA_OPERATIONS: Final = (
    "BatchExecuteStatement", "BatchGetItem", "BatchWriteItem", "CancelBulkOperation", "CreateBackup",
    "CreateGlobalTable", "CreateTable", "DeleteBackup", "DeleteItem", "DeleteResourcePolicy", "DeleteTable",
    "DescribeBackup", "DescribeBulkOperation", "DescribeContinuousBackups", "DescribeContributorInsights",
    "DescribeEndpoints", "DescribeExport", "DescribeGlobalTable", "DescribeGlobalTableSettings", "DescribeImport",
    "DescribeKinesisStreamingDestination", "DescribeLimits", "DescribeTable", "DescribeTableReplicaAutoScaling",
    "DescribeTimeToLive", "DisableKinesisStreamingDestination", "EnableKinesisStreamingDestination",
    "ExecuteStatement", "ExecuteTransaction", "ExportTableToPointInTime", "GetItem", "GetResourcePolicy",
    "ImportTable", "ListBackups", "ListBulkOperations", "ListContributorInsights", "ListExports",
    "ListGlobalTables", "ListImports", "ListTables", "ListTagsOfResource", "PutItem", "PutResourcePolicy", "Query",
    "RestoreTableFromBackup", "RestoreTableToPointInTime", "Scan", "SearchVectors", "StartBulkPutItems",
    "TagResource", "TransactGetItems", "TransactWriteItems", "UntagResource", "UpdateContinuousBackups",
    "UpdateContributorInsights", "UpdateGlobalTable", "UpdateGlobalTableSettings", "UpdateItem",
    "UpdateKinesisStreamingDestination", "UpdateTable", "UpdateTableReplicaAutoScaling", "UpdateTimeToLive",
)
# fmt: on
# fmt: off
STREAM_OPERATIONS: Final = (
    "DescribeStream", "GetRecords", "GetShardIterator", "ListStreams",
)
# fmt: on

TARGETS: Final[dict[bytes, str]] = {
    f"{prefix}.{operation}".encode(): operation
    for prefix, operations in ((DATA_TARGET, DATA_OPERATIONS), (STREAMS_TARGET, STREAM_OPERATIONS))
    for operation in operations
}
"""The X-Amz-Target header of each operation."""
