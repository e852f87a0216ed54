"""The dashboard as one object: its parts, its routes, its templates, and everything that visits share."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response

from bursar.dashboard.access_log import AccessLog
from bursar.dashboard.exports.progress import ExportRuns
from bursar.dashboard.parts import DashboardParts
from bursar.dashboard.saved_views import SavedViews
from bursar.dashboard.sign_in.provider.logout import ProviderLogouts
from bursar.dashboard.sign_in.provider.people import ProviderPeople
from bursar.dashboard.sign_in.provider.started import StartedSignIns
from bursar.dashboard.sign_in.roles import Role
from bursar.dashboard.sign_in.sessions import PersonSessions
from bursar.dashboard.sign_in.throttle import SignInThrottle
from bursar.dashboard.statement_runs import StatementRuns
from bursar.dashboard.static_files import STATIC_FILES
from bursar.web.pages.harmless_text import harmless

PREFIX: Final = "/dashboard"
_TEMPLATES: Final = Path(__file__).parent / "templates"

PASSWORD_CHECKS_AT_ONCE_MAX: Final = 2
"""Passwords that are checked at the same time: each check needs 64 MiB of memory."""

UPLOADS_AT_ONCE_MAX: Final = 2

PageHandler = Callable[[Any], Awaitable[Response]]
"""A function that answers a :class:`bursar.dashboard.visit.Visit`."""


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One URL and the roles that may use it; ``roles`` is None for pages that need no sign-in.

    ``path`` is below :data:`PREFIX`. ``when`` names a part that the route needs, such as ``portal`` or ``sandbox``.
    ``is_upload``: the form has files, which are read after the role was checked. ``is_back_channel``: another server
    sends the request, without a session or one of our forms, and the page checks its signature.
    """

    name: str
    method: str
    path: str
    handler: PageHandler
    roles: frozenset[Role] | None
    when: str | None = None
    is_upload: bool = False
    is_back_channel: bool = False


class Site:
    """The pages of one process."""

    def __init__(self, parts: DashboardParts, routes: Iterable[PageRoute]) -> None:
        self.parts = parts
        served = [each for each in routes if each.when is None or getattr(parts, each.when) is not None]
        self.routes = {each.name: each for each in served}
        issuer = None if parts.provider is None else parts.provider.config.issuer
        self.sessions = PersonSessions(parts.state, parts.accounts, parts.clock, issuer)
        self.started_sign_ins = StartedSignIns(parts.state, parts.clock)
        self.provider_logouts = ProviderLogouts(parts.state, parts.clock)
        self.provider_people = ProviderPeople(parts.state)
        self.throttle = SignInThrottle(parts.state, parts.clock)
        self.access_log = AccessLog(parts.state, parts.clock)
        self.saved_views = SavedViews(parts.state)
        self.saved_queries = SavedViews(parts.state, "saved_queries")
        self.uploads = asyncio.Semaphore(UPLOADS_AT_ONCE_MAX)
        self.exports = ExportRuns(parts.state, parts.clock)
        self.statements = StatementRuns(parts.state, parts.clock)
        self.csrf_key = parts.state.key("forms")
        self.password_checks = ThreadPoolExecutor(PASSWORD_CHECKS_AT_ONCE_MAX, "bursar-passwords")

    @property
    def templates(self) -> Environment:
        """The templates. They escape every value and make its invisible characters visible."""
        return _environment()

    def path(self, name: str, query: Iterable[tuple[str, str]] = (), /, **fields: str) -> str:
        """Return the path of a page with its fields filled in, and with a query."""
        filled = self.routes[name].path.format_map({key: quote(value, safe="") for key, value in fields.items()})
        pairs = urlencode(list(query))
        return f"{PREFIX}{filled}" + (f"?{pairs}" if pairs else "")

    def static(self, name: str) -> str:
        """Return the path of a static file, which changes with the files."""
        return f"{PREFIX}/static/{STATIC_FILES.version}/{name}"


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
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
