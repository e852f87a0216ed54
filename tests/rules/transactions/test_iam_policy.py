"""The generated policies allow writes only in transactions by the named roles."""

from typing import Any

import pytest

from bursar.payments import FeeCatalogue, payment_rules
from bursar.rules import AppendOnly, Kind, Rules
from bursar.rules.transactions.iam_policy import iam_policies
from tests.support.rules.samples import ORDERS

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/orders"
ROLE = "arn:aws:iam::123456789012:role/portal"


def by_sid(policy: Any) -> dict[str, Any]:
    assert policy["Version"] == "2012-10-17"
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def test_the_writer_writes_in_transactions_only() -> None:
    statements = by_sid(iam_policies(ORDERS, ARN, (ROLE,))["writer"])
    write = statements["WriteInTransactions"]
    assert write["Effect"] == "Allow"
    assert write["Condition"] == {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}
    assert "dynamodb:ConditionCheckItem" in write["Action"]
    assert statements["NoOtherWrites"]["Effect"] == "Deny"
    assert {"dynamodb:BatchWriteItem", "dynamodb:PartiQLUpdate"} <= set(statements["NoOtherWrites"]["Action"])
    assert ARN + "/index/*" in statements["Read"]["Resource"]


def test_the_table_denies_all_other_roles() -> None:
    (statement,) = iam_policies(ORDERS, ARN, (ROLE,))["table"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [ROLE]}}
    assert {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"} <= set(statement["Action"])


@pytest.mark.parametrize(
    "rules",
    [
        Rules("pk", kinds=(Kind("a", kept=True), Kind("b")), rules=(AppendOnly("b", kind="b"),)),
        payment_rules(FeeCatalogue.default()),
    ],
)
def test_where_nothing_is_ever_removed_only_sentinels_may_be_deleted(rules: Rules) -> None:
    statement = by_sid(iam_policies(rules, ARN, (ROLE,))["writer"])["OnlySentinelsGo"]
    assert statement["Action"] == ["dynamodb:DeleteItem"]
    assert statement["Condition"] == {"ForAnyValue:StringNotLike": {"dynamodb:LeadingKeys": ["unique#*"]}}


def test_where_items_may_be_removed_deletes_are_left_to_the_rules() -> None:
    assert "OnlySentinelsGo" not in by_sid(iam_policies(ORDERS, ARN, (ROLE,))["writer"])


def test_the_reader_reads_everything_and_writes_nothing() -> None:
    (statement,) = iam_policies(ORDERS, ARN, (ROLE,))["reader"]["Statement"]
    assert statement["Resource"] == [ARN, f"{ARN}/index/*"]
    actions = ["DescribeTable", "GetItem", "BatchGetItem", "Query", "Scan"]
    assert statement["Action"] == [f"dynamodb:{action}" for action in actions]


def test_at_least_one_role_must_be_allowed_to_write() -> None:
    with pytest.raises(ValueError, match="writer role ARNs: must be at least one"):
        iam_policies(ORDERS, ARN, ())
