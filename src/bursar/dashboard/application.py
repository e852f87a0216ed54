"""The dashboard as one ASGI application. Each request passes the same gate before its page runs.

    host is ours? ─► session ─► form from our own page? ─► role of the route? ─► page ─► security headers, cookies

The gate takes the roles from the route table, so a page cannot forget them. Paths outside the dashboard are answered
with errors in the portal's JSON.
"""

import asyncio
import logging
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from bursar.dashboard.multipart import read_form_with_files
from bursar.dashboard.parts import DashboardParts
from bursar.dashboard.route_table import ROUTES
from bursar.dashboard.sign_in.accounts import DEVELOPER
from bursar.dashboard.site import PREFIX, PageRoute, Site
from bursar.dashboard.static_files import STATIC_FILES
from bursar.dashboard.visit import SESSION_COOKIE, PageError, Visit
from bursar.portal.contract.error_catalogue import NOT_THIS_MACHINE, ROUTE_NOT_FOUND
from bursar.portal.contract.errors import Forbidden, MethodNotAllowed, NotFound, PortalError, portal_error
from bursar.reports.errors import LakeBusy, ReportError
from bursar.web.binding import is_loopback
from bursar.web.pages.csrf import FIELD, SAFE_METHODS, is_csrf_token, is_from_own_site
from bursar.web.pages.security_headers import security_headers

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""All methods. Each one reaches the gate, which answers the methods that a path does not have."""
_log = logging.getLogger(__name__)
_NEEDS_URL: Final = NOT_THIS_MACHINE.saying(
    "BURSAR_DASHBOARD_URL: must be the address under which people reach the dashboard; this request has another Host"
)


def dashboard_app(parts: DashboardParts, routes: Iterable[PageRoute] = ROUTES) -> Starlette:
    """Return the application: the pages below ``/dashboard``, and a redirect from ``/`` to the first of them."""
    site = Site(parts, routes)
    by_path: dict[str, dict[str, PageRoute]] = defaultdict(dict)
    for each in site.routes.values():
        by_path[each.path][each.method] = each
    return Starlette(
        routes=[
            Route("/", _to_first_page, methods=["GET"]),
            Route(PREFIX, _to_first_page, methods=["GET"]),
            Route(f"{PREFIX}/static/{{version}}/{{name:path}}", _static, methods=["GET"]),
            *(Route(f"{PREFIX}{path}", _gate(site, found), methods=_METHODS) for path, found in by_path.items()),
            Route(f"{PREFIX}/{{path:path}}", _gate(site, {"GET": _UNKNOWN_PAGE}), methods=_METHODS),
        ],
        exception_handlers={HTTPException: _as_json},
    )


async def _page_not_found(visit: Visit) -> Response:
    raise PageError(404, "errors.not_found")


_UNKNOWN_PAGE: Final = PageRoute("unknown", "GET", "/{path}", _page_not_found, None)


async def _to_first_page(request: Request) -> Response:
    return RedirectResponse(f"{PREFIX}/", 303)


async def _static(request: Request) -> Response:
    found = STATIC_FILES.response(
        request.path_params["name"], request.path_params["version"], request.headers.get("accept-encoding", "")
    )
    if found is None:
        raise HTTPException(404)
    for name, value in security_headers(secure=False).items():
        found.headers[name] = value
    return found


async def _as_json(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == MethodNotAllowed.status:
        return _json(MethodNotAllowed((error.headers or {}).get("Allow", "").split(", ")))
    return _json(NotFound(ROUTE_NOT_FOUND))


def _json(error: PortalError) -> Response:
    return JSONResponse(error.body(), error.status, dict(error.headers))


def _gate(site: Site, routes: Mapping[str, PageRoute]) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of one path: ``routes`` by method."""

    async def handle(request: Request) -> Response:
        parts = site.parts
        if not _is_own_host(parts, request.headers.get("host", "")):
            return _json(Forbidden(_NEEDS_URL))
        route = routes.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            return _json(MethodNotAllowed(list(routes)))
        cookie = "" if route.is_back_channel else request.cookies.get(SESSION_COOKIE, "")
        session = await asyncio.to_thread(site.sessions.of, cookie)
        visit = Visit(site, route, request, session)
        try:
            response = await _answer(visit)
        except PageError as error:
            response = error_page(visit, error.status, error.key, **error.fields)
        except ReportError as error:
            busy = isinstance(error, LakeBusy)
            key = "errors.reports_busy" if busy else "errors.reports_failed"
            response = error_page(visit, 503 if busy else 400, key, problem=str(error))
        except Exception as error:  # the portal's table of errors has an entry for every exception of a lower room
            known = portal_error(error)
            if known.status == 500:
                _log.exception("unhandled exception in a page of the dashboard")
                response = error_page(visit, 500, "errors.unexpected")
            else:
                response = error_page(visit, known.status, "errors.refused", problem=known.message)
        _finish(visit, response)
        return response

    return handle


