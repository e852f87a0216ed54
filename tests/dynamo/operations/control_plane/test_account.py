"""DescribeLimits and DescribeEndpoints."""

from bursar.dynamo import Engine


def test_limits_are_those_of_a_new_account(engine: Engine) -> None:
    assert engine.execute("DescribeLimits", {}) == {
        "AccountMaxReadCapacityUnits": 80_000,
        "AccountMaxWriteCapacityUnits": 80_000,
        "TableMaxReadCapacityUnits": 40_000,
        "TableMaxWriteCapacityUnits": 40_000,
    }


def test_the_endpoint_is_where_the_store_is_served(engine: Engine) -> None:
    engine.set_address("127.0.0.1:8000")
    endpoints = engine.execute("DescribeEndpoints", {})["Endpoints"]
    assert endpoints == [{"Address": "127.0.0.1:8000", "CachePeriodInMinutes": 1440}]
