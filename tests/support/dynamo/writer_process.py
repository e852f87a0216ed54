"""A process that writes to a store, for tests of several processes: ``writer_process.py KIND FILE NUMBER``."""

import sys
from typing import Any

from bursar.dynamo import DynamoError, Engine

WRITES_EACH = 60


def add_ones(engine: Engine, worker: str) -> None:
    """Add one to a shared counter and put a new item, in each transaction."""
    for number in range(WRITES_EACH):
        own = {"pk": {"S": f"w{worker}"}, "sk": {"S": f"{number:04}"}, "state": {"S": "done"}}
        actions: list[dict[str, Any]] = [
            {
                "Update": {
                    "TableName": "orders",
                    "Key": {"pk": {"S": "counter"}, "sk": {"S": "1"}},
                    "UpdateExpression": "ADD n :one",
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                }
            },
            {"Put": {"TableName": "orders", "Item": own}},
        ]
        engine.execute("TransactWriteItems", {"TransactItems": actions, "ClientRequestToken": f"{worker}-{number}"})


def take(engine: Engine, worker: str) -> None:
    """Try to be the first at each of the same keys, and note each key that was won."""
    for number in range(WRITES_EACH):
        taken = {"pk": {"S": "taken"}, "sk": {"S": f"{number:04}"}}
        try:
            engine.execute(
                "PutItem", {"TableName": "orders", "Item": taken, "ConditionExpression": "attribute_not_exists(pk)"}
            )
        except DynamoError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            continue
        won = {"pk": {"S": "won"}, "sk": {"S": f"{number:04}-{worker}"}}
        engine.execute("PutItem", {"TableName": "orders", "Item": won})


KINDS = {"add": add_ones, "take": take}

if __name__ == "__main__":
    kind, path, worker = sys.argv[1:]
    opened = Engine.open(path)
    KINDS[kind](opened, worker)
    opened.close()
