"""One request of a person: the account, the language, and the answer of the page."""

import asyncio
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bursar.dashboard import formatting
from bursar.dashboard.access_log import Action
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.roles import SEE_PERSONAL_DATA
from bursar.dashboard.sign_in.sessions import PersonSession
from bursar.dashboard.site import PREFIX, PageRoute, Site
from bursar.dashboard.text.catalogue import LANGUAGES, Text, chosen_language, text_in
from bursar.dashboard.text.reason_codes import meaning_of
from bursar.web.binding import is_loopback
from bursar.web.pages.csrf import csrf_token

FORM_BYTES_MAX: Final = 64 * 1024
FORM_SECRET_BYTES: Final = 16
NUMBER_DIGITS_MAX: Final = 18
"""The most digits of a number in a URL or a form. SQLite's numbers have 64 bits."""
THEMES: Final = ("system", "light", "dark")
SESSION_COOKIE: Final = "bursar_session"
FORM_COOKIE: Final = "bursar_form"
STARTED_COOKIE: Final = "bursar_sign_in"
LANGUAGE_COOKIE: Final = "bursar_language"
THEME_COOKIE: Final = "bursar_theme"
KEYS_COOKIE: Final = "bursar_keys"
PREFERENCES_S: Final = 365 * 24 * 3600
NAVIGATION: Final = (
    "overview", "transactions", "reports", "sql", "reconciliation", "operations", "access_log", "sandbox",
)  # fmt: skip


def whole_number(text: str) -> int | None:
    """Return a text of at most :data:`NUMBER_DIGITS_MAX` digits as a number; None for any other text."""
    return int(text) if text.isdecimal() and len(text) <= NUMBER_DIGITS_MAX else None


class PageError(Exception):
    """The request cannot be answered: an HTTP status, and the keys of a title and a text in the catalogue."""

    def __init__(self, status: int, key: str, **fields: Any) -> None:
        super().__init__(key)
        self.status = status
        self.key = key
        self.fields = fields


