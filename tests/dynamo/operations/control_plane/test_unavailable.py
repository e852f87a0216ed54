"""Every operation of Amazon's two services answers with a result, or with an error that names what is missing."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.session import get_session

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.operations.dispatch import OPERATIONS
from tests.support.dynamo.service_model import NEWER_OPERATIONS
from tests.support.dynamo.tables import refusal, table

TABLE_ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/orders"
GIVEN: dict[str, Any] = {
    "TableName": "orders",
    "SourceTableName": "orders",
    "GlobalTableName": "orders",
    "TableArn": TABLE_ARN,
    "ResourceArn": TABLE_ARN,
    "StreamArn": TABLE_ARN + "/stream/2026-01-01T00:00:00.000",
    "PointInTimeRecoveryEnabled": True,
    "ContributorInsightsAction": "ENABLE",
}
"""Members whose value must name an existing resource."""


def model_operations() -> Iterator[tuple[str, str]]:
    for service in ("dynamodb", "dynamodbstreams"):
        for operation in get_session().get_service_model(service).operation_names:
            yield service, operation


def sample(shape: Shape, depth: int = 0) -> Any:
    """Return a value of a shape with its required members only."""
    if isinstance(shape, StructureShape):
        required = shape.required_members
        return {name: GIVEN.get(name) or sample(shape.members[name], depth + 1) for name in required}
    if isinstance(shape, ListShape):
        return [sample(shape.member, depth + 1)]
    if isinstance(shape, MapShape):
        return {"key": sample(shape.value, depth + 1)}
    kind = shape.type_name
    if kind == "string":
        choices = shape.metadata.get("enum")
        return choices[0] if choices else "x" * max(3, shape.metadata.get("min", 0))
    return {"boolean": True, "integer": 1, "long": 1, "double": 1.0, "float": 1.0, "timestamp": 1}.get(kind, "eA==")


@pytest.fixture(autouse=True)
def orders(engine: Engine) -> None:
    engine.execute("CreateTable", table())


@pytest.mark.parametrize(("service", "operation"), list(model_operations()))
def test_every_operation_answers(engine: Engine, service: str, operation: str) -> None:
    model = get_session().get_service_model(service).operation_model(operation)
    request = sample(model.input_shape) if model.input_shape else {}
    modelled = {shape.name for shape in model.error_shapes} | {"ValidationException"}
    answer, error = answered(engine, operation, request)
    members = model.output_shape.members if model.output_shape else {}
    assert set(answer) <= set(members)
    assert error is None or (error.code in modelled and error.message), str(error)


def answered(engine: Engine, operation: str, request: dict[str, Any]) -> tuple[dict[str, Any], DynamoError | None]:
    """Return the response, or the error."""
    try:
        return engine.execute(operation, request), None
    except DynamoError as error:
        return {}, error


def test_no_operation_is_missing() -> None:
    assert set(OPERATIONS) == {operation for _, operation in model_operations()} | NEWER_OPERATIONS


def test_questions_get_the_true_answer(engine: Engine) -> None:
    assert engine.execute("ListGlobalTables", {}) == {"GlobalTables": []}


@pytest.mark.parametrize(
    "members",
    [
        {"ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}]},
        {"MultiRegionConsistency": "STRONG"},
        {"DisassociationProtectionEnabled": True},
        {"GlobalTableSettingsReplicationMode": "ENABLED"},
    ],
)
def test_replicas_are_not_passed_over(engine: Engine, members: dict[str, Any]) -> None:
    (member,) = members
    assert f"{member} is not available" in refusal(engine, "UpdateTable", {"TableName": "orders", **members})


@pytest.mark.parametrize(
    ("operation", "member", "value"),
    [("ListBackups", "Limit", 0), ("ListExports", "MaxResults", 26), ("ListImports", "PageSize", 0)],
)
def test_the_size_of_a_page_is_checked_where_there_is_nothing(
    engine: Engine, operation: str, member: str, value: int
) -> None:
    text = refusal(engine, operation, {member: value})
    assert f"at '{member[0].lower()}{member[1:]}' failed to satisfy constraint: Member must have value" in text
