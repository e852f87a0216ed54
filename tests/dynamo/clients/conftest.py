"""One server for the clients of one file; each test uses separate tables."""

import os
from collections.abc import Iterator

import pytest

from tests.support.dynamo.served import Served, served


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(":memory:") as running:
        yield running


@pytest.fixture(scope="session")
def aws_environment() -> dict[str, str]:
    """Set keys and region for Amazon's tools, and hide the machine's settings from them."""
    settings = {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | settings
