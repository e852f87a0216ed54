"""The queue of deliveries: a separate table with one item per subscription and attempt, and the dead letters.

    kind      pk                             sk                  content
    queue     q#<subscription>#<attempt>     queue               known, delivered: the numbers of the last such events
    dead      dead#<subscription>            <attempt>#<event>   an abandoned delivery
    cursor    cursor                         cursor              the time up to which changes have been read

The index ``due`` holds the queue items with undelivered events, by the time of the next try. To reserve an item, a
dispatcher moves that time by a conditional write, which one of many dispatchers wins. So deliveries of one attempt
never overlap, and after the death of a dispatcher another one tries again.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from bursar.clock import from_iso_ms, iso_ms
from bursar.dynamo.clients.store import Store
from bursar.dynamo.errors import DynamoError

TABLE_NAME: Final = "bursar-webhooks"
DUE_INDEX: Final = "due"
DUE_SHARD: Final = "0"
DEAD_LISTED_MAX: Final = 1000
BACKLOG_COUNTED_MAX: Final = 100_000
ACTIVE_POLLS_MAX: Final = 300
ACTIVE_POLL_INTERVAL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class QueuedAttempt:
    """An attempt in the queue of one subscription. Times are Unix seconds.

    known, delivered: the numbers of the last known and the last delivered event. version: increases with every save.
    """

    subscription: str
    client: str
    reference: str
    agency_tracking_id: str
    known: int
    delivered: int
    version: int
    due_at: float
    failing_since: float | None = None
    tries: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was abandoned after three days."""

    subscription: str
    client: str
    reference: str
    agency_tracking_id: str
    seq: int
    died_at: float
    problem: str

    @property
    def letter_id(self) -> str:
        """The id for ``bursar webhooks retry``: ``subscription/attempt/number``."""
        return f"{self.subscription}/{self.agency_tracking_id}/{self.seq}"


class ReservedByAnother(Exception):
    """Another dispatcher has changed the item since it was read."""


