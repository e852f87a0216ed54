"""A writer that records what the server acknowledged: every kind of write, on keys that no other writer uses.

acknowledged    the contents that each key must have (None: no item)

in doubt        the one request without an answer: its keys have the old or the new contents, a transaction's all alike
"""

import random
from collections.abc import Callable
from typing import Any

from tests.support.dynamo.served import Connection, Lost
from tests.support.dynamo.stamps import stamped

TABLE = "orders"
KEYS_EACH = 400
BODY_BYTES_MAX = 3_000
BATCH_ITEMS = 10
TRANSACTION_ITEMS = 4

Key = tuple[str, str]
Changes = dict[Key, dict[str, Any] | None]
Request = tuple[str, dict[str, Any]]


class Writer:
    """Writes over one connection, and over another when it is lost, until no server listens."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.holds: Changes = {}
        self.doubt: Changes = {}
        self.doubt_is_atomic = False
        self.acknowledged_writes = 0
        self.acknowledged_requests = 0
        self.settled = 0
        self._random = random.Random(seed)
        self._stamp = 0

    async def run(self, port: int, acknowledged: Callable[[int], None]) -> None:
        """Write until no server listens, and report each acknowledgement."""
        connection = Connection(port)
        try:
            while True:
                try:
                    await self._write(connection, acknowledged)
                except Lost:
                    await self._settle(connection)
        except (Lost, ConnectionError):
            pass
        finally:
            connection.close()

    async def _write(self, connection: Connection, acknowledged: Callable[[int], None]) -> None:
        (operation, request), changes = self._next()
        self.doubt, self.doubt_is_atomic = changes, operation != "BatchWriteItem"
        status, answer = await connection.call(operation, request)
        assert status == 200, answer
        assert not answer.get("UnprocessedItems"), answer
        self.holds.update(changes)
        self.doubt = {}
        self.acknowledged_requests += 1
        self.acknowledged_writes += len(changes)
        acknowledged(len(changes))

    async def _settle(self, connection: Connection) -> None:
        """Ask another worker for the result of the request whose worker is gone."""
        found: Changes = {key: item for key, item in self.holds.items() if key not in self.doubt}
        for key in self.doubt:
            request = {"TableName": TABLE, "Key": key_item(key), "ConsistentRead": True}
            _, answer = await connection.call("GetItem", request)
            if "Item" in answer:
                found[key] = answer["Item"]
        faults = self.faults(found)
        assert not faults, faults
        self.settled += 1

    def faults(self, found: Changes) -> list[str]:
        """Return how the contents ``found`` differ from the acknowledged ones; then accept them as acknowledged."""
        faults = []
        for key in self.holds.keys() | self.doubt.keys():
            may_be = [self.holds.get(key), *([self.doubt[key]] if key in self.doubt else [])]
            if found.get(key) not in may_be:
                faults.append(f"{key}: {found.get(key)} instead of {' or '.join(map(str, may_be))}")
        if self.doubt_is_atomic:
            took_place = {found.get(key) == item for key, item in self.doubt.items() if item != self.holds.get(key)}
            if len(took_place) > 1:
                faults.append(f"torn: {sorted(self.doubt)}")
        faults.extend(f"{key}: nobody wrote it" for key in found.keys() - self.holds.keys() - self.doubt.keys())
        self.holds, self.doubt = dict(found), {}
        return faults

    def _next(self) -> tuple[Request, Changes]:
        kind = self._random.choice((self._put, self._put, self._update, self._transaction, self._batch, self._delete))
        return kind()

    def _key(self) -> Key:
        return f"{self.name}-{self._random.randrange(4)}", f"{self._random.randrange(KEYS_EACH):05}"

    def _item(self, key: Key) -> dict[str, Any]:
        self._stamp += 1
        return stamped(key, self._stamp, self._random.randrange(BODY_BYTES_MAX))

    def _put(self) -> tuple[Request, Changes]:
        key = self._key()
        item = self._item(key)
        return ("PutItem", {"TableName": TABLE, "Item": item}), {key: item}

    def _delete(self) -> tuple[Request, Changes]:
        key = self._key()
        return ("DeleteItem", {"TableName": TABLE, "Key": key_item(key)}), {key: None}

    def _update(self) -> tuple[Request, Changes]:
        """Update under the condition of the expected contents, so that a lost write fails at once."""
        key = self._key()
        item = self._item(key)
        names = [name for name in item if name not in ("pk", "sk")]
        values = {f":{name}": item[name] for name in names}
        old = self.holds.get(key)
        condition = "attribute_not_exists(pk)"
        if old is not None:
            condition, values[":old"] = "stamp = :old", old["stamp"]
        request = {
            "TableName": TABLE,
            "Key": key_item(key),
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in names),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in names},
            "ExpressionAttributeValues": values,
        }
        return ("UpdateItem", request), {key: item}

    def _transaction(self) -> tuple[Request, Changes]:
        changes: Changes = {key: self._item(key) for key in self._keys(TRANSACTION_ITEMS)}
        actions = [{"Put": {"TableName": TABLE, "Item": item}} for item in changes.values()]
        token = f"{self.name}-{self._stamp}"
        return ("TransactWriteItems", {"TransactItems": actions, "ClientRequestToken": token}), changes

    def _batch(self) -> tuple[Request, Changes]:
        changes: Changes = {key: self._item(key) for key in self._keys(BATCH_ITEMS)}
        puts = [{"PutRequest": {"Item": item}} for item in changes.values()]
        return ("BatchWriteItem", {"RequestItems": {TABLE: puts}}), changes

    def _keys(self, count: int) -> set[Key]:
        return {self._key() for _ in range(count)}


def key_item(key: Key) -> dict[str, Any]:
    """Return the key attributes."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}
