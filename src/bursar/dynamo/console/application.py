"""The console as an ASGI application, and the server that runs it beside that of the API.

    this machine's name in Host? ─► session ─► form from our own page? ─► page ─► security headers, cookie

Without access keys, the console serves this machine only, and requests to another host name are refused. Otherwise a
page on the web could reach the console through another name. With access keys, people sign in, and each call of the
engine passes the policy of their key.
"""

import logging
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bursar.dynamo.console.item_texts import TextRefused
from bursar.dynamo.console.pages import item, items, partiql, sign_in, stream, tables
from bursar.dynamo.console.visit import (
    COOKIE,
    FORM_BYTES_MAX,
    STATIC_FILES,
    ConsolePage,
    ConsoleSite,
    ConsoleVisit,
    PageRefused,
)
from bursar.dynamo.errors import DynamoError
from bursar.web.asgi_server import REQUEST_BYTES_MAX, AsgiServer, UploadLimit, start_asgi_server
from bursar.web.binding import is_loopback
from bursar.web.pages.csrf import FIELD, SAFE_METHODS, is_csrf_token, is_from_own_site
from bursar.web.pages.security_headers import security_headers

_log = logging.getLogger(__name__)
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TABLE: Final = "/tables/{table}"
SIGN_IN: Final = "/sign-in"

PAGES: Final[tuple[tuple[str, str, ConsolePage], ...]] = (
    ("GET", "/", tables.tables_page),
    ("GET", _TABLE, tables.table_page),
    ("GET", f"{_TABLE}/items", items.items_page),
    ("GET", f"{_TABLE}/export.{{form}}", items.export_page),
    ("GET", f"{_TABLE}/item", item.item_page),
    ("GET", f"{_TABLE}/item/edit", item.edit_page),
    ("GET", f"{_TABLE}/item/delete", item.delete_form_page),
    ("GET", f"{_TABLE}/item/history", item.history_page),
    ("POST", "/item/review", item.review_page),
    ("POST", "/item/put", item.put_page),
    ("POST", "/item/delete", item.delete_page),
    ("GET", f"{_TABLE}/stream", stream.stream_page),
    ("GET", f"{_TABLE}/stream/records", stream.records_page),
    ("GET", "/partiql", partiql.partiql_page),
    ("POST", "/partiql", partiql.run_page),
    ("GET", SIGN_IN, sign_in.sign_in_page),
    ("POST", SIGN_IN, sign_in.sign_in),
    ("POST", "/sign-out", sign_in.sign_out),
)
"""Method, path and page of every URL."""

FORM_S_MAX: Final = 60.0
ITEM_FORMS: Final = ("/item/review", "/item/put", "/item/delete")
"""The paths of forms with items.

The table is a field of the form, so that the server can have separate bounds for these paths.
"""

_ITEM_FORM: Final = UploadLimit(FORM_BYTES_MAX + REQUEST_BYTES_MAX, FORM_S_MAX)


def console_app(site: ConsoleSite) -> Starlette:
    """Return the application."""
    by_path: dict[str, dict[str, ConsolePage]] = defaultdict(dict)
    for method, path, page in PAGES:
        by_path[path][method] = page
    return Starlette(
        routes=[
            Route("/static/{version}/{name:path}", _static, methods=["GET"]),
            *(Route(path, _gate(site, found), methods=_METHODS) for path, found in by_path.items()),
            Route("/{path:path}", _gate(site, {"GET": _page_not_found}), methods=_METHODS),
        ]
    )


async def start_console(site: ConsoleSite, listening: socket.socket) -> AsgiServer:
    """Serve the console on a bound socket, in the running event loop."""
    return await start_asgi_server(console_app(site), listening, uploads=dict.fromkeys(ITEM_FORMS, _ITEM_FORM))


async def _page_not_found(_visit: ConsoleVisit) -> Response:
    raise PageRefused(404, "There is no such page", "The address leads nowhere.")


async def _static(request: Request) -> Response:
    name, version = request.path_params["name"], request.path_params["version"]
    found = STATIC_FILES.response(name, version, request.headers.get("accept-encoding", ""))
    return _finished(found or PlainTextResponse("There is no such file.\n", 404))


def _gate(site: ConsoleSite, pages: Mapping[str, ConsolePage]) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of one path: ``pages`` by method."""

    async def handle(request: Request) -> Response:
        if site.access is None and not _is_this_machine(request.headers.get("host", "")):
            return _finished(PlainTextResponse("This console serves this machine alone.\n", 403))
        page = pages.get("GET" if request.method == "HEAD" else request.method)
        if page is None:
            return _finished(PlainTextResponse("The method is not allowed.\n", 405, {"allow": ", ".join(pages)}))
        visit = ConsoleVisit(site, request)
        try:
            response = await _answer(visit, page)
        except PageRefused as refusal:
            response = _error_page(visit, refusal.status, refusal.title, refusal.reason)
        except TextRefused as refusal:
            response = _error_page(visit, 400, "The request cannot be understood", str(refusal))
        except DynamoError as error:
            denied = error.code == "AccessDeniedException"
            response = _error_page(visit, 403 if denied else error.http_status, error.code, error.message)
        except Exception:  # an error of one page must not end the server; no other place makes a page of it
            _log.exception("unhandled exception in a page of the console")
            response = _error_page(visit, 500, "The page failed", "The log of the server has the reason.")
        if visit.new_cookie is not None:
            secure = request.headers.get("x-forwarded-proto") == "https"
            response.set_cookie(COOKIE, visit.new_cookie, httponly=True, samesite="strict", secure=secure)
        return _finished(response)

    return handle


async def _answer(visit: ConsoleVisit, page: ConsolePage) -> Response:
    request, site = visit.request, visit.site
    if request.method not in SAFE_METHODS:
        # Behind a proxy, the browser's scheme differs from ours, so only the hosts are compared.
        scheme = urlsplit(request.headers.get("origin", "")).scheme or "http"
        if not is_from_own_site(request.headers, f"{scheme}://{request.headers.get('host', '')}"):
            raise PageRefused(403, "The form comes from another site", "Open the page in the console and try again.")
        await visit.read_form()
        if not is_csrf_token(site.csrf_key, visit.cookie, visit.form.get(FIELD, "")):
            raise PageRefused(403, "The form is out of date", "Go back, load the page again, and repeat the change.")
    elif not visit.cookie:
        visit.begin_forms()
    if site.sessions is not None and visit.access_key is None and request.url.path != SIGN_IN:
        if request.method not in SAFE_METHODS or request.headers.get("hx-request") == "true":
            raise PageRefused(401, "The session has ended", "Sign in again, and repeat the change.")
        return visit.redirect(SIGN_IN)
    return await page(visit)


def _error_page(visit: ConsoleVisit, status: int, title: str, reason: str) -> Response:
    return visit.page("error.html", http_status=status, title=title, reason=reason)


def _is_this_machine(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _finished(response: Response) -> Response:
    for name, value in security_headers(secure=False).items():
        response.headers[name] = value
    return response
