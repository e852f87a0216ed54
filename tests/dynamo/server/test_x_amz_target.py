"""The operations are those of botocore's service models."""

from botocore.session import get_session

from bursar.dynamo.operations.dispatch import OPERATIONS
from bursar.dynamo.server.x_amz_target import DATA_OPERATIONS, DATA_TARGET, STREAM_OPERATIONS, STREAMS_TARGET, TARGETS
from tests.support.dynamo.service_model import NEWER_OPERATIONS


def test_the_operations_are_those_that_botocore_knows() -> None:
    for service, operations, target in (
        ("dynamodb", DATA_OPERATIONS, DATA_TARGET),
        ("dynamodbstreams", STREAM_OPERATIONS, STREAMS_TARGET),
    ):
        model = get_session().get_service_model(service)
        known = set(model.operation_names) | (NEWER_OPERATIONS if service == "dynamodb" else set())
        assert list(operations) == sorted(known)
        assert target == model.metadata["targetPrefix"]


def test_every_operation_of_the_engine_has_a_target() -> None:
    assert set(OPERATIONS) <= set(TARGETS.values())
