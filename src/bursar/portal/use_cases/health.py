"""GET /health: ask each dependency a harmless question. Nothing is created."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bursar.paygov.errors import Certainty, PayGovError
from bursar.portal.contract.answers import CheckStatus, HealthCheck, HealthReport
from bursar.portal.state.portal import Portal

HEALTH_TIMEOUT_S: Final = 5.0
HEALTH_AGE_MAX_S: Final = 2.0
"""How long an answer of Pay.gov is reused, so that frequent health checks do not load Pay.gov."""
NO_SUCH_ID: Final = "bursar-health"


class Unhealthy(Exception):
    """A dependency answers, but is unhealthy. Every caller may see the text."""


class Degraded(Unhealthy):
    """A part needs a person, but payments still work."""


async def health(portal: Portal) -> HealthReport:
    """Check every dependency, and return how each answered."""
    names = [name for name in CHECKS if name != "lake" or portal.lake is not None]
    checks = await asyncio.gather(*(_timed(portal, CHECKS[name]) for name in names))
    return HealthReport(
        portal.clock(),
        dict(zip(names, checks, strict=True)),
        environment=portal.settings.environment,
        development_client=portal.settings.development_client,
        restored=portal.restores.last_open_mark,
    )


DependencyCheck = Callable[[Portal], Awaitable[Mapping[str, bool] | None]]
"""Returns the name of the configuration in use, if the dependency has several. Raises if the dependency fails."""


async def _timed(portal: Portal, check: DependencyCheck) -> HealthCheck:
    began = portal.clock()
    status: CheckStatus = "failed"
    message: str | None = None
    details: Mapping[str, bool] | None = None
    try:
        async with asyncio.timeout(HEALTH_TIMEOUT_S):
            details = await check(portal)
        status = "ok"
    except Unhealthy as error:
        message = str(error)
        if isinstance(error, Degraded):
            status = "degraded"
    except Exception as error:  # its text may name tables or addresses, so only its class is reported
        message = type(error).__name__
    return HealthCheck(status, round((portal.clock() - began) * 1000, 3), message, details)


async def _store(portal: Portal) -> None:
    """Check that the store answers, is open, and that its last write succeeded: with a full disk it still answers."""
    await portal.ledger.obligation(NO_SUCH_ID, NO_SUCH_ID)
    if portal.is_closed():
        raise Unhealthy("the store is closed to writes: it was moved, or is being moved")
    problem = portal.write_error()
    if problem is not None:
        raise Unhealthy(f"the last write failed: {problem}")


async def _lake(portal: Portal) -> None:
    """Check that the lake was verified lately, and equalled the table."""
    problem = None if portal.lake is None else portal.lake.problem()
    if problem is not None:
        raise Degraded(problem)


async def _clients(portal: Portal) -> None:
    if not portal.clients.names:
        raise LookupError("no client is registered")


async def _paygov(portal: Portal) -> None:
    await portal.single_flight("health of Pay.gov", lambda: _ask_paygov(portal))


async def _ask_paygov(portal: Portal) -> None:
    """Ask for a collection that does not exist. A refusal is an answer; no answer or an unreadable one is a failure."""
    if portal.paygov_healthy_until > portal.clock():
        return
    key = portal.fees.keys[0]
    fee = portal.fees.fee(key, portal.clock())
    try:
        await portal.ask(
            "details",
            portal.paygov.details(tcs_app_id=fee.tcs_app_id if fee else key, paygov_tracking_id=NO_SUCH_ID),
        )
    except PayGovError as error:
        if error.certainty is not Certainty.REFUSED:
            raise
    portal.paygov_healthy_until = portal.clock() + HEALTH_AGE_MAX_S


async def _secrets(portal: Portal) -> Mapping[str, bool]:
    """Return which credentials for Pay.gov are configured.

    A portal whose credentials cannot be loaded does not start.
    """
    if not portal.settings.paygov_certificate:
        return {"mtlsEnabled": False}
    return {"certificate": True, "privateKey": True, "passphraseConfigured": False}


CHECKS: Final[Mapping[str, DependencyCheck]] = {
    "store": _store,
    "payGov": _paygov,
    "clients": _clients,
    "secrets": _secrets,
    "lake": _lake,
}
