"""Settings whose files are in Secrets Manager."""

import json
import stat
from pathlib import Path
from typing import Any

import boto3
import pytest

from bursar.bootstrap.lambda_functions.portal import make_handler
from bursar.bootstrap.lambda_functions.secrets import SECRET_AGE_MAX_S, SecretFiles, SecretUnavailable
from bursar.settings import Settings
from bursar.startup import CannotStart
from tests.support.bootstrap.function_calls import CLIENTS, asked
from tests.support.bootstrap.moto_aws import MotoAws

PAYGOV = json.dumps({"certificate": "a certificate", "key": "its key"}).encode()
SETTINGS = Settings(
    clients="secretsmanager:clients",
    paygov_client_cert="secretsmanager:paygov#certificate",
    paygov_client_key="secretsmanager:paygov#key",
    webhooks="/etc/webhooks.toml",
)


class Manager:
    """Secrets in memory, and how often they were read."""

    def __init__(self) -> None:
        self.secrets: dict[str, bytes] = {"clients": CLIENTS.encode(), "paygov": PAYGOV}
        self.reads: list[str] = []
        self.now = 1000.0

    async def read(self, secret_id: str) -> bytes:
        self.reads.append(secret_id)
        if secret_id not in self.secrets:
            raise SecretUnavailable(f"the secret {secret_id}: ResourceNotFoundException")
        return self.secrets[secret_id]

    def files(self) -> SecretFiles:
        return SecretFiles(SETTINGS, read=self.read, clock=lambda: self.now)


def read(path: str | None) -> str:
    return Path(path or "").read_text()


def mode(path: str | None) -> int:
    return stat.S_IMODE(Path(path or "").stat().st_mode)


async def test_secrets_become_private_files_of_the_settings_and_are_removed() -> None:
    manager = Manager()
    async with manager.files() as secrets:
        paths = [secrets.settings.clients, secrets.settings.paygov_client_cert, secrets.settings.paygov_client_key]
        contents = list(map(read, paths))
        assert contents == [CLIENTS, "a certificate", "its key"]
        assert set(map(mode, paths)) == {0o600}
        assert secrets.settings.webhooks == "/etc/webhooks.toml"
        assert sorted(manager.reads) == ["clients", "paygov"]
    with pytest.raises(FileNotFoundError):
        read(paths[0])


async def test_a_change_is_noticed_after_the_age() -> None:
    manager = Manager()
    async with manager.files() as secrets:
        manager.secrets["clients"] = b""
        assert not await secrets.have_changed()
        manager.now += SECRET_AGE_MAX_S
        assert await secrets.have_changed()


async def test_known_secrets_stay_while_they_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    manager = Manager()
    async with manager.files() as secrets:
        del manager.secrets["paygov"]
        manager.now += SECRET_AGE_MAX_S
        assert not await secrets.have_changed()
    assert caplog.messages == ["the known secrets stay in force: the secret paygov: ResourceNotFoundException"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "ResourceNotFoundException"), (b"[]", "with the text certificate"), (b"{}", "with the text certificate")],
)
async def test_a_secret_that_cannot_be_used_is_reported_at_the_start(value: Any, reason: str) -> None:
    manager = Manager()
    manager.secrets |= {"paygov": value}
    if value is None:
        del manager.secrets["paygov"]
    with pytest.raises(CannotStart, match=reason):
        await manager.files().__aenter__()


def test_clients_in_secrets_manager_change_without_a_deployment(aws: MotoAws, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = boto3.client("secretsmanager", endpoint_url=aws.url)
    arn = manager.create_secret(Name="clients", SecretString=CLIENTS)["ARN"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.url)
    monkeypatch.setenv("BURSAR_CLIENTS", f"secretsmanager:{arn}")
    monkeypatch.setattr("bursar.bootstrap.lambda_functions.secrets.SECRET_AGE_MAX_S", 0.0)
    door = make_handler()
    path = "/details/0b5c6f6e-0000-4000-8000-000000000001"
    try:
        assert asked(door, "GET", path)[0] == 404
        manager.put_secret_value(SecretId=arn, SecretString=CLIENTS.replace("role/dawson", "role/another"))
        assert asked(door, "GET", path)[0] == 403
    finally:
        door.instance.close()
