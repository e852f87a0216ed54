"""The policy that `bursar webhooks iam-policy` prints."""

import json

from click.testing import CliRunner

from bursar.portal.webhook_commands import webhooks

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/bursar-webhooks"


def test_the_policy_of_a_dispatcher_reads_and_writes_its_table_and_creates_none() -> None:
    printed = CliRunner().invoke(webhooks, ["iam-policy", "--table-arn", ARN])
    (statement,) = json.loads(printed.output)["Statement"]
    assert statement["Resource"] == [ARN, f"{ARN}/index/due"]
    assert {"dynamodb:DescribeTable", "dynamodb:Query", "dynamodb:UpdateItem"} <= set(statement["Action"])
    assert not {"dynamodb:CreateTable", "dynamodb:*"} & set(statement["Action"])