class Visit:
    """A request, the session that it belongs to, and the person's preferences."""

    def __init__(self, site: Site, route: PageRoute, request: Request, session: PersonSession | None) -> None:
        self.site = site
        self.parts = site.parts
        self.route = route
        self.request = request
        self.session = session
        self.form: dict[str, str] = {}
        self.files: dict[str, Path] = {}
        """The files of a form, by the names of their fields. They exist while the page runs."""
        self.text: Text = text_in(
            chosen_language(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))
        )
        theme = request.cookies.get(THEME_COOKIE, "")
        self.theme = theme if theme in THEMES else THEMES[0]
        self.new_cookies: list[tuple[str, str, int | None]] = []
        """Cookies that the answer sets: name, value, seconds (None: until the browser ends)."""

    # The person ------------------------------------------------------------------------------------------------------

    @property
    def account(self) -> Account:
        """The person's account. Only for routes that need a sign-in."""
        assert self.session is not None, "the route needs a sign-in"
        return self.session.account

    @property
    def address(self) -> str:
        """The address of the person's machine.

        If the request comes from a proxy on this machine, this is the address in the proxy's header.
        """
        peer = self.request.client.host if self.request.client else ""
        named = self.request.headers.get("x-forwarded-for", "")
        if named and self.parts.own_url is not None and is_loopback(peer):
            return named.rpartition(",")[2].strip()
        return peer

    def may(self, route_name: str) -> bool:
        """Return whether the person may use a route. It is False for a route that is not served."""
        route = self.site.routes.get(route_name)
        if route is None:
            return False
        return route.roles is None or (self.session is not None and bool(route.roles & self.session.account.roles))

    @property
    def may_see_personal_data(self) -> bool:
        """Whether the person may unmask the metadata of payments."""
        return bool(self.account.roles & SEE_PERSONAL_DATA)

    @property
    def csrf(self) -> str:
        """The token of this person's forms."""
        return csrf_token(self.site.csrf_key, self.form_secret)

    @property
    def form_secret(self) -> str:
        """The secret in this browser's cookie, from which the token of its forms is computed."""
        if self.session is not None:
            return self.session.token
        return self.request.cookies.get(FORM_COOKIE, "")

    def begin_forms(self) -> None:
        """Set the cookie with the secret for the tokens of forms, in a browser without a session."""
        secret = secrets.token_urlsafe(FORM_SECRET_BYTES)
        self.request.cookies[FORM_COOKIE] = secret
        self.set_cookie(FORM_COOKIE, secret)

    async def log(self, action: Action, target: str, **detail: Any) -> None:
        """Add an entry to the access log."""
        account = self.session.account if self.session else None
        await asyncio.to_thread(self.site.access_log.add, account, self.address, action, target, **detail)

    # The request ---------------------------------------------------------------------------------------------

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the URL, in their order."""
        return list(self.request.query_params.multi_items())

    @property
    def own_origin(self) -> str:
        """The origin of the dashboard's pages, in the form that a browser sends."""
        if self.parts.own_url is None:
            return f"http://{self.request.headers.get('host', '')}"
        own = urlsplit(self.parts.own_url)
        return f"{own.scheme}://{own.netloc}"

    def field(self, name: str) -> str:
        """Return a field of the form without surrounding spaces; an empty text if it is missing."""
        return self.form.get(name, "").strip()

    def number(self, name: str) -> int | None:
        """Return a parameter of the URL as a whole number; None if it is missing or not a usable number."""
        return whole_number(self.request.query_params.get(name, ""))

    async def read_form(self) -> None:
        """Read the form of the request. Raises :class:`PageError` if it is too large."""
        sent = b""
        async for chunk in self.request.stream():
            sent += chunk
            if len(sent) > FORM_BYTES_MAX:
                raise PageError(413, "errors.too_large")
        pairs = parse_qsl(sent.decode("utf-8", "replace"), keep_blank_values=True)
        self.form = {name: value.replace("\r\n", "\n") for name, value in pairs}  # browsers send these line ends

    # The answer ---------------------------------------------------------------------------------------

    def path(self, name: str, query: Iterable[tuple[str, str]] = (), /, **fields: str) -> str:
        """Return the URL path of the page ``name``, with its path fields and its query."""
        return self.site.path(name, query, **fields)

    def page(self, template: str, *, http_status: int = 200, **context: Any) -> HTMLResponse:
        """Return a page."""
        content = self.site.templates.get_template(template).render(self._context() | context)
        return HTMLResponse(content, http_status, {"cache-control": "no-store"})

    def redirect(self, path: str, *, whole_page: bool = True) -> Response:
        """Return a redirect to another page of the dashboard; any other target leads to its first page.

        ``whole_page``: if only a part of a page was requested, load the whole page.
        """
        safe = path if path.startswith(f"{PREFIX}/") and "\\" not in path and "//" not in path else f"{PREFIX}/"
        redirect = RedirectResponse(safe, 303, {"cache-control": "no-store"})
        if whole_page and self.request.headers.get("hx-request") == "true":
            headers = {"hx-redirect": redirect.headers["location"], "cache-control": "no-store"}
            return Response(status_code=204, headers=headers)
        return redirect

    def set_cookie(self, name: str, value: str, seconds: int | None = None) -> None:
        """Set a cookie with the answer; 0 seconds remove it."""
        self.new_cookies.append((name, value, seconds))

    def _context(self) -> dict[str, Any]:
        text = self.text
        return {
            "visit": self,
            "t": text,
            "languages": [(each, text_in(each)("language.name")) for each in LANGUAGES],
            "themes": THEMES,
            "navigation": [name for name in NAVIGATION if self.session is not None and self.may(name)],
            "static": self.site.static,
            "path": self.path,
            "dollars": formatting.dollars,
            "percent": formatting.percent,
            "day": lambda day: formatting.day_text(text, day),
            "short_day": lambda day: formatting.short_day_text(text, day),
            "month": lambda day: formatting.month_text(text, day),
            "time": lambda at: formatting.time_text(text, at),
            "zoned_time": lambda at: formatting.zoned_time_text(text, at),
            "duration": lambda seconds: formatting.duration_text(text, seconds),
            "iso": lambda at: formatting.eastern(at).isoformat(timespec="milliseconds"),
            "fee_name": self.parts.fees.name,
            "code_meaning": lambda code: meaning_of(code, text.language),
            "environment": self.parts.environment,
            "keys_on": self.request.cookies.get(KEYS_COOKIE) != "off",
            "here": self.request.url.path + (f"?{self.request.url.query}" if self.request.url.query else ""),
        }
