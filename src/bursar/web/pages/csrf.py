"""Refuse forms that another site sends in a person's name.

Two independent checks, both on every request that may change something:

    the browser says where the request comes from    Sec-Fetch-Site, Origin
    the form holds a token of this session           an HMAC that another site cannot compute
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

FIELD: Final = "csrf"
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})


def csrf_token(key: str, secret: str) -> str:
    """Return the token of the forms of one session. ``secret``: a value that only this browser's cookie holds."""
    return hmac.new(key.encode(), b"csrf:" + secret.encode(), hashlib.sha256).hexdigest()


def is_csrf_token(key: str, secret: str, sent: str) -> bool:
    """Return whether ``sent`` is the session's token."""
    return bool(secret) and hmac.compare_digest(csrf_token(key, secret).encode(), sent.encode())


def is_from_own_site(headers: Mapping[str, str], own_origin: str) -> bool:
    """Return whether the browser's headers say that a page of this origin sent the request.

    A request with neither header does not come from a current browser. It passes here, and its token decides.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = headers.get("origin")
    return origin is None or origin == own_origin
