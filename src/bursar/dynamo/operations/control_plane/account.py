"""DescribeLimits and DescribeEndpoints."""

from collections.abc import Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.operations.requests.shapes import Request

NOTHING = Request({})

ACCOUNT_UNITS_MAX = 80_000
TABLE_UNITS_MAX = 40_000
ENDPOINT_CACHE_MINUTES = 1440


def describe_limits(_core: Core, _request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the quotas of a new account. The engine throttles no request by them."""
    return {
        "AccountMaxReadCapacityUnits": ACCOUNT_UNITS_MAX,
        "AccountMaxWriteCapacityUnits": ACCOUNT_UNITS_MAX,
        "TableMaxReadCapacityUnits": TABLE_UNITS_MAX,
        "TableMaxWriteCapacityUnits": TABLE_UNITS_MAX,
    }


def describe_endpoints(core: Core, _request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the address of this server: Amazon's address would send callers to another database."""
    return {"Endpoints": [{"Address": core.address, "CachePeriodInMinutes": ENDPOINT_CACHE_MINUTES}]}