class WebhookQueue:
    """The queue's table on any store."""

    def __init__(self, store: Store, table: str = TABLE_NAME) -> None:
        self._store = store
        self._table = table

    async def create_table(self) -> None:
        """Create the table if it does not exist, and wait until it is active. Raises TimeoutError after 300 s."""
        try:
            await self._store.call("CreateTable", queue_definition(self._table))
        except DynamoError as error:
            if error.code != "ResourceInUseException":
                raise
        for _ in range(ACTIVE_POLLS_MAX):
            described = await self._store.call("DescribeTable", {"TableName": self._table})
            if described["Table"]["TableStatus"] == "ACTIVE":
                return
            await asyncio.sleep(ACTIVE_POLL_INTERVAL_S)
        raise TimeoutError(
            f"table {self._table} has not become active in {ACTIVE_POLLS_MAX * ACTIVE_POLL_INTERVAL_S:.0f} s"
        )

    async def expect_table(self) -> None:
        """Raise ``LookupError`` if there is no table."""
        try:
            await self._store.call("DescribeTable", {"TableName": self._table})
        except DynamoError as error:
            if error.code != "ResourceNotFoundException":
                raise
            raise LookupError(f"there is no table {self._table}") from error

    async def cursor(self) -> float | None:
        """Return the time up to which changes have been read, in Unix seconds; None before the first pass."""
        item = await self._get(_key("cursor", "cursor"))
        return None if item is None else from_iso_ms(item["until"]["S"])

    async def move_cursor(self, until: float) -> None:
        """Note that changes have been read up to ``until``. The cursor may go back a little without harm."""
        await self._put({**_key("cursor", "cursor"), "kind": {"S": "cursor"}, "until": {"S": iso_ms(until)}})

    async def note_event(
        self,
        subscription: str,
        client: str,
        reference: str,
        attempt: str,
        seq: int,
        now: float,
        *,
        delivered: int = 0,
    ) -> bool:
        """Note that ``attempt`` has an event ``seq``, and return whether it is new.

        ``delivered``: the last event that counts as delivered, if the queue does not know the attempt yet.
        """
        request = {
            "TableName": self._table,
            "Key": _key(f"q#{subscription}#{attempt}", "queue"),
            "UpdateExpression": (
                "SET known = :seq, #k = :kind, subscription = :s, #c = :c, #r = :r, attempt = :a, dueShard = :shard, "
                "dueAt = if_not_exists(dueAt, :now), delivered = if_not_exists(delivered, :delivered), "
                "version = if_not_exists(version, :zero)"
            ),
            "ConditionExpression": "attribute_not_exists(known) OR known < :seq",
            "ExpressionAttributeNames": {"#k": "kind", "#c": "client", "#r": "reference"},
            "ExpressionAttributeValues": {
                ":seq": {"N": str(seq)},
                ":kind": {"S": "queue"},
                ":s": {"S": subscription},
                ":c": {"S": client},
                ":r": {"S": reference},
                ":a": {"S": attempt},
                ":shard": {"S": DUE_SHARD},
                ":now": {"S": iso_ms(now)},
                ":zero": {"N": "0"},
                ":delivered": {"N": str(delivered)},
            },
        }
        return await self._update_if(request)

    async def rewind(
        self, subscription: str, client: str, reference: str, attempt: str, first: int, last: int, now: float
    ) -> None:
        """Make the events from ``first`` on, at least up to ``last``, due again, and remove their dead letters.

        A dispatcher that is delivering the attempt stops, because the item changes.
        """
        await self.note_event(subscription, client, reference, attempt, last, now, delivered=first - 1)
        request = {
            "TableName": self._table,
            "Key": _key(f"q#{subscription}#{attempt}", "queue"),
            "UpdateExpression": (
                "SET delivered = :before, dueShard = :shard, dueAt = :now, version = version + :one, tries = :zero, "
                "problem = :none REMOVE failingSince"
            ),
            "ConditionExpression": "delivered >= :before",
            "ExpressionAttributeValues": {
                ":before": {"N": str(first - 1)},
                ":shard": {"S": DUE_SHARD},
                ":now": {"S": iso_ms(now)},
                ":one": {"N": "1"},
                ":zero": {"N": "0"},
                ":none": {"S": ""},
            },
        }
        await self._update_if(request)
        for letter in await self.dead_letters(subscription):
            if letter.agency_tracking_id == attempt and letter.seq >= first:
                await self.remove_dead_letter(letter)

    async def _update_if(self, request: Mapping[str, Any]) -> bool:
        """Send an UpdateItem, and return whether its condition held."""
        try:
            await self._store.call("UpdateItem", request)
        except DynamoError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    async def backlog(self, subscriptions: Iterable[str]) -> dict[str, int]:
        """Return how many attempts are ``waiting``, how many of them are ``failing``, and the ``dead`` letters.

        waiting: they have undelivered events. failing: their last delivery failed. dead: of ``subscriptions``. Each is
        counted up to ``BACKLOG_COUNTED_MAX``.
        """
        shard: dict[str, Any] = {":shard": {"S": DUE_SHARD}}
        due = {"IndexName": DUE_INDEX, "KeyConditionExpression": "dueShard = :shard"}
        failed = {"FilterExpression": "tries > :zero", "ExpressionAttributeValues": {**shard, ":zero": {"N": "0"}}}
        dead = 0
        for name in subscriptions:
            letters = {":pk": {"S": f"dead#{name}"}}
            dead += await self._count({"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": letters})
        waiting = await self._count({**due, "ExpressionAttributeValues": shard})
        return {"waiting": waiting, "failing": await self._count({**due, **failed}), "dead": dead}

    async def _count(self, query: Mapping[str, Any]) -> int:
        request = {"TableName": self._table, "Select": "COUNT", **query}
        count = 0
        while count < BACKLOG_COUNTED_MAX:
            reply = await self._store.call("Query", request)
            count += int(reply["Count"])
            if "LastEvaluatedKey" not in reply:
                return count
            request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]
        return BACKLOG_COUNTED_MAX

    async def due(self, now: float, limit: int) -> list[QueuedAttempt]:
        """Return at most ``limit`` attempts that are due, longest overdue first."""
        request = {
            "TableName": self._table,
            "IndexName": DUE_INDEX,
            "KeyConditionExpression": "dueShard = :shard AND dueAt <= :now",
            "ExpressionAttributeValues": {":shard": {"S": DUE_SHARD}, ":now": {"S": iso_ms(now)}},
            "Limit": limit,
        }
        reply = await self._store.call("Query", request)
        return [_queued_attempt(item) for item in reply["Items"]]

    async def save(self, queued: QueuedAttempt) -> QueuedAttempt:
        """Write ``queued`` unless another dispatcher has changed it since it was read. Return it with its new version.

        An event that became known meanwhile is kept: it changes ``known`` and not the version. An attempt whose events
        are all delivered leaves the index. Raises :class:`ReservedByAnother`.
        """
        while True:
            written = replace(queued, version=queued.version + 1)
            request = {
                "TableName": self._table,
                "Item": _item(written),
                "ConditionExpression": "version = :version AND known = :known",
                "ExpressionAttributeValues": {
                    ":version": {"N": str(queued.version)},
                    ":known": {"N": str(queued.known)},
                },
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
            try:
                await self._store.call("PutItem", request)
            except DynamoError as error:
                if error.code != "ConditionalCheckFailedException":
                    raise
                known = _known_now(error.item, queued.version)
                if known is None or known <= queued.known:
                    raise ReservedByAnother from None
                queued = replace(queued, known=known)
                continue
            return written

    async def add_dead_letter(self, letter: DeadLetter) -> None:
        """Record an abandoned delivery."""
        values = {
            "kind": {"S": "dead"},
            "subscription": {"S": letter.subscription},
            "client": {"S": letter.client},
            "reference": {"S": letter.reference},
            "attempt": {"S": letter.agency_tracking_id},
            "seq": {"N": str(letter.seq)},
            "diedAt": {"S": iso_ms(letter.died_at)},
            "problem": {"S": letter.problem},
        }
        await self._put({**_dead_key(letter.subscription, letter.agency_tracking_id, letter.seq), **values})

    async def dead_letters(self, subscription: str) -> list[DeadLetter]:
        """Return the dead letters of one subscription, at most ``DEAD_LISTED_MAX``."""
        request = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": f"dead#{subscription}"}},
            "Limit": DEAD_LISTED_MAX,
        }
        reply = await self._store.call("Query", request)
        return [_letter(item) for item in reply["Items"]]

    async def dead_letter(self, subscription: str, attempt: str, seq: int) -> DeadLetter | None:
        """Return the dead letter of event ``seq`` of ``attempt`` for ``subscription``; None if there is none."""
        item = await self._get(_dead_key(subscription, attempt, seq))
        return None if item is None else _letter(item)

    async def remove_dead_letter(self, letter: DeadLetter) -> None:
        """Remove a dead letter, after its delivery."""
        key = _dead_key(letter.subscription, letter.agency_tracking_id, letter.seq)
        await self._store.call("DeleteItem", {"TableName": self._table, "Key": key})

    async def _get(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        request = {"TableName": self._table, "Key": key, "ConsistentRead": True}
        item: dict[str, Any] | None = (await self._store.call("GetItem", request)).get("Item")
        return item

    async def _put(self, item: Mapping[str, Any]) -> None:
        await self._store.call("PutItem", {"TableName": self._table, "Item": item})


def _known_now(item: Mapping[str, Any] | None, version: int) -> int | None:
    """Return the last known event of an item; None if it is no longer at ``version``."""
    if item is None or item["version"]["N"] != str(version):
        return None
    return int(item["known"]["N"])


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _dead_key(subscription: str, attempt: str, seq: int) -> dict[str, Any]:
    return _key(f"dead#{subscription}", f"{attempt}#{seq:04d}")


def _item(queued: QueuedAttempt) -> dict[str, Any]:
    item: dict[str, Any] = {
        **_key(f"q#{queued.subscription}#{queued.agency_tracking_id}", "queue"),
        "kind": {"S": "queue"},
        "subscription": {"S": queued.subscription},
        "client": {"S": queued.client},
        "reference": {"S": queued.reference},
        "attempt": {"S": queued.agency_tracking_id},
        "known": {"N": str(queued.known)},
        "delivered": {"N": str(queued.delivered)},
        "version": {"N": str(queued.version)},
        "tries": {"N": str(queued.tries)},
        "problem": {"S": queued.problem},
    }
    if queued.failing_since is not None:
        item["failingSince"] = {"S": iso_ms(queued.failing_since)}
    if queued.delivered < queued.known:
        item |= {"dueShard": {"S": DUE_SHARD}, "dueAt": {"S": iso_ms(queued.due_at)}}
    return item


def _queued_attempt(item: Mapping[str, Any]) -> QueuedAttempt:
    return QueuedAttempt(
        subscription=item["subscription"]["S"],
        client=item["client"]["S"],
        reference=item["reference"]["S"],
        agency_tracking_id=item["attempt"]["S"],
        known=int(item["known"]["N"]),
        delivered=int(item["delivered"]["N"]),
        version=int(item["version"]["N"]),
        due_at=from_iso_ms(item["dueAt"]["S"]),
        failing_since=from_iso_ms(item["failingSince"]["S"]) if "failingSince" in item else None,
        tries=int(item["tries"]["N"]) if "tries" in item else 0,
        problem=item["problem"]["S"] if "problem" in item else "",
    )


def _letter(item: Mapping[str, Any]) -> DeadLetter:
    return DeadLetter(
        subscription=item["subscription"]["S"],
        client=item["client"]["S"],
        reference=item["reference"]["S"],
        agency_tracking_id=item["attempt"]["S"],
        seq=int(item["seq"]["N"]),
        died_at=from_iso_ms(item["diedAt"]["S"]),
        problem=item["problem"]["S"],
    )


def iam_policy(table_arn: str) -> dict[str, Any]:
    """Return the IAM policy of a role that queues and delivers webhooks by the table ``table_arn``.

    Removing a dead letter (``bursar webhooks retry`` and ``replay``) needs ``dynamodb:DeleteItem`` too.
    """
    actions = ("DescribeTable", "GetItem", "PutItem", "UpdateItem", "Query")
    statement = {
        "Sid": "QueueWebhooks",
        "Effect": "Allow",
        "Action": [f"dynamodb:{action}" for action in actions],
        "Resource": [table_arn, f"{table_arn}/index/{DUE_INDEX}"],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def queue_definition(table: str) -> dict[str, Any]:
    """Return the CreateTable request."""

    def attributes(*names: str) -> list[dict[str, str]]:
        return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=True)]

    return {
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "dueShard", "dueAt")
        ],
        "KeySchema": attributes("pk", "sk"),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": DUE_INDEX,
                "KeySchema": attributes("dueShard", "dueAt"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    }