async def _answer(visit: Visit) -> Response:
    route, request = visit.route, visit.request
    if route.is_back_channel:
        return await route.handler(visit)
    if request.method not in SAFE_METHODS:
        _check_origin(visit)
        if not route.is_upload:
            await visit.read_form()
            _check_token(visit, visit.form)
    elif route.roles is None and not visit.form_secret:
        visit.begin_forms()
    if route.roles is not None:
        if visit.session is None:
            refused = await _sign_in_first(visit)
            if refused is not None:
                return refused
        if not route.roles & visit.account.roles:
            await visit.log("refused", request.url.path, route=route.name)
            raise PageError(403, "errors.forbidden", roles=", ".join(_role_names(visit, route)))
    return await (_with_files(visit) if route.is_upload else route.handler(visit))


def _check_origin(visit: Visit) -> None:
    if not is_from_own_site(visit.request.headers, visit.own_origin):
        raise PageError(403, "errors.foreign_form")


def _check_token(visit: Visit, form: Mapping[str, str]) -> None:
    if not is_csrf_token(visit.site.csrf_key, visit.form_secret, form.get(FIELD, "").strip()):
        raise PageError(403, "errors.stale_form")


async def _with_files(visit: Visit) -> Response:
    """Read the form with its files into a private folder, answer, and remove the folder."""
    uploads = visit.site.uploads
    if uploads.locked():
        raise PageError(503, "errors.upload_busy")
    async with uploads:
        with tempfile.TemporaryDirectory(prefix="bursar-upload-") as folder:  # a folder of mode 700
            filled = await read_form_with_files(visit.request, Path(folder), lambda form: _check_token(visit, form))
            visit.form, visit.files = filled.fields, filled.files
            return await visit.route.handler(visit)


async def _sign_in_first(visit: Visit) -> Response | None:
    """Return a redirect to the sign-in page; None after a sign-in that needs no password."""
    accounts = visit.parts.accounts
    developer = None if accounts.needs_password else accounts.named(DEVELOPER)
    if developer is not None and visit.request.method in SAFE_METHODS:
        visit.session, cookie = await asyncio.to_thread(visit.site.sessions.begin, developer, visit.address)
        visit.set_cookie(SESSION_COOKIE, cookie)
        return None
    if visit.request.method not in SAFE_METHODS:
        raise PageError(401, "errors.signed_out")
    here = visit.request.url.path + (f"?{visit.request.url.query}" if visit.request.url.query else "")
    return visit.redirect(visit.path("sign_in", [("next", here)]))


def error_page(visit: Visit, status: int, key: str, **fields: object) -> Response:
    """Return the page of an error: the catalogue has ``<key>.title`` and ``<key>.text``."""
    title, body = visit.text(f"{key}.title"), visit.text(f"{key}.text", **fields)
    response = visit.page("error.html", http_status=status, title=title, body=body, number=status)
    if status in (429, 503):
        response.headers["retry-after"] = str(fields.get("wait_s", 5))
    return response


def _role_names(visit: Visit, route: PageRoute) -> list[str]:
    return sorted(visit.text.label("roles", role) for role in route.roles or ())


def _is_own_host(parts: DashboardParts, host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    own = urlsplit(parts.own_url).netloc if parts.own_url else None
    return is_loopback(name) or host == own


def _finish(visit: Visit, response: Response) -> None:
    secure = visit.parts.is_secure
    sandbox = visit.parts.sandbox
    targets = () if sandbox is None else (_origin(sandbox.payment_url),)
    for name, value in security_headers(secure=secure, form_targets=targets).items():
        response.headers[name] = value
    for name, value, seconds in visit.new_cookies:
        response.set_cookie(name, value, max_age=seconds, path=PREFIX, secure=secure, httponly=True, samesite="lax")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
