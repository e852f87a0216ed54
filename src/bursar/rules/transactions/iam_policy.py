"""IAM policies that allow only transactions under rules to write to a table on AWS.

IAM does not know rules. It knows the operation around a write (``dynamodb:EnclosingOperation``) and the partition keys
that a write touches (``dynamodb:LeadingKeys``). That is enough to deny every writer but the named roles, and to deny
those roles every write outside TransactWriteItems. Source: Service Authorization Reference, "Condition keys for Amazon
DynamoDB"; Developer Guide, "Using IAM with DynamoDB transactions".
"""

from typing import Any

from bursar.rules.judging.plan import RulesPlan
from bursar.rules.judging.sentinels import PREFIX
from bursar.rules.language.ruleset import Rules

POLICY_VERSION = "2012-10-17"

_TRANSACTED = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem")
_WRITES = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
_OTHER_WRITES = (
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
)
_READS = ("dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query")
_READS_OF_ALL = (*_READS, "dynamodb:Scan")


def iam_policies(rules: Rules, table_arn: str, writer_role_arns: tuple[str, ...]) -> dict[str, Any]:
    """Return three policies: ``writer``, ``reader`` and ``table``.

    ``writer`` is for the roles that write through :class:`~bursar.rules.table.RuledTable`. ``reader`` is for roles that
    read the whole table: the audit and the lake's writer. ``table`` is the table's resource policy, which denies writes
    by all roles but the writers. Raises ``ValueError`` without a role.
    """
    if not writer_role_arns:
        raise ValueError("writer role ARNs: must be at least one; got none")
    return {
        "writer": _writer(rules, table_arn),
        "reader": _reader(table_arn),
        "table": _table(table_arn, writer_role_arns),
    }


def _writer(rules: Rules, table_arn: str) -> dict[str, Any]:
    inside = {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}
    statements = [
        _statement("WriteInTransactions", "Allow", _TRANSACTED, table_arn, inside),
        _statement("Read", "Allow", _READS, [table_arn, f"{table_arn}/index/*"]),
        _statement("NoOtherWrites", "Deny", _OTHER_WRITES, table_arn),
    ]
    if nothing_is_removed(rules):
        # Only sentinels are ever removed: a delete of any other item is a mistake.
        others = {"ForAnyValue:StringNotLike": {"dynamodb:LeadingKeys": [f"{PREFIX}*"]}}
        statements.append(_statement("OnlySentinelsGo", "Deny", ("dynamodb:DeleteItem",), table_arn, others))
    return {"Version": POLICY_VERSION, "Statement": statements}


def _reader(table_arn: str) -> dict[str, Any]:
    everything = [table_arn, f"{table_arn}/index/*"]
    return {"Version": POLICY_VERSION, "Statement": [_statement("ReadAll", "Allow", _READS_OF_ALL, everything)]}


def _table(table_arn: str, writer_role_arns: tuple[str, ...]) -> dict[str, Any]:
    strangers = {"ArnNotEquals": {"aws:PrincipalArn": list(writer_role_arns)}}
    statement = _statement("OnlyTheseRolesWrite", "Deny", (*_WRITES, *_OTHER_WRITES), table_arn, strangers)
    return {"Version": POLICY_VERSION, "Statement": [{**statement, "Principal": "*"}]}


def nothing_is_removed(rules: Rules) -> bool:
    """Return whether items of no kind may be removed."""
    return all(kind.removal is not None for kind in RulesPlan(rules).kinds.values())


def _statement(
    sid: str, effect: str, actions: tuple[str, ...], resource: str | list[str], condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": sid, "Effect": effect, "Action": list(actions), "Resource": resource}
    if condition:
        statement["Condition"] = condition
    return statement
