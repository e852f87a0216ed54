"""Items that show whether they are whole: every attribute follows from the key, a stamp and a length."""

import hashlib
from typing import Any

from tests.support.dynamo.tables import table


def stamped(key: tuple[str, str], stamp: int, body_bytes: int) -> dict[str, Any]:
    """An item whose body no mixture of two writes can have."""
    digest = hashlib.sha256(f"{key}{stamp}{body_bytes}".encode()).hexdigest()
    body = (digest * (body_bytes // len(digest) + 1))[:body_bytes]
    return {
        "pk": {"S": key[0]},
        "sk": {"S": key[1]},
        "stamp": {"N": str(stamp)},
        "state": {"S": f"s{stamp % 5}"},
        "digest": {"S": digest},
        "body": {"S": body},
    }


def table_of_all() -> dict[str, Any]:
    """A CreateTable request for such items, with all that must keep in step with them: an index and a stream."""
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    return {**table(global_indexes={"by-state": ("state:S", "stamp:N")}), "StreamSpecification": stream}
