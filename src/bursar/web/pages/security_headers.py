"""The security headers of every page. Scripts and styles come from files of this origin alone, never from the page."""

from collections.abc import Mapping
from typing import Final

HSTS_S: Final = 365 * 24 * 3600

_DIRECTIVES: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)


def security_headers(*, secure: bool, form_targets: tuple[str, ...] = ()) -> Mapping[str, str]:
    """Return the headers. ``secure``: served over TLS. ``form_targets``: other origins to which forms may lead."""
    forms = " ".join(("form-action 'self'", *form_targets))
    headers = {
        "content-security-policy": "; ".join((*_DIRECTIVES, forms)),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
    if secure:
        headers["strict-transport-security"] = f"max-age={HSTS_S}; includeSubDomains"
    return headers
