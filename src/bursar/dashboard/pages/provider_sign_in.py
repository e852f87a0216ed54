"""Sign in through the OpenID Connect provider: send the person there, and begin a session when they come back.

The provider itself calls the back-channel logout, which ends sessions.
"""

import asyncio
import logging
from dataclasses import replace
from typing import Final, NoReturn

from starlette.responses import JSONResponse, RedirectResponse, Response

from bursar.dashboard.pages.sign_in import begin_session, check_throttle
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.provider.config import LogoutRefused, ProviderUnavailable, SignInRefused
from bursar.dashboard.sign_in.provider.provider import IdentityProvider, ProviderPerson
from bursar.dashboard.sign_in.provider.started import STARTED_S_MAX
from bursar.dashboard.visit import STARTED_COOKIE, PageError, Visit

_log = logging.getLogger(__name__)


_NOT_USABLE: Final = frozenset({"provider_state", "provider_code", "provider_token"})
"""The refusals of an answer, which get status 400. All others are refusals of a person, which get 403."""


async def go_to_provider(visit: Visit) -> Response:
    """Send the person to the provider's sign-in page."""
    provider = _provider(visit)
    started, cookie = visit.site.started_sign_ins.begin(visit.request.query_params.get("next", ""))
    try:
        url = await provider.sign_in_url(started, visit.text.language)
    except ProviderUnavailable as error:
        await _unavailable(visit, provider, error)
    visit.set_cookie(STARTED_COOKIE, cookie, int(STARTED_S_MAX))
    return RedirectResponse(url, 303, {"cache-control": "no-store"})


async def come_back(visit: Visit) -> Response:
    """Begin a session for the person that the provider names, or show the reason for a refusal."""
    provider = _provider(visit)
    await check_throttle(visit, None)
    answer = dict(visit.query)
    visit.set_cookie(STARTED_COOKIE, "", 0)
    cookie = visit.request.cookies.get(STARTED_COOKIE, "")
    try:
        started = await asyncio.to_thread(visit.site.started_sign_ins.finish, cookie, answer.get("state", ""))
        person = await provider.person(answer, started)
        account = await asyncio.to_thread(_known_account, visit, provider, person)
    except SignInRefused as refused:
        await asyncio.to_thread(visit.site.throttle.count_failure, None, visit.address)
        facts = {key: value for key, value in refused.fields.items() if key != "name"}
        name = str(refused.fields.get("name", ""))
        await visit.log("sign_in_failed", name, provider=provider.config.host, refusal=refused.key, **facts)
        status = 400 if refused.key in _NOT_USABLE else 403
        raise PageError(status, f"errors.{refused.key}", **refused.fields) from refused
    except ProviderUnavailable as error:
        await _unavailable(visit, provider, error)
    return await begin_session(visit, account, started.following, person.id_token, person.session_id)


async def back_channel_logout(visit: Visit) -> Response:
    """End the sessions that the provider's logout token names.

    The answer is that of section 2.8 of the specification.
    """
    provider = _provider(visit)
    try:
        try:
            await visit.read_form()
        except PageError as error:
            raise LogoutRefused("request") from error
        logout = await provider.logout(visit.field("logout_token"))
        ended = await asyncio.to_thread(visit.site.provider_logouts.end, logout)
    except LogoutRefused as refused:
        _log.warning("a back-channel logout is refused; it fails this check: %s", refused)
        return _not_logged_out("invalid_request", f"logout_token: fails this check: {refused}")
    except ProviderUnavailable as error:
        _log.error("the keys of the OpenID Connect provider cannot be read: %s", error)
        return _not_logged_out("temporarily_unavailable", "the keys of the provider cannot be read; try again")
    for name, count in ended.items():
        await visit.log("signed_out_by_provider", name, provider=provider.config.host, sessions=count)
    return Response(status_code=200, headers={"cache-control": "no-store"})


def _not_logged_out(error: str, description: str) -> Response:
    body = {"error": error, "error_description": description}
    return JSONResponse(body, 400, {"cache-control": "no-store"})


def _known_account(visit: Visit, provider: IdentityProvider, person: ProviderPerson) -> Account:
    """Return the account under the name of the person's first sign-in. Raises :class:`SignInRefused`."""
    asked = person.account.name
    name = visit.site.provider_people.name_of(provider.config.issuer, person.subject, asked)
    if name is None or visit.parts.accounts.named(name) is not None:
        raise SignInRefused("provider_name_taken", name=name or asked)
    return replace(person.account, name=name)


def _provider(visit: Visit) -> IdentityProvider:
    provider = visit.parts.provider
    assert provider is not None, "the route is served with a provider alone"
    return provider


async def _unavailable(visit: Visit, provider: IdentityProvider, error: ProviderUnavailable) -> NoReturn:
    _log.error("the OpenID Connect provider cannot be used: %s", error)
    await visit.log("sign_in_failed", "", provider=provider.config.host, refusal="provider_down")
    raise PageError(503, "errors.provider_down", host=provider.config.host) from error
