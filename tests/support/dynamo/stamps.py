"""Items that show whether they are whole: every attribute follows from the key, a stamp and a length."""

import hashlib
from typing import Any

from tests.support.dynamo.tables import table


def stamped(key: tuple[str, str], stamp: int, body_bytes: int) -> dict[str, Any]:
    """Return an item whose body cannot be a mixture of two writes."""
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
    """Return a CreateTable request for such items, with an index and a stream that must stay equal to them."""
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    return {**table(global_indexes={"by-state": ("state:S", "stamp:N")}), "StreamSpecification": stream}
