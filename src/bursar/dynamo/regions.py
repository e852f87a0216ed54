"""The region and the account in the engine's ARNs, and the differences between the answers of regions.

An engine has one region for its life, given when it is opened. The file does not store it.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final

DEFAULT_REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"

_REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]{2,12})+-[1-9][0-9]?")


def check_region(region: str) -> str:
    """Return ``region``. Raise ``ValueError`` unless it has the form of a region's name; it need not exist."""
    if _REGION.fullmatch(region) is None:
        raise ValueError(f"region: must be a region's name such as us-east-1; got {region}")
    return region


def table_arn_prefix(region: str) -> str:
    """Return the beginning of the ARNs of a region's tables, up to a table's name."""
    return f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/"


class RegionDifference(Enum):
    """A group of answers that differ between us-east-1 and some other regions."""

    OLDER_WRITES = "PutItem, UpdateItem and DeleteItem are checked by the older layer"
    OLDER_BATCH_GET = "BatchGetItem without tables is reported by the older layer"
    NEWER_SCAN = "the parameters of Scan are checked by the newer layer"


DIFFERENCES: Final[Mapping[RegionDifference, frozenset[str]]] = {
    RegionDifference.OLDER_WRITES: frozenset({"eu-south-2", "me-central-1"}),
    RegionDifference.OLDER_BATCH_GET: frozenset({"me-central-1"}),
    RegionDifference.NEWER_SCAN: frozenset({"ap-east-2", "ap-northeast-2", "eu-central-1", "eu-west-2", "us-west-1"}),
}
"""The regions with each difference, of the 33 regions that paritysuite/dynamodb-conformance recorded until October 2026
(registry/splits.json). A region without a record has the answers of us-east-1."""


def differences_of(region: str) -> frozenset[RegionDifference]:
    """Return the differences between a region's answers and those of us-east-1."""
    return frozenset(difference for difference, regions in DIFFERENCES.items() if region in regions)
