"""UpdateTimeToLive and DescribeTimeToLive."""

import pytest

from bursar.dynamo import Engine
from tests.support.dynamo.tables import refusal, table


@pytest.fixture(autouse=True)
def orders(engine: Engine) -> None:
    engine.execute("CreateTable", table())


def asked(*, on: bool, name: str = "expires") -> dict[str, object]:
    return {"TableName": "orders", "TimeToLiveSpecification": {"Enabled": on, "AttributeName": name}}


def told(engine: Engine) -> dict[str, str]:
    description: dict[str, str] = engine.execute("DescribeTimeToLive", {"TableName": "orders"})["TimeToLiveDescription"]
    return description


def test_it_is_off_until_it_is_turned_on(engine: Engine) -> None:
    assert told(engine) == {"TimeToLiveStatus": "DISABLED"}
    answer = engine.execute("UpdateTimeToLive", asked(on=True))
    assert answer == {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires"}}
    assert told(engine) == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    engine.execute("UpdateTimeToLive", asked(on=False))
    assert told(engine) == {"TimeToLiveStatus": "DISABLED"}
    engine.execute("UpdateTimeToLive", asked(on=True, name="pk"))


def test_a_change_must_change_something(engine: Engine) -> None:
    assert refusal(engine, "UpdateTimeToLive", asked(on=False)) == "TimeToLive is already disabled"
    engine.execute("UpdateTimeToLive", asked(on=True))
    assert refusal(engine, "UpdateTimeToLive", asked(on=True)) == "TimeToLive is already enabled"
    other = "TimeToLive is active on a different AttributeName: current AttributeName is expires"
    assert refusal(engine, "UpdateTimeToLive", asked(on=True, name="other")) == other
    assert refusal(engine, "UpdateTimeToLive", asked(on=False, name="other")) == other


def test_malformed_requests(engine: Engine) -> None:
    assert "length greater than or equal to 1" in refusal(engine, "UpdateTimeToLive", asked(on=True, name=""))
    assert "length less than or equal to 255" in refusal(engine, "UpdateTimeToLive", asked(on=True, name="x" * 256))
    request = {"TableName": "orders", "TimeToLiveSpecification": {"Enabled": True}}
    assert "Value null at 'timeToLiveSpecification.attributeName'" in refusal(engine, "UpdateTimeToLive", request)
    absent = {**asked(on=True), "TableName": "absent"}
    message = "Requested resource not found: Table: absent not found"
    assert refusal(engine, "UpdateTimeToLive", absent, "ResourceNotFoundException") == message
    assert refusal(engine, "DescribeTimeToLive", {"TableName": "absent"}, "ResourceNotFoundException") == message
