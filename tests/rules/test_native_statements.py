"""PartiQL is one more client: a statement that breaks a rule of the table is refused like any other write."""

from collections.abc import Iterator

import pytest

from bursar.dynamo import DynamoError, Engine
from bursar.rules import Rules, Transitions, Unique
from bursar.rules.language.toml import rules_to_toml
from bursar.rules.native import load_guard

RULES = Rules(
    partition_key="pk",
    rules=(
        Unique("number", attributes=("number",)),
        Transitions("moves", attribute="state", initial=("open",), final=("sent",), edges=(("open", "sent"),)),
    ),
)


@pytest.fixture
def orders() -> Iterator[Engine]:
    engine = Engine.open(":memory:", guard_loader=load_guard)
    engine.execute(
        "CreateTable",
        {
            "TableName": "orders",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    engine.put_rules_document("orders", rules_to_toml(RULES))
    engine.execute("ExecuteStatement", {"Statement": "INSERT INTO orders VALUE {'pk':'a','number':'1','state':'open'}"})
    engine.execute("ExecuteStatement", {"Statement": "UPDATE orders SET state='sent' WHERE pk='a'"})
    yield engine
    engine.close()


def test_a_statement_that_takes_a_unique_value_is_refused(orders: Engine) -> None:
    taking = {"Statement": "INSERT INTO orders VALUE {'pk':'b','number':'1','state':'open'}"}
    with pytest.raises(DynamoError, match=r"Rule number \(unique\) refuses to put item") as refused:
        orders.execute("ExecuteStatement", taking)
    assert refused.value.code == "ConditionalCheckFailedException"
    with pytest.raises(DynamoError) as cancelled:
        orders.execute("ExecuteTransaction", {"TransactStatements": [taking]})
    assert cancelled.value.cancellation_reasons is not None
    assert "Rule number (unique)" in cancelled.value.cancellation_reasons[0]["Message"]


def test_a_statement_that_moves_a_state_back_is_refused(orders: Engine) -> None:
    with pytest.raises(DynamoError, match="state sent is final"):
        orders.execute("ExecuteStatement", {"Statement": "UPDATE orders SET state='open' WHERE pk='a'"})
