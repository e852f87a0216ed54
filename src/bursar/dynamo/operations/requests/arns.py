"""Parse the Amazon resource names in requests, find their tables and streams, and raise Amazon's errors."""

import re
from dataclasses import dataclass

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_parameter
from bursar.dynamo.operations.requests.shapes import StringShape
from bursar.dynamo.regions import ACCOUNT
from bursar.dynamo.storage.table import Table

RESOURCE_ARN = StringShape(1, 1283)

_ARN = re.compile(r"arn:(?P<partition>[^:]*):dynamodb:(?P<region>[^:]*):(?P<account>[^:]*):(?P<resource>.+)")
_RESOURCE = re.compile(r"table/(?P<table>[a-zA-Z0-9_.-]+)(/(?P<kind>[a-z]+)/(?P<rest>[^/]+))?")


@dataclass(frozen=True, slots=True)
class Arn:
    """The ARN of a table, or of a resource that belongs to it (``kind``: stream, index, …)."""

    text: str
    partition: str
    region: str
    account: str
    table: str
    kind: str | None
    rest: str | None

    def is_of(self, region: str) -> bool:
        """Return whether the ARN has the engine's partition and this region."""
        return self.partition == "aws" and self.region == region


def parse_arn(text: str) -> Arn:
    """Return the parts of an ARN. Raise ValidationException for an ARN that is not DynamoDB's."""
    if not text.startswith("arn:"):
        raise invalid_parameter(f"ARNs must start with 'arn:': {text}")
    found = _ARN.fullmatch(text)
    resource = _RESOURCE.fullmatch(found["resource"]) if found else None
    if found is None or resource is None:
        raise invalid_parameter(f"Provided Arn is not a DynamoDB resource arn: {text}")
    return Arn(
        text,
        found["partition"],
        found["region"],
        found["account"],
        resource["table"],
        resource["kind"],
        resource["rest"],
    )


def tagged_table(core: Core, text: str, operation: str) -> Table:
    """Return the table that a tag operation's ``ResourceArn`` names."""
    arn = parse_arn(text)
    if arn.kind == "index":
        raise _only_tables(text)
    if arn.kind is not None:
        raise invalid_parameter(f"Provided Arn is not a DynamoDB resource arn: {text}")
    if arn.account != ACCOUNT:
        raise access_denied(operation, text)
    if not arn.is_of(core.storage.region):
        raise invalid(f"Invalid TableArn: Invalid ResourceArn provided as input {text}")
    table = core.find_table(arn.table)
    if table is None:
        raise DynamoError("ResourceNotFoundException", f"Requested resource not found: ResourceArn: {text} not found")
    return table


def policy_slot(core: Core, text: str) -> tuple[Table, str]:
    """Return (table, slot) of a resource policy. The table's slot is ``table``, its stream's is the stream's label."""
    arn = parse_arn(text)
    if arn.kind == "index":
        raise _only_tables(text)
    if arn.kind not in (None, "stream"):
        raise invalid_parameter(f"Provided Arn is not a DynamoDB resource arn: {text}")
    if arn.account != ACCOUNT:
        raise invalid("This action is only supported by accounts that match the resource owner’s account.")
    if not arn.is_of(core.storage.region):
        raise invalid_parameter(f"Invalid resource Arn: {text}")
    table = core.find_table(arn.table)
    if table is None:
        raise DynamoError("ResourceNotFoundException", f"Requested resource not found: Table: {arn.table} not found")
    if arn.rest is None:
        return table, "table"
    if arn.rest != table.document.get("LatestStreamLabel"):
        raise DynamoError(
            "ResourceNotFoundException",
            f"Requested resource not found: Stream: {arn.rest} not found for Table: {table.name}",
        )
    return table, arn.rest


def access_denied(operation: str, resource: str) -> DynamoError:
    """Return Amazon's error for a resource in another account, which is also Amazon's error for missing resources."""
    return DynamoError(
        "AccessDeniedException",
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: dynamodb:{operation} on resource: {resource}"
        f" because no resource-based policy allows the dynamodb:{operation} action",
    )


def _only_tables(text: str) -> DynamoError:
    return invalid_parameter(
        f"Invalid resource arn provided, only table or stream is accepted. Provided resource arn: {text}"
    )
