"""The ARN of tables in an engine that was opened without a region."""

from typing import Final

from bursar.dynamo.regions import DEFAULT_REGION, table_arn_prefix

TABLE_ARN: Final = table_arn_prefix(DEFAULT_REGION)
