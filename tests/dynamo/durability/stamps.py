"""Items that show whether they are whole: every attribute follows from the key, a stamp and a length."""

import hashlib
from typing import Any


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
