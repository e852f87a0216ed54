"""Deploy the template to a whole AWS on this machine, pay through its API, and wait for its schedule.

`make test-cloud` runs this; it needs .tools/cloud (tools/install-cloud) and the packages in .tools/cloud/packages.
"""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.bootstrap.backend import Backend
from tests.support.bootstrap.function_calls import CLIENTS, init_body
from tests.support.deploy.ministack import MINISTACK, Cloud, eventually, running

PACKAGES: Final = MINISTACK.parents[1] / "packages"
ACCOUNT: Final = "000000000000"
TRUSTED: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
CALLER: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}],
}

pytestmark = pytest.mark.skipif(
    not MINISTACK.exists() or not (PACKAGES / "portal.zip").exists(),
    reason="make test-cloud installs ministack and builds the packages; it needs Python 3.13",
)


@pytest.fixture(scope="module")
def paygov() -> Iterator[Backend]:
    served = Backend()
    yield served
    served.stop()


class Deployed:
    """The stack, and the keys of an application's role."""

    def __init__(self, cloud: Cloud, outputs: dict[str, str]) -> None:
        self.cloud = cloud
        self.outputs = outputs
        self._api_id = outputs["ApiUrl"].partition("//")[2].partition(".")[0]
        iam = cloud.client("iam")
        iam.create_role(RoleName="dawson", AssumeRolePolicyDocument=json.dumps(TRUSTED))
        iam.put_role_policy(RoleName="dawson", PolicyName="call", PolicyDocument=json.dumps(CALLER))
        arn = f"arn:aws:iam::{ACCOUNT}:role/dawson"
        self.keys = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        return self.cloud.call(self._api_id, self.keys, method, path, body)

    def invoke(self, logical_name: str, event: Any) -> dict[str, Any]:
        function = self.cloud.function(logical_name)
        reply = self.cloud.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        answer: dict[str, Any] = json.loads(reply["Payload"].read())
        assert "errorType" not in answer, answer
        return answer

    def begin(self) -> tuple[str, str]:
        reference = str(uuid.uuid4())
        status, answer = self.call("POST", "/init", init_body(reference))
        assert status == 200, answer
        return reference, answer["token"]


@pytest.fixture(scope="module")
def deployed(paygov: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder: Path = tmp_path_factory.mktemp("ministack")
    with running(folder) as cloud:
        clients = CLIENTS.replace("123456789012", ACCOUNT)
        secret = cloud.client("secretsmanager").create_secret(Name="clients", SecretString=clients)
        parameters = {
            "Environment": "test",
            "PaygovUrl": paygov.paygov.url,
            "PaymentUrl": paygov.paygov.payment_url,
            "ClientsSecret": secret["ARN"],
        }
        yield Deployed(cloud, cloud.deploy(PACKAGES, parameters))


def test_a_payment_through_the_api(deployed: Deployed, paygov: Backend) -> None:
    reference, token = deployed.begin()
    paygov.simulator.pay(token, "PLASTIC_CARD", "Success")
    status, answer = deployed.call("POST", "/process", {"token": token})
    assert (status, answer["paymentStatus"]) == (200, "success")
    assert deployed.call("GET", f"/details/{reference}") == (200, answer)
    names = [event["name"] for event in deployed.call("GET", f"/details/{reference}/events")[1]["events"]]
    assert names[0] == "started"


def test_a_schedule_settles_a_debit(deployed: Deployed, paygov: Backend) -> None:
    reference, token = deployed.begin()
    paygov.simulator.pay(token, "ACH", "Success")
    assert deployed.call("POST", "/process", {"token": token})[1]["paymentStatus"] == "pending"
    table = deployed.cloud.client("dynamodb")

    def settled() -> bool:
        found = table.query(
            TableName="bursar-payments",
            KeyConditionExpression="pk = :pk AND begins_with(sk, :event)",
            ExpressionAttributeValues={":pk": {"S": f"o#dawson#{reference}"}, ":event": {"S": "event#"}},
        )
        return any(item["name"]["S"] == "settled" and item["actor"]["S"] == "sweeper" for item in found["Items"])

    assert eventually(settled)


def test_the_lake_is_written_and_equals_the_table(deployed: Deployed) -> None:
    assert set(deployed.invoke("Lake", {})["rows"]) >= {"payments", "payment_events"}
    assert deployed.invoke("Lake", {"verify": True})["equal"]
    tables = deployed.cloud.client("glue").get_tables(DatabaseName="bursar")["TableList"]
    assert {"payments", "payment_events"} <= {table["Name"] for table in tables}
