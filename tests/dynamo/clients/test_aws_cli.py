"""Tests of the AWS command line: a table, items, pages, refusals."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.dynamo.peers import ORACLES
from tests.support.dynamo.served import Served

AWS = ORACLES / "awscli" / "bin" / "aws"
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(not AWS.exists(), reason="the AWS CLI is not installed: tools/install-oracles"),
]


class CommandLine:
    def __init__(self, url: str, environment: dict[str, str]) -> None:
        self._start = [str(AWS), "--endpoint-url", url, "--output", "json", "dynamodb"]
        self._environment = environment

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._start, *arguments], capture_output=True, text=True, env=self._environment, timeout=120
        )

    def __call__(self, *arguments: str) -> Any:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")


@pytest.fixture
def aws(server: Served, aws_environment: dict[str, str]) -> CommandLine:
    return CommandLine(server.url, aws_environment)


def test_a_session_at_the_command_line(aws: CommandLine, tmp_path: Path) -> None:
    created = aws(
        *("create-table", "--table-name", "notes", "--billing-mode", "PAY_PER_REQUEST"),
        *("--attribute-definitions", "AttributeName=pk,AttributeType=S", "AttributeName=sk,AttributeType=N"),
        *("--key-schema", "AttributeName=pk,KeyType=HASH", "AttributeName=sk,KeyType=RANGE"),
    )
    assert created["TableDescription"]["TableName"] == "notes"
    requests = tmp_path / "requests.json"
    puts = [{"PutRequest": {"Item": {"pk": {"S": "a"}, "sk": {"N": str(number)}}}} for number in range(10)]
    requests.write_text(json.dumps({"notes": puts}))
    assert aws("batch-write-item", "--request-items", f"file://{requests}") == {"UnprocessedItems": {}}
    condition = ("--key-condition-expression", "pk = :p", "--expression-attribute-values", '{":p": {"S": "a"}}')
    found = aws("query", "--table-name", "notes", *condition, "--page-size", "3")
    assert [item["sk"]["N"] for item in found["Items"]] == [str(number) for number in range(10)]
    refused = aws.run(
        *("put-item", "--table-name", "notes", "--item", '{"pk": {"S": "a"}, "sk": {"N": "1"}}'),
        *("--condition-expression", "attribute_not_exists(pk)"),
    )
    assert refused.returncode != 0
    assert (
        "(ConditionalCheckFailedException) when calling the PutItem operation: The conditional request failed"
        in refused.stderr
    )
    actions = tmp_path / "actions.json"
    check = {
        "TableName": "notes",
        "Key": {"pk": {"S": "a"}, "sk": {"N": "99"}},
        "ConditionExpression": "attribute_exists(pk)",
    }
    actions.write_text(json.dumps([{"ConditionCheck": check}]))
    cancelled = aws.run("transact-write-items", "--transact-items", f"file://{actions}")
    assert "(TransactionCanceledException)" in cancelled.stderr
    assert "[ConditionalCheckFailed]" in cancelled.stderr
