"""The portal as Lambda functions, with the settings from the environment (docs/operations.md has the whole setup).

    API Gateway ─► bursar.bootstrap.functions.portal    one call of the portal; API Gateway has verified the caller
    EventBridge ─► bursar.bootstrap.functions.sweep     one pass of the sweeper, and of the webhooks if there are any

A function makes its parts at the first event and keeps them as long as its instance lives, on one event loop that is
paused between two events. The table must exist: a function creates none.
"""

import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bursar.bootstrap.composition import Composition
from bursar.dynamo.clients.store import FILE_SCHEME
from bursar.portal.api.json_logs import log_as_json
from bursar.portal.doors.aws_lambda import DRAIN_TIMEOUT_S, Instance, LambdaDoor
from bursar.settings import SettingError, Settings, load_settings
from bursar.startup import CannotStart

if TYPE_CHECKING:
    from bursar.portal.api.application import Application
    from bursar.portal.use_cases.portal import Portal
    from bursar.portal.webhooks.dispatcher import Dispatcher


class ScheduledSweep:
    """The handler of a schedule. Its reply reports the results of one pass."""

    def __init__(self) -> None:
        self.instance = Instance(_sweeper)

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Run one pass; ``event`` is not read. Errors of the store are raised: the schedule runs again."""
        return self.instance.run(_pass)


async def _pass(parts: "tuple[Portal, Dispatcher | None]") -> dict[str, Any]:
    from bursar.portal.upkeep.sweep import sweep

    portal, webhooks = parts
    report = await sweep(portal)
    await portal.drain(DRAIN_TIMEOUT_S)
    deliveries = None if webhooks is None else await webhooks.run_once()
    return {
        "swept": report.swept,
        "results": report.results,
        "attention": list(report.attention),
        "breakerOpen": report.breaker_open,
        "webhooks": deliveries
        and {
            "queued": deliveries.queued,
            "delivered": deliveries.delivered,
            "postponed": deliveries.postponed,
            "died": deliveries.died,
        },
    }


async def _sweeper(ending: AsyncExitStack) -> "tuple[Portal, Dispatcher | None]":
    parts = await _composition(ending)
    return await parts.portal(), await parts.webhooks()


async def _application(ending: AsyncExitStack) -> "Application":
    from bursar.portal.api.authentication import api_gateway
    from bursar.portal.doors.asgi import portal_app

    parts = await _composition(ending)
    return portal_app(await parts.portal(), api_gateway(parts.clients)).application


async def _composition(ending: AsyncExitStack) -> Composition:
    settings = _settings()
    log_as_json(settings.log_level, instead=True)  # of the handlers that Lambda's runtime has set
    # AWS requires that everyone may read a function's files; no other user is on the instance.
    return await ending.enter_async_context(Composition(settings, creates_store=False, other_users=False))


def _settings() -> Settings:
    """Return the settings. Raise :class:`CannotStart`, also for files that would be lost with the instance."""
    try:
        settings = load_settings({}, os.environ, Path.cwd())
    except SettingError as error:
        raise CannotStart(str(error)) from error
    if settings.store_url.startswith(FILE_SCHEME):
        raise CannotStart(
            "BURSAR_STORE: must be dynamodb:?region=NAME in a Lambda function, which keeps no files; "
            f"got {settings.store_url}"
        )
    if settings.audit_roots is not None and not settings.audit_roots.startswith("s3:"):
        raise CannotStart(
            "BURSAR_AUDIT_ROOTS: must be s3://BUCKET/PREFIX in a Lambda function, which keeps no files; "
            f"got {settings.audit_roots}"
        )
    if settings.clients is None:
        raise CannotStart("BURSAR_CLIENTS is not set: the development client has no IAM role")
    return settings


portal = LambdaDoor(_application)
sweep = ScheduledSweep()
