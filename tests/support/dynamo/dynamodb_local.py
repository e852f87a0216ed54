"""Amazon's DynamoDB Local as the tests of expressions and of PartiQL ask it: a table ``oracle``, answers to compare."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.dynamo.peers import Peer, running


class Local:
    """A connection to a DynamoDB Local; requests without a table name are for its table ``oracle``."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def __call__(self, operation: str, **request: Any) -> dict[str, Any]:
        """Send one request without its parameters that are None; return the response or the error."""
        body = {name: value for name, value in request.items() if value is not None}
        answer: dict[str, Any] = self._peer.call(operation, {"TableName": "oracle", **body})[1]
        return answer

    @staticmethod
    def message(answer: dict[str, Any]) -> str | None:
        return answer.get("Message") or answer.get("message")


@contextmanager
def running_local(folder: Path) -> Iterator[Local]:
    """Start a DynamoDB Local with the table ``oracle``, and end it."""
    with running("local", folder) as peer:
        local = Local(peer)
        local(
            "CreateTable",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield local


def comparable(value: Any) -> Any:
    """Return ``value`` with its sets in one order."""
    if isinstance(value, list):
        return [comparable(element) for element in value]
    if isinstance(value, dict):
        return {
            name: sorted(content) if name in ("SS", "NS", "BS") and isinstance(content, list) else comparable(content)
            for name, content in value.items()
        }
    return value
