"""The access keys and the endpoints of AWS services, for clients that only sign and send.

A Lambda function finds its keys in the environment and starts without botocore. botocore finds keys that are configured
in any other way (profiles, roles of containers and machines, web identity). It is loaded only then.
"""

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

from bursar.web.sigv4_signing import AwsKeys

_DNS_SUFFIXES: Final = (
    (re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+|us-gov-\w+-\d+"), "amazonaws.com"),
    (re.compile(r"cn-\w+-\d+"), "amazonaws.com.cn"),
)
"""The partitions of most users. Source: botocore's endpoints.json. botocore knows the others."""

_ENVIRONMENT_NAMES: Final = {"secretsmanager": "SECRETS_MANAGER"}
"""Service → its name in AWS_ENDPOINT_URL_…, for a service whose name there is not just its name in capitals."""


class KeysNotFound(Exception):
    """Credentials are configured but cannot be read or renewed now."""


class AwsKeySource(Protocol):
    """A source of access keys."""

    async def keys(self) -> AwsKeys:
        """Return the keys that are valid now. Raises :class:`KeysNotFound`."""


class FixedKeys:
    """Keys that do not change while the process runs, such as a Lambda function's."""

    def __init__(self, keys: AwsKeys) -> None:
        self._keys = keys

    async def keys(self) -> AwsKeys:
        """Return the keys."""
        return self._keys


class _BotocoreKeys:
    """The keys of botocore's credentials, which renew themselves."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    async def keys(self) -> AwsKeys:
        """Return the keys. A renewal may wait for the network, so it runs in another thread."""
        from botocore.exceptions import BotoCoreError

        try:
            frozen = await asyncio.to_thread(self._credentials.get_frozen_credentials)
        except BotoCoreError as error:
            raise KeysNotFound(str(error)) from error
        return AwsKeys(frozen.access_key, frozen.secret_key, frozen.token)


def find_keys(environ: Mapping[str, str] = os.environ) -> AwsKeySource | None:
    """Return the configured access keys: of the environment, else those that botocore finds; None without any.

    Raises :class:`KeysNotFound`.
    """
    access_key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if access_key and secret:
        return FixedKeys(AwsKeys(access_key, secret, environ.get("AWS_SESSION_TOKEN") or None))
    from botocore.exceptions import BotoCoreError
    from botocore.session import get_session

    try:
        credentials = get_session().get_credentials()
    except BotoCoreError as error:
        raise KeysNotFound(str(error)) from error
    return None if credentials is None else _BotocoreKeys(credentials)


def find_region(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the configured region: of the environment, else of botocore's configuration; None without one."""
    region = environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION")
    if region:
        return region
    from botocore.session import get_session

    configured: str | None = get_session().get_config_variable("region")
    return configured


def endpoint(service: str, region: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the URL of ``service`` (``dynamodb``, ``secretsmanager``, …) in ``region``.

    ``AWS_ENDPOINT_URL_<SERVICE>`` and ``AWS_ENDPOINT_URL`` have priority, as in the AWS SDKs. Raises ``ValueError`` for
    a region that botocore does not know either.
    """
    name = _ENVIRONMENT_NAMES.get(service, service.upper().replace(".", "_"))
    specific = environ.get(f"AWS_ENDPOINT_URL_{name}")
    configured = specific or environ.get("AWS_ENDPOINT_URL")
    if configured:
        return configured if configured.endswith("/") else f"{configured}/"
    return f"https://{service}.{region}.{_dns_suffix(region)}/"


def _dns_suffix(region: str) -> str:
    for pattern, suffix in _DNS_SUFFIXES:
        if pattern.fullmatch(region):
            return suffix
    from botocore.session import get_session

    for partition in get_session().get_data("endpoints")["partitions"]:
        if region in partition["regions"] or re.fullmatch(partition["regionRegex"], region):
            return str(partition["dnsSuffix"])
    raise ValueError(f"AWS region: must be one that botocore knows; got {region!r}")
