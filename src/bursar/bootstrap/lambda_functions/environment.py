"""Make the parts of a function from its settings, which are in the environment, and its secrets."""

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions.embedded_metrics import EmbeddedMetrics
from bursar.dynamo.clients.store import FILE_SCHEME
from bursar.portal.api.json_logs import log_as_json
from bursar.portal.doors.aws_lambda import Instance
from bursar.settings import SettingError, Settings, load_settings
from bursar.startup import CannotStart

if TYPE_CHECKING:
    from bursar.bootstrap.lambda_functions.secrets import SecretFiles

FUNCTION_NAME: Final = "AWS_LAMBDA_FUNCTION_NAME"
"""The variable by which Lambda's runtime names the function."""

Made = TypeVar("Made")


class FunctionParts(Generic[Made]):
    """The parts of one function instance. They are made again when a secret has changed."""

    def __init__(
        self,
        make: Callable[[Composition, EmbeddedMetrics], Awaitable[Made]],
        require: Callable[[Settings], None],
    ) -> None:
        """Create the parts at the first event, or now if the process runs in Lambda.

        ``require`` raises :class:`CannotStart` for settings that the function cannot use.
        """
        self._make_of = make
        self._require = require
        self._secrets: SecretFiles | None = None
        self.instance: Instance[Made] = Instance(self._make, is_stale=self._is_stale)
        if FUNCTION_NAME in os.environ:
            self.instance.prepare()

    async def _make(self, ending: AsyncExitStack) -> Made:
        settings, secrets = function_settings(os.environ), None
        self._require(settings)
        log_as_json(settings.log_level, instead=True)  # replaces the format of the handlers that Lambda's runtime set
        if _has_secrets(settings):
            from bursar.bootstrap.lambda_functions.secrets import SecretFiles

            secrets = await ending.enter_async_context(SecretFiles(settings))
            settings = secrets.settings
        metrics = EmbeddedMetrics(settings.environment)
        # AWS requires that everyone may read a function's files; no other user is on the instance.
        parts = Composition(settings, creates_store=False, other_users=False, observer=metrics)
        made = await self._make_of(await ending.enter_async_context(parts), metrics)
        self._secrets = secrets
        return made

    async def _is_stale(self) -> bool:
        return self._secrets is not None and await self._secrets.have_changed()


def function_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings. Raise :class:`CannotStart`, also if files would be lost with the instance."""
    try:
        settings = load_settings({}, environ, Path.cwd())
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
    return settings


def require_clients(settings: Settings) -> None:
    """Raise :class:`CannotStart` if the portal would know no client."""
    if settings.clients is None:
        raise CannotStart("BURSAR_CLIENTS is not set: the development client has no IAM role")


def require_lake(settings: Settings) -> None:
    """Raise :class:`CannotStart` if the lake would be lost with the instance."""
    if not settings.lake_url.startswith("s3:"):
        raise CannotStart(
            "BURSAR_LAKE: must be s3://BUCKET/PREFIX in a Lambda function, which keeps no files; "
            f"got {settings.lake_url}"
        )


def _has_secrets(settings: Settings) -> bool:
    return any(str(value).startswith("secretsmanager:") for value in vars(settings).values())
