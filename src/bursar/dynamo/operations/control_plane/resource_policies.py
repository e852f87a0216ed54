"""PutResourcePolicy, GetResourcePolicy and DeleteResourcePolicy: store policies.

A table has one policy and its stream another. The policies of ``--credentials`` decide what each access key may do
(:mod:`bursar.dynamo.server.policies`). Of a resource policy, only a statement that denies all writes to everyone is
enforced (:mod:`bursar.dynamo.storage.write_denial`).
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid_parameter
from bursar.dynamo.operations.requests.arns import RESOURCE_ARN, policy_slot
from bursar.dynamo.operations.requests.common_members import BOOLEAN, STRING
from bursar.dynamo.operations.requests.shapes import Request, StringShape
from bursar.dynamo.storage.table import Table

POLICY_BYTES_MAX = 20 * 1024
NO_POLICY = "NO_POLICY"
"""The expected revision of a caller that requires that no policy exists."""

_REVISION = StringShape(1, 255)
PUT_RESOURCE_POLICY = Request(
    {
        "ResourceArn": RESOURCE_ARN,
        "Policy": STRING,
        "ExpectedRevisionId": _REVISION,
        "ConfirmRemoveSelfResourceAccess": BOOLEAN,
    },
    ("ResourceArn", "Policy"),
)
GET_RESOURCE_POLICY = Request({"ResourceArn": RESOURCE_ARN}, ("ResourceArn",))
DELETE_RESOURCE_POLICY = Request({"ResourceArn": RESOURCE_ARN, "ExpectedRevisionId": _REVISION}, ("ResourceArn",))

Policies = dict[str, dict[str, str]]
"""Slot → {Policy, RevisionId}, as stored in the table's document."""


def put_resource_policy(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Set a policy. Setting the same policy again keeps its revision."""
    table, slot = policy_slot(core, request["ResourceArn"])
    text = request["Policy"]
    _check(text)
    policies: Policies = dict(table.document.get("ResourcePolicies", {}))
    current = policies.get(slot)
    expected = request.get("ExpectedRevisionId")
    if expected == NO_POLICY:
        if current is not None:
            raise _not_found(
                f"Requested policy update expecting none to be present for table {table.name}, "
                f"but a policy exists with revision id {current['RevisionId']}."
            )
    else:
        _check_revision(table, current, expected)
    if current is None or orjson.loads(current["Policy"]) != orjson.loads(text):
        policies[slot] = {"Policy": text, "RevisionId": _revision(core, current)}
        core.change_table(table, {**table.document, "ResourcePolicies": policies})
    return {"RevisionId": policies[slot]["RevisionId"]}


def get_resource_policy(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy and its revision."""
    table, slot = policy_slot(core, request["ResourceArn"])
    current = table.document.get("ResourcePolicies", {}).get(slot)
    if current is None:
        raise _not_found(request["ResourceArn"])
    return {"Policy": current["Policy"], "RevisionId": current["RevisionId"]}


def delete_resource_policy(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Remove a policy and return its revision. A missing policy is an error only if a revision was expected."""
    table, slot = policy_slot(core, request["ResourceArn"])
    policies: Policies = dict(table.document.get("ResourcePolicies", {}))
    current = policies.pop(slot, None)
    _check_revision(table, current, request.get("ExpectedRevisionId"))
    if current is None:
        return {}
    core.change_table(table, {**table.document, "ResourcePolicies": policies})
    return {"RevisionId": current["RevisionId"]}


def policy_document(core: Core, text: str) -> Policies:
    """Return the policies for the document of a table that CreateTable gives this policy."""
    _check(text)
    return {"table": {"Policy": text, "RevisionId": _revision(core, None)}}


def _check(text: str) -> None:
    if len(text.encode()) > POLICY_BYTES_MAX:
        raise invalid_parameter(f"Maximum policy size of {POLICY_BYTES_MAX} bytes exceeded")
    try:
        policy = orjson.loads(text)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        raise invalid_parameter("Invalid policy document: This policy contains invalid Json")
    if not policy.get("Statement"):
        raise invalid_parameter("Invalid policy document: Could not parse the policy: Statement is empty!")


def _check_revision(table: Table, current: Mapping[str, str] | None, expected: str | None) -> None:
    if expected is None:
        return
    if current is None:
        raise _not_found(
            f"Requested update for policy with revision id {expected}, "
            f"but no policy is associated to target table {table.name}."
        )
    if current["RevisionId"] != expected:
        raise _not_found(
            f"Requested update for policy with revision id {expected}, "
            f"but the policy associated to target table {table.name} has revision id {current['RevisionId']}."
        )


def _revision(core: Core, current: Mapping[str, str] | None) -> str:
    now_ms = int(core.clock() * 1000)
    return str(now_ms if current is None else max(now_ms, int(current["RevisionId"]) + 1))


def _not_found(what: str) -> DynamoError:
    return DynamoError(
        "PolicyNotFoundException", f"Resource-based policy not found for the provided ResourceArn: {what}"
    )
