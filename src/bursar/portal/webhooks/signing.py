"""The signature of a delivery: HMAC-SHA256 over its time and body. It prevents changes and late replays.

Bursar-Signature: t=1795375800,v1=<64 hex digits>        signed text: "<t>.<body>"
"""

import hmac
from hashlib import sha256
from typing import Final

SIGNATURE_HEADER: Final = "Bursar-Signature"
AGE_MAX_S: Final = 300


def signature(secret: str, body: bytes, at: float) -> str:
    """Return the value of the header for ``body``, sent at ``at`` in Unix seconds."""
    moment = int(at)
    return f"t={moment},v1={_digest(secret, moment, body)}"


def verified(secret: str, body: bytes, header: str, now: float, age_max_s: int = AGE_MAX_S) -> bool:
    """Return whether ``header`` is a signature of ``body``, made at most ``age_max_s`` from ``now``. For receivers."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    moment = parts.get("t", "")
    if not moment.isascii() or not moment.isdigit() or len(moment) > 12 or abs(now - int(moment)) > age_max_s:
        return False
    return hmac.compare_digest(_digest(secret, int(moment), body).encode(), parts.get("v1", "").encode())


def _digest(secret: str, moment: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{moment}.".encode() + body, sha256).hexdigest()
