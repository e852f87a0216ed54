"""Where access keys and endpoints of AWS services come from."""

import subprocess
import sys
from pathlib import Path

import pytest

from bursar.web.aws import KeysNotFound, endpoint, find_keys, find_region
from bursar.web.sigv4_signing import AwsKeys

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}


async def test_a_functions_keys_and_region_are_in_its_environment() -> None:
    found = find_keys(ENVIRONMENT)
    assert found is not None
    assert await found.keys() == AwsKeys("AKID", "secret", "token")
    assert find_region({"AWS_REGION": "us-gov-west-1"}) == "us-gov-west-1"


def test_a_function_does_not_load_botocore() -> None:
    program = (
        f"import sys; from bursar.web.aws import *; find_keys({ENVIRONMENT}); find_region({{'AWS_REGION': 'r'}}); "
        "endpoint('dynamodb', 'us-gov-west-1', {}); print('botocore' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"


async def test_other_keys_are_botocores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    profile = tmp_path / "credentials"
    profile.write_text("[default]\naws_access_key_id = PROFILE\naws_secret_access_key = secret\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    found = find_keys()
    assert found is not None
    assert (await found.keys()).access_key == "PROFILE"


async def test_keys_that_cannot_be_read_are_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\ncredential_process = false\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with pytest.raises(KeysNotFound):
        find_keys()


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "dynamodb.us-east-1.amazonaws.com"),
        ("us-gov-west-1", "dynamodb.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "dynamodb.cn-north-1.amazonaws.com.cn"),
        ("us-iso-east-1", "dynamodb.us-iso-east-1.c2s.ic.gov"),
    ],
)
def test_an_endpoint_is_in_the_domain_of_its_partition(region: str, host: str) -> None:
    assert endpoint("dynamodb", region, {}) == f"https://{host}/"


def test_a_configured_endpoint_wins() -> None:
    general = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
    assert endpoint("secretsmanager", "us-east-1", general) == "http://127.0.0.1:4566/"
    specific = {**general, "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8000"}
    assert endpoint("dynamodb", "us-east-1", specific) == "http://127.0.0.1:8000/"
