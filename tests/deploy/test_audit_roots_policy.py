"""The policy by which the sweeper copies the daily roots: each of its actions is needed, and together they are enough.

S3 is moto's, with a bucket that has Object Lock. A client of the role asks the policy before each request, as S3 does.
"""

import copy
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from bursar.payments.audit.root_copies import RootCopiesError, root_copies
from bursar.payments.ledger.store_records.daily_roots import DailyRoot
from tests.support.deploy.role_work import Statements, allowed_actions, without
from tests.support.deploy.template import PARAMETERS, Template

COPYING: Final = Template({**PARAMETERS, "AuditBucket": "roots", "Environment": "prod"})
STATEMENTS: Final[Statements] = [
    {**each, "Action": [each["Action"]] if isinstance(each["Action"], str) else each["Action"]}
    for each in COPYING.resources("AWS::IAM::Policy")["AuditRootsPolicy"]["PolicyDocument"]["Statement"]
]
ROOTS: Final = [DailyRoot(f"2026-11-{day}", "A" * 43, 7, 1_796_000_000.0) for day in (28, 29)]


def needed(operation: str, bucket: str, key: str, headers: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (action, resource) of a request. Source: Service Authorization Reference of S3; S3 API Reference."""
    if operation == "ListObjectsV2":
        return [("s3:ListBucket", f"arn:aws:s3:::{bucket}")]
    assert operation == "PutObject"
    retained = [name for name in headers if name.lower().startswith("x-amz-object-lock-")]
    actions = ["s3:PutObject", *(["s3:PutObjectRetention"] if retained else [])]
    return [(action, f"arn:aws:s3:::{bucket}/{key}") for action in actions]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="roots", ObjectLockEnabledForBucket=True)
        yield


def client_under(statements: Statements, used: set[tuple[str, str]]) -> Any:
    """Return a client whose requests S3 refuses unless ``statements`` allow them; note what they need in ``used``."""
    client = boto3.client("s3", region_name="us-east-1")

    def ask(model: Any, params: dict[str, Any], **others: Any) -> None:
        request = params["context"]["input_params"]
        for action, resource in needed(model.name, request["Bucket"], request.get("Key", ""), params["headers"]):
            used.add((action, resource))
            if not any(action in each["Action"] and fnmatchcase(resource, each["Resource"]) for each in statements):
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": f"not allowed: {action}"}}, model.name)

    client.meta.events.register("before-call.s3", ask)
    return client


async def copies_made(statements: Statements, used: set[tuple[str, str]]) -> None:
    """Copy a root, and with the next pass another one."""
    place = COPYING.resources("AWS::Serverless::Function")["Sweep"]["Environment"]["Variables"]["BURSAR_AUDIT_ROOTS"]
    copies = root_copies(place, client_under(statements, used))
    await copies.add(ROOTS[:1])
    await copies.add(ROOTS)


@pytest.mark.usefixtures("s3")
async def test_the_policy_allows_what_the_sweeper_does_and_no_more() -> None:
    used: set[tuple[str, str]] = set()
    await copies_made(copy.deepcopy(STATEMENTS), used)
    assert {action for action, _ in used} == {action for _, action in allowed_actions(STATEMENTS, "s3")}
    listed = boto3.client("s3", region_name="us-east-1").list_objects_v2(Bucket="roots")["Contents"]
    assert [each["Key"] for each in listed] == ["prod/2026-11-28.json", "prod/2026-11-29.json"]


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(("sid", "action"), allowed_actions(STATEMENTS, "s3"))
async def test_the_sweeper_needs_each_action_of_the_policy(sid: str, action: str) -> None:
    with pytest.raises(RootCopiesError, match=f"not allowed: {action}$"):
        await copies_made(without(STATEMENTS, sid, action), set())
