"""The region and the account in the engine's ARNs.

An engine has one region for its life, given when it is opened. The file does not store it.
"""

import re
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
    """Return the ARN of a region's tables, up to a table's name."""
    return f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/"
