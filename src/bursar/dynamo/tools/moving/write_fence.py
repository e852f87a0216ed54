"""Close a table to every writer, by a statement of its resource policy, and open it again.

    other statements of the table's policy │ {"Sid": "BursarMove…", "Effect": "Deny", "Principal": "*", all writes}

- `bursar dynamo` and files enforce the statement with each commit: no write is stored after it.
- Amazon enforces it within seconds, and does not say when: PutResourcePolicy is "eventually consistent" (DynamoDB API
  reference). So a caller must probe, wait, and compare the tables after that.
- Any other DynamoDB may ignore it, which a probe finds out.

The statement's Sid names the place that the table moves to.
"""

from hashlib import sha256
from typing import Any, Final

import orjson

from bursar.dynamo.errors import EXPLICIT_DENY, DynamoError
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.tools.moving.patient_store import PatientStore

SID_PREFIX: Final = "BursarMove"
DIGEST_CHARS: Final = 24
DENIED: Final = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
)
NOT_ENFORCING_CODES: Final = frozenset({"UnknownOperationException", "HTTP404", "HTTP501"})
"""The codes of servers that do not have resource policies."""


class CannotClose(Exception):
    """The store does not enforce a policy that denies all writes."""


def sid_of(target: str) -> str:
    """Return the statement's name for a move to ``target``; Sids have letters and digits only."""
    return SID_PREFIX + sha256(target.encode()).hexdigest()[:DIGEST_CHARS]


class WriteFence:
    """The closing of one table for a move to ``target``."""

    def __init__(self, store: PatientStore, table: str, target: str) -> None:
        self._store = store
        self._table = table
        self._sid = sid_of(target)

    async def close(self) -> None:
        """Close the table. Raises :class:`CannotClose` for a store without resource policies."""
        statements = await self._statements()
        if any(each.get("Sid") == self._sid for each in statements):
            return
        arn = await self._arn()
        denial = {"Sid": self._sid, "Effect": "Deny", "Principal": "*", "Action": list(DENIED), "Resource": arn}
        await self._put([*statements, denial])

    async def open(self) -> None:
        """Open the table again, if this move closed it; other statements of its policy are kept."""
        statements = await self._statements()
        kept = [each for each in statements if each.get("Sid") != self._sid]
        if len(kept) == len(statements):
            return
        if kept:
            await self._put(kept)
        else:
            await self._store.call("DeleteResourcePolicy", {"ResourceArn": await self._arn()})

    async def is_ours(self) -> bool:
        """Return whether a move to this target has closed the table."""
        try:
            return any(each.get("Sid") == self._sid for each in await self._statements())
        except CannotClose:
            return False

    async def is_closed_by_another_move(self) -> bool:
        """Return whether a move to another target has closed the table."""
        try:
            sids = [str(each.get("Sid")) for each in await self._statements()]
        except CannotClose:
            return False
        return any(sid.startswith(SID_PREFIX) and sid != self._sid for sid in sids)

    async def refuses_writes(self, absent_key: Item) -> bool:
        """Return whether a policy refuses the deletion of ``absent_key``, which changes nothing if it is accepted.

        Raises ``DynamoError`` for a caller that may not delete for another reason.
        """
        try:
            await self._store.call("DeleteItem", {"TableName": self._table, "Key": absent_key})
        except DynamoError as error:
            if error.code == "AccessDeniedException" and EXPLICIT_DENY in error.message:
                return True
            raise
        return False

    async def _statements(self) -> list[dict[str, Any]]:
        try:
            answer = await self._store.call("GetResourcePolicy", {"ResourceArn": await self._arn()})
        except DynamoError as error:
            if error.code == "PolicyNotFoundException":
                return []
            if error.code in NOT_ENFORCING_CODES:
                raise CannotClose(f"{self._table}: the store has no resource policies ({error})") from error
            raise
        statements = orjson.loads(answer["Policy"])["Statement"]
        return list(statements) if isinstance(statements, list) else [statements]

    async def _put(self, statements: list[dict[str, Any]]) -> None:
        policy = orjson.dumps({"Version": "2012-10-17", "Statement": statements}).decode()
        try:
            await self._store.call("PutResourcePolicy", {"ResourceArn": await self._arn(), "Policy": policy})
        except DynamoError as error:
            if error.code in NOT_ENFORCING_CODES:
                raise CannotClose(f"{self._table}: the store has no resource policies ({error})") from error
            raise

    async def _arn(self) -> str:
        described = await self._store.call("DescribeTable", {"TableName": self._table})
        arn: str = described["Table"]["TableArn"]
        return arn
