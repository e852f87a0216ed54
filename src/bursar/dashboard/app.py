"""The pages as one ASGI application, for browsers on this machine only. Errors have the portal's shape."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bursar.dashboard.try_payment import TryPayment, pages
from bursar.portal.api.authentication import is_from_another_site
from bursar.portal.contract.error_catalogue import NOT_THIS_MACHINE, ROUTE_NOT_FOUND
from bursar.portal.contract.errors import Forbidden, MethodNotAllowed, NotFound, PortalError


def pages_app(parts: TryPayment) -> Starlette:
    """Return the application. An unknown path, or a request from another site, is answered with an error in JSON."""
    return Starlette(
        routes=pages(parts),
        exception_handlers={HTTPException: _as_json},
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=_own_browser_only)],
    )


async def _as_json(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == MethodNotAllowed.status:
        return _reply(MethodNotAllowed((error.headers or {}).get("Allow", "").split(", ")))
    return _reply(NotFound(ROUTE_NOT_FOUND))


async def _own_browser_only(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    # The pages act as a client without a signature. Another site must neither post a form here nor read a page.
    return _reply(Forbidden(NOT_THIS_MACHINE)) if is_from_another_site(request.headers) else await go_on(request)


def _reply(error: PortalError) -> Response:
    return JSONResponse(error.body(), error.status, dict(error.headers))
