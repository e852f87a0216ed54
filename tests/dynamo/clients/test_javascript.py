"""The AWS SDK for JavaScript v3, its client and its document client: scenario.mjs runs it, this test judges."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.dynamo.peers import ORACLES
from tests.support.dynamo.served import Served

SCENARIO = Path(__file__).with_name("scenario.mjs")
SDK = ORACLES / "node_modules" / "@aws-sdk" / "lib-dynamodb"
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        not SDK.is_dir() or shutil.which("node") is None,
        reason="the AWS SDK for JavaScript is not installed: tools/install-oracles",
    ),
]


def test_the_javascript_sdk_gets_the_expected_answers(server: Served, aws_environment: dict[str, str]) -> None:
    command = ["node", str(SCENARIO), server.url, str(ORACLES)]
    done = subprocess.run(command, capture_output=True, text=True, env=aws_environment, timeout=200)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "item": {
            "pk": "a",
            "sk": 1,
            "text": "é",
            "raw": [0, 255],
            "tags": ["x", "y"],
            "deep": {"list": [1, None, True]},
        },
        "unprocessed": {},
        "pages": [list(range(10)), list(range(10, 20)), list(range(20, 24))],
        "failed": {"isClass": True, "message": "The conditional request failed", "text": "é"},
        "cancelled": {"isClass": True, "codes": ["None", "ConditionalCheckFailed"]},
        "both": ["a", None],
        "absent": True,
        "invalid": {
            "name": "ValidationException",
            "message": "The provided key element does not match the schema",
            "status": 400,
        },
    }
