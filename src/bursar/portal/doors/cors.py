"""Let pages of chosen origins read the answers of chosen endpoints (CORS), for a dashboard that runs in a browser.

Requests are signed as usual; CORS only lets a browser send them and show the answers to the page. Cookies are not used,
so no credentials are allowed. Source: the Fetch standard, "HTTP CORS protocol".
"""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from bursar.portal.contract.error_catalogue import ORIGIN_NOT_ALLOWED
from bursar.portal.contract.errors import Forbidden

ALLOWED_HEADERS: Final = ("authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-request-id")
"""The headers of a signed request that a browser does not allow by default."""
EXPOSED_HEADERS: Final = ("x-request-id", "retry-after")
PREFLIGHT_AGE_MAX_S: Final = 600


class Cors(CORSMiddleware):
    """Starlette's middleware, with the portal's JSON for a preflight that is refused."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD"),
            allow_headers=ALLOWED_HEADERS,
            expose_headers=EXPOSED_HEADERS,
            max_age=PREFLIGHT_AGE_MAX_S,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the answer to a preflight: 200, or 403 for another origin, method or header."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        error = Forbidden(ORIGIN_NOT_ALLOWED)
        return JSONResponse(error.body(), error.status, {"vary": response.headers["vary"]})
