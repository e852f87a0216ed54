"""The engine's request shapes are those of botocore's service model, member by member, or differ for a known reason."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.session import get_session

from bursar.dynamo.operations.dispatch import OPERATIONS
from bursar.dynamo.operations.requests import shapes

REASONS = {
    "*TableName: length": "Amazon's check of the name itself, and of an ARN, is stricter than its model",
    "*.KeySchema: length": "Amazon refuses a longer key with a text about its length",
    "*.AttributesToGet[]: length": "an item, and so the name of an attribute, ends at 400 KB",
    "*Arn: length": "checked as the name of a resource",
    "CreateTable.*: not in the model": "members of UpdateTable; Amazon ignores them, the engine refuses them",
    "UpdateTable.*: not in the model": "members of CreateTable; Amazon ignores them, the engine refuses them",
    "CreateTable: required": "the model lets a copy of a global table leave the key out; one machine has none",
    # One machine has none of these: the operation is refused, or answered that there is none.
    "*.ReplicaUpdates*": "replicas",
    "*.ReplicationGroup*": "replicas",
    "*.ReplicaSettingsUpdate*": "replicas",
    "UpdateTable.GlobalTable*": "replicas",
    "UpdateTable.MultiRegionConsistency: choices": "replicas",
    "CreateTable.GlobalTableSettingsReplicationMode: choices": "replicas",
    "UpdateGlobalTableSettings.*": "replicas",
    "UpdateTableReplicaAutoScaling.*": "replicas",
    "ListImports.NextToken: length": "the engine's tokens are shorter",
}
"""Pattern of a difference → why it is right."""


def differences(model: Shape, shape: Any, path: str, inside: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield ``path: what`` of each difference between a shape of the model and the engine's."""
    if model.name == "AttributeValue" or model.name in inside:
        return
    if isinstance(model, StructureShape):
        yield from _members(model, shape, path, (*inside, model.name))
    elif isinstance(model, ListShape):
        if not isinstance(shape, shapes.ListShape):
            yield f"{path}: type"
            return
        if (model.metadata.get("min", 0), model.metadata.get("max")) != (shape.fewest, shape.most):
            yield f"{path}: length"
        yield from differences(model.member, shape.of, f"{path}[]", inside)
    elif isinstance(model, MapShape):
        if isinstance(shape, shapes.MapShape):
            yield from differences(model.value, shape.of, f"{path}{{}}", inside)
        elif not isinstance(shape, shapes.AttributeMapShape):
            yield f"{path}: type"
    else:
        yield from _scalar(model, shape, path)


def _members(model: StructureShape, shape: Any, path: str, inside: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(shape, shapes.StructureShape):
        yield f"{path}: type"
        return
    if set(model.required_members) != shape.required:
        yield f"{path}: required"
    for name in set(shape.members) - set(model.members):
        yield f"{path}.{name}: not in the model"
    for name, member in model.members.items():
        if name in shape.members:
            yield from differences(member, shape.members[name], f"{path}.{name}", inside)
        else:
            yield f"{path}.{name}: absent"


def _scalar(model: Shape, shape: Any, path: str) -> Iterator[str]:
    bounds = model.metadata.get("min"), model.metadata.get("max")
    if model.type_name == "string":
        if not hasattr(shape, "shortest"):
            yield f"{path}: type"
        elif set(model.metadata.get("enum", ())) != set(getattr(shape, "choices", ())):
            yield f"{path}: choices"
        elif "enum" not in model.metadata and (bounds[0] or 0, bounds[1]) != (shape.shortest, shape.longest):
            yield f"{path}: length"
    elif model.type_name in ("integer", "long"):
        if not isinstance(shape, shapes.IntegerShape):
            yield f"{path}: type"
        elif bounds != (shape.least, shape.most):
            yield f"{path}: bounds"
        elif shape.java != model.type_name.title():
            yield f"{path}: width"
    elif model.type_name == "boolean" and not isinstance(shape, shapes.BooleanShape):
        yield f"{path}: type"


def found() -> list[str]:
    return [
        difference
        for service in ("dynamodb", "dynamodbstreams")
        for model in [get_session().get_service_model(service)]
        for operation in model.operation_names
        for input_shape in [model.operation_model(operation).input_shape]
        if input_shape is not None
        for difference in differences(input_shape, OPERATIONS[operation].shape, operation)
    ]


def test_every_difference_has_a_reason() -> None:
    unexplained = [text for text in found() if not any(fnmatchcase(text, pattern) for pattern in REASONS)]
    assert unexplained == []


def test_every_reason_explains_a_difference() -> None:
    texts = found()
    idle = [p for p in REASONS if not any(fnmatchcase(text, p) for text in texts)]
    assert idle == []


def test_a_difference_is_seen() -> None:
    model = get_session().get_service_model("dynamodb").operation_model("ListTables").input_shape
    assert model is not None
    shape = shapes.Request({"Limit": shapes.IntegerShape(1, 99), "Other": shapes.BooleanShape()}, ("Limit",))
    assert sorted(differences(model, shape, "ListTables")) == [
        "ListTables.ExclusiveStartTableName: absent",
        "ListTables.Limit: bounds",
        "ListTables.Other: not in the model",
        "ListTables: required",
    ]
