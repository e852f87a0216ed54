"""The image of the engine alone and its compose file keep the rules of containers, and start a server that answers."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.support.deploy.template import ROOT

DEPLOY = ROOT / "deploy"
LINES = (DEPLOY / "dynamo.Dockerfile").read_text().replace("\\\n", " ").splitlines()
INSTRUCTIONS = [line.split(maxsplit=1) for line in LINES if line and not line.startswith("#")]
SERVICES: dict[str, Any] = yaml.safe_load((DEPLOY / "dynamo-compose.yaml").read_text())["services"]


def instruction(name: str) -> str:
    return next(text for each, text in reversed(INSTRUCTIONS) if each == name)


def test_the_image_is_pinned_and_runs_as_a_plain_user() -> None:
    names = [name for name, _ in INSTRUCTIONS]
    assert all(":latest" not in text and ":" in text for name, text in INSTRUCTIONS if name == "FROM")
    assert instruction("USER") == "10001:10001"
    assert names.index("USER") > max(place for place, name in enumerate(names) if name == "RUN")
    assert "ADD" not in names
    assert all("--no-cache-dir" in text for name, text in INSTRUCTIONS if name == "RUN" and "pip install" in text)


def test_its_command_serves_and_its_health_check_passes(tmp_path: Path) -> None:
    entry, command = json.loads(instruction("ENTRYPOINT")), json.loads(instruction("CMD"))
    assert entry[0] == "bursar"
    assert command == ["--data", "/data/dynamo.db"]
    arguments = [*entry[1:], "--data", str(tmp_path / "dynamo.db")]
    arguments[arguments.index("--port") + 1] = "0"
    server = subprocess.Popen([sys.executable, "-m", "bursar", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().partition('endpoint_url="')[2].partition('"')[0]
        with urllib.request.urlopen(url) as answer:  # what the health check asks
            assert answer.read().startswith(b"healthy")
    finally:
        server.terminate()
        server.communicate()
    assert "http://127.0.0.1:8000/" in instruction("HEALTHCHECK")
    assert instruction("EXPOSE") == "8000"


def test_compose_gives_the_server_no_rights_and_the_application_its_address() -> None:
    server, application = SERVICES["dynamodb"], SERVICES["application"]
    assert server["read_only"]
    assert server["cap_drop"] == ["ALL"]
    assert server["security_opt"] == ["no-new-privileges:true"]
    assert server["ports"] == ["127.0.0.1:8000:8000"]  # open to other services, not to other machines
    assert found_by_boto3(application["environment"]) == "http://dynamodb:8000"
    assert application["depends_on"] == {"dynamodb": {"condition": "service_healthy"}}
    assert ":latest" not in application["image"]


def test_boto3_finds_the_server_by_the_variables_of_the_page() -> None:
    page = (ROOT / "docs" / "instead-of.md").read_text(encoding="utf-8")
    exported = dict(re.findall(r"(AWS_\w+)=(\S+)", page.partition("## ")[0]))
    assert found_by_boto3(exported) == "http://127.0.0.1:8000"


def found_by_boto3(environment: dict[str, str]) -> str:
    """Return the endpoint of the client that a program with this environment makes."""
    program = "import boto3; print(boto3.client('dynamodb').meta.endpoint_url)"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
