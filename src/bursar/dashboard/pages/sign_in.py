"""Sign in, sign out here or everywhere, and store preferences in the browser: language, theme, keys."""

import asyncio
import math

from starlette.responses import Response

from bursar.dashboard.sign_in.accounts import Account, is_password
from bursar.dashboard.text.catalogue import LANGUAGES
from bursar.dashboard.visit import (
    FORM_COOKIE,
    KEYS_COOKIE,
    LANGUAGE_COOKIE,
    PREFERENCES_S,
    SESSION_COOKIE,
    THEME_COOKIE,
    THEMES,
    PageError,
    Visit,
)


async def show_sign_in(visit: Visit) -> Response:
    """Show the form, or the choice of roles if no password is needed."""
    return _form(visit, visit.request.query_params.get("next", ""))


async def sign_in(visit: Visit) -> Response:
    """Begin a session with a new token, if the password is right."""
    name, following = visit.field("name").lower(), visit.field("next")
    accounts = visit.parts.accounts
    if not accounts.needs_password:
        account = accounts.named(name)
    else:
        await check_throttle(visit, name)
        account = accounts.named(name)
        loop, given = asyncio.get_running_loop(), visit.form.get("password", "")
        if not await loop.run_in_executor(visit.site.password_checks, is_password, account, given):
            account = None
    if account is None:
        await asyncio.to_thread(visit.site.throttle.count_failure, name, visit.address)
        await visit.log("sign_in_failed", name)
        return _form(visit, following, name=name, failed=True)
    return await begin_session(visit, account, following)


async def check_throttle(visit: Visit, name: str | None) -> None:
    """Raise :class:`PageError` while this name or the visitor's address must wait.

    ``name`` is None if it is unknown.
    """
    wait_s = await asyncio.to_thread(visit.site.throttle.wait_s, name, visit.address)
    if wait_s > 0:
        raise PageError(429, "errors.too_many_sign_ins", minutes=math.ceil(wait_s / 60), wait_s=math.ceil(wait_s))


async def begin_session(
    visit: Visit, account: Account, following: str, id_token: str | None = None, provider_session: str | None = None
) -> Response:
    """Begin a session with a new token, end the browser's previous session, and redirect to ``following``."""
    if visit.session is not None:
        await asyncio.to_thread(visit.site.sessions.end, visit.session)
    visit.session, cookie = await asyncio.to_thread(
        visit.site.sessions.begin, account, visit.address, id_token, provider_session
    )
    visit.set_cookie(SESSION_COOKIE, cookie)
    visit.set_cookie(FORM_COOKIE, "", 0)
    await visit.log("signed_in", "", **_through(visit))
    return visit.redirect(following)


async def sign_out(visit: Visit) -> Response:
    """End this session, and the provider's session that began it."""
    assert visit.session is not None
    await visit.log("signed_out", "", **_through(visit))
    await asyncio.to_thread(visit.site.sessions.end, visit.session)
    return await _signed_out(visit)


async def sign_out_everywhere(visit: Visit) -> Response:
    """End every session of the account, and the provider's session of this browser."""
    count = await asyncio.to_thread(visit.site.sessions.end_all, visit.account.name)
    await visit.log("signed_out_everywhere", "", sessions=count, **_through(visit))
    return await _signed_out(visit)


async def _signed_out(visit: Visit) -> Response:
    """Redirect to the sign-in page, or show a page that leads to the provider's sign-out.

    A redirect to the provider is not possible: `form-action` of the security policy forbids that a form leads to
    another origin.
    """
    ended, provider = visit.session, visit.parts.provider
    assert ended is not None
    visit.session = None
    visit.set_cookie(SESSION_COOKIE, "", 0)
    if ended.id_token is None or provider is None:
        return visit.redirect(visit.path("sign_in"))
    url = await provider.sign_out_url(ended.id_token)
    visit.begin_forms()
    return visit.page("signed_out.html", url=url, host=provider.config.host)


async def save_preferences(visit: Visit) -> Response:
    """Store a choice of language, theme or keys in this browser."""
    for cookie, field, choices in (
        (LANGUAGE_COOKIE, "language", LANGUAGES),
        (THEME_COOKIE, "theme", THEMES),
        (KEYS_COOKIE, "keys", ("on", "off")),
    ):
        if visit.field(field) in choices:
            visit.set_cookie(cookie, visit.field(field), PREFERENCES_S)
    return visit.redirect(visit.field("back"))


def _through(visit: Visit) -> dict[str, str]:
    """Return the provider that began the session, as text for the access log."""
    session, provider = visit.session, visit.parts.provider
    through = session is not None and session.id_token is not None and provider is not None
    return {"provider": provider.config.host} if through and provider is not None else {}


def _form(visit: Visit, following: str, *, name: str = "", failed: bool = False) -> Response:
    accounts = visit.parts.accounts
    return visit.page(
        "sign_in.html",
        http_status=401 if failed else 200,
        needs_password=accounts.needs_password,
        has_passwords=visit.parts.has_passwords,
        provider=None if visit.parts.provider is None else visit.parts.provider.config.host,
        people=[] if accounts.needs_password else accounts.all(),
        has_accounts=bool(accounts.all()),
        following=following,
        name=name,
        failed=failed,
    )
