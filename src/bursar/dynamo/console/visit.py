"""The console as one object, and one visit to it: the request, the calls to the engine, and the page."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bursar.clock import Clock
from bursar.dynamo.console.item_texts import TextRefused, cell, key_token, pretty
from bursar.dynamo.console.query_form import key_fields
from bursar.dynamo.console.sessions import ConsoleSessions
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.server.admission import Access
from bursar.web.pages.csrf import csrf_token
from bursar.web.pages.harmless_text import harmless
from bursar.web.pages.static_files import SHARED, StaticFiles
from bursar.web.sigv4 import Identity

FORM_BYTES_MAX: Final = 4 * 1024 * 1024
"""A form holds an item of at most 400 KB twice, with most of its characters escaped."""
FORM_FIELDS_MAX: Final = 100
COOKIE: Final = "bursar_console"
"""The cookie with a person's session; without access keys, with the secret of this browser's forms."""
_SECRET_BYTES: Final = 32
_HERE: Final = Path(__file__).parent
STATIC_FILES: Final = StaticFiles((SHARED, _HERE / "static"))

ConsolePage = Callable[["ConsoleVisit"], Awaitable[Response]]


class PageRefused(Exception):
    """The request is answered with a page that gives the reason."""

    def __init__(self, status: int, title: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.title = title
        self.reason = reason


class ConsoleSite:
    """The console of one engine.

    ``store`` is the name of the store for people. With ``access``, a person signs in with an access key, which limits
    what the pages can do; without it, only this machine is served.
    """

    def __init__(self, engine: AsyncEngine, *, store: str, clock: Clock, access: Access | None = None) -> None:
        self.engine = engine
        self.store = store
        self.clock = clock
        self.access = access
        self.sessions = None if access is None else ConsoleSessions(access, clock)
        self.csrf_key = secrets.token_hex(_SECRET_BYTES)

    def partition_names(self, table: str, index: str | None) -> tuple[str, ...]:
        """Return the partition key attributes of a table or an index, for policies on leading keys."""
        try:
            described = self.engine.engine.execute("DescribeTable", {"TableName": table})["Table"]
            return tuple(key.name for key in key_fields(described, index or "") if key.is_partition)
        except (DynamoError, TextRefused):
            return ()


class ConsoleVisit:
    """One request, and everything that its answer needs."""

    def __init__(self, site: ConsoleSite, request: Request) -> None:
        self.site = site
        self.request = request
        self.cookie = request.cookies.get(COOKIE, "")
        self.new_cookie: str | None = None
        self.form: Mapping[str, str] = {}
        self.access_key = None if site.sessions is None else site.sessions.access_key_of(self.cookie)

    # The request ----------------------------------------------------------------------------------------------

    @property
    def table_name(self) -> str:
        """The table name in the URL or the form."""
        return str(self.request.path_params.get("table") or self.form.get("table", ""))

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters of the URL that are not empty."""
        return {name: value for name, value in self.request.query_params.items() if value}

    async def read_form(self) -> None:
        """Read the form. Raises :class:`PageRefused` if it is too large."""
        sent = bytearray()
        async for chunk in self.request.stream():
            sent += chunk
            if len(sent) > FORM_BYTES_MAX:
                raise PageRefused(413, "The form is too large", f"It must have at most {FORM_BYTES_MAX:,} bytes.")
        try:
            pairs = parse_qsl(sent.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
        except ValueError:
            raise PageRefused(413, "The form is too large", f"It must have at most {FORM_FIELDS_MAX} fields.") from None
        self.form = dict(pairs)

    # The engine -----------------------------------------------------------------------------------------------

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a request of the person. Raises ``DynamoError``, also if the access key does not allow it."""
        self.authorise(operation, request)
        return await self.site.engine.call(operation, request)

    def authorise(self, operation: str, request: Mapping[str, Any]) -> None:
        """Raise ``DynamoError`` AccessDeniedException if the person's access key does not allow the request."""
        if self.site.access is not None:
            assert self.access_key is not None  # the gate has refused all other methods
            identity = Identity(self.access_key, "", "dynamodb", self.site.clock())
            self.site.access.authorise(identity, operation, request, self.site.partition_names)

    async def described(self) -> dict[str, Any]:
        """Return the description of the table that the URL or the form names."""
        description: dict[str, Any] = (await self.call("DescribeTable", {"TableName": self.table_name}))["Table"]
        return description

    # The answer -----------------------------------------------------------------------------------------------

    def begin_forms(self) -> None:
        """Set the cookie with the secret for the tokens of forms, in a browser without a session."""
        self.cookie = self.new_cookie = secrets.token_urlsafe(_SECRET_BYTES)

    def page(self, template: str, *, http_status: int = 200, **context: Any) -> HTMLResponse:
        """Return a page."""
        shared = {
            "visit": self,
            "csrf": csrf_token(self.site.csrf_key, self.cookie),
            "static": lambda name: f"/static/{STATIC_FILES.version}/{name}",
            "url": url,
            "cell": cell,
            "pretty": pretty,
            "key_token": key_token,
            "twice": lambda values: [(value, value) for value in values],
        }
        content = _environment().get_template(template).render(shared | context)
        return HTMLResponse(content, http_status, {"cache-control": "no-store"})

    def redirect(self, path: str) -> Response:
        """Return a redirect to another page of the console."""
        return RedirectResponse(path, 303, {"cache-control": "no-store"})


def url(*parts: str, **query: str) -> str:
    """Return the path of a page: ``parts`` are escaped, and so are the values of ``query`` that are not empty."""
    path = "/" + "/".join(quote(part, safe="") for part in parts)
    pairs = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{pairs}" if pairs else path


def units_text(consumed: Mapping[str, Any] | None) -> str:
    """Return the consumed capacity as text, as in ``1.5 units (table 1, index by-day 0.5)``."""
    if not consumed:
        return ""
    parts = [f"table {consumed['Table']['CapacityUnits']:g}"] if "Table" in consumed else []
    for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        parts += [f"index {name} {each['CapacityUnits']:g}" for name, each in consumed.get(kind, {}).items()]
    total = f"{consumed['CapacityUnits']:g}"
    return f"{total} {'unit' if total == '1' else 'units'}" + (f" ({', '.join(parts)})" if len(parts) > 1 else "")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printed,
    )


def _printed(value: Any) -> Any:
    if value is None:
        return ""
    return value if isinstance(value, Markup) else harmless(value)
