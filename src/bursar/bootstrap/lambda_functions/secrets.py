"""Files whose content is in AWS Secrets Manager. A secret can change without a deployment.

    BURSAR_CLIENTS=secretsmanager:ARN                    the whole secret is the file
    BURSAR_PAYGOV_CLIENT_KEY=secretsmanager:ARN#key      the secret is a JSON object; its member `key` is the file

The files are in a private folder of the instance. The secrets are read again after :data:`SECRET_AGE_MAX_S`. If they
cannot be read then, the known ones stay in force.
"""

import asyncio
import base64
import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import orjson

from bursar.clock import Clock, system_clock
from bursar.private_files import create_private
from bursar.settings import Settings
from bursar.startup import CannotStart
from bursar.web.aws import KeysNotFound, endpoint, find_keys, find_region
from bursar.web.http_client import HttpClient
from bursar.web.http_reply import HttpClientError
from bursar.web.sigv4_signing import signed_headers

SCHEME: Final = "secretsmanager:"
SERVICE: Final = "secretsmanager"
FILES: Final = ("fees", "clients", "webhooks", "paygov_client_cert", "paygov_client_key")
"""The settings that name files."""
SECRET_AGE_MAX_S: Final = 900.0
"""Each read costs money. Within this time, an instance that gets events uses a new value."""
READ_TIMEOUT_S: Final = 5.0

_log = logging.getLogger(__name__)


class SecretUnavailable(Exception):
    """A secret cannot be read. The text names the secret and the reason, never its value."""


ReadSecret = Callable[[str], Awaitable[bytes]]
"""Returns the value of the secret with this name or ARN. Raises :class:`SecretUnavailable`."""


class SecretFiles:
    """The files of one composition. Use it as an async context manager."""

    def __init__(self, settings: Settings, *, read: ReadSecret | None = None, clock: Clock = system_clock) -> None:
        """Store ``settings``, whose files may name secrets, without reading them."""
        self._names = {
            name: value.removeprefix(SCHEME)
            for name in FILES
            if (value := getattr(settings, name) or "").startswith(SCHEME)
        }
        self._read = read or read_secret
        self._clock = clock
        self._values: dict[str, bytes] = {}
        self._read_at = 0.0
        self._folder: Path | None = None
        self.settings = settings
        """The settings with the paths of the files, once the context is entered."""

    async def __aenter__(self) -> Self:
        """Write the files. Raises :class:`CannotStart` if a secret cannot be read."""
        try:
            self._values = await self._read_all()
        except SecretUnavailable as error:
            raise CannotStart(str(error)) from error
        self._read_at = self._clock()
        self._folder = Path(tempfile.mkdtemp(prefix="bursar-secrets-"))  # its mode is 700
        paths: dict[str, Any] = {name: _written(self._folder / name, value) for name, value in self._values.items()}
        self.settings = replace(self.settings, **paths)
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def have_changed(self) -> bool:
        """Return whether a secret has another value now. It reads secrets at most once in ``SECRET_AGE_MAX_S``."""
        now = self._clock()
        if now - self._read_at < SECRET_AGE_MAX_S:
            return False
        self._read_at = now
        try:
            return await self._read_all() != self._values
        except SecretUnavailable as error:
            _log.warning("the known secrets stay in force: %s", error)
            return False

    async def _read_all(self) -> dict[str, bytes]:
        ids = sorted({name.partition("#")[0] for name in self._names.values()})
        read = dict(zip(ids, await asyncio.gather(*(self._read(each) for each in ids)), strict=True))
        values = {}
        for setting, name in self._names.items():
            secret_id, _, member = name.partition("#")
            values[setting] = _member(secret_id, read[secret_id], member) if member else read[secret_id]
        return values


def _written(path: Path, value: bytes) -> str:
    create_private(path)
    path.write_bytes(value)
    return str(path)


def _member(secret_id: str, value: bytes, member: str) -> bytes:
    try:
        found = orjson.loads(value)[member]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        found = None
    if not isinstance(found, str):
        raise SecretUnavailable(f"the secret {secret_id}: must be a JSON object with the text {member}")
    return found.encode()


async def read_secret(secret_id: str) -> bytes:
    """Return the current value of a secret. Source: Secrets Manager API reference, "GetSecretValue".

    Raises :class:`SecretUnavailable`.
    """
    region = find_region()
    keys = find_keys()
    if region is None or keys is None:
        raise SecretUnavailable(f"the secret {secret_id}: AWS credentials and a region must be configured")
    url, body = endpoint(SERVICE, region), orjson.dumps({"SecretId": secret_id})
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
    http = HttpClient()
    try:
        signed = signed_headers(
            url, headers, body, await keys.keys(), service=SERVICE, region=region, now=system_clock()
        )
        reply = await http.post(url, body, signed, READ_TIMEOUT_S)
        answer: dict[str, Any] = orjson.loads(reply.body)
    except (HttpClientError, KeysNotFound, ValueError) as error:
        raise SecretUnavailable(f"the secret {secret_id}: {error}") from error
    finally:
        await http.close()
    if reply.status != 200:
        reason = answer.get("message") or answer.get("Message") or ""
        raise SecretUnavailable(f"the secret {secret_id}: {answer.get('__type', reply.status)}: {reason}")
    if answer.get("SecretString") is not None:
        return str(answer["SecretString"]).encode()
    return base64.b64decode(answer["SecretBinary"])
