"""The shapes of PartiQL's requests, which of them only read, and the late import of their operations.

The operations are imported with the first statement: so a server starts faster, and most servers never receive one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.operations.requests.common_members import ATTRIBUTE_MAP, BOOLEAN, CAPACITY, ON_FAILURE
from bursar.dynamo.operations.requests.shapes import (
    IntegerShape,
    ListShape,
    Request,
    Shape,
    StringShape,
    StructureShape,
)

STATEMENT_LONGEST = 8192
BATCH_STATEMENTS_MAX = 25
TRANSACTION_STATEMENTS_MAX = 100
TOKEN_LONGEST = 36
NEXT_TOKEN_LONGEST = 32768

_STATEMENT: dict[str, Shape] = {
    "Statement": StringShape(1, STATEMENT_LONGEST),
    "Parameters": ListShape(ATTRIBUTE_MAP, fewest=1),
    "ReturnValuesOnConditionCheckFailure": ON_FAILURE,
}
EXECUTE_STATEMENT = Request(
    {
        **_STATEMENT,
        "ConsistentRead": BOOLEAN,
        "NextToken": StringShape(1, NEXT_TOKEN_LONGEST),
        "ReturnConsumedCapacity": CAPACITY,
        "Limit": IntegerShape(1),
    },
    required=("Statement",),
)
BATCH_EXECUTE_STATEMENT = Request(
    {
        "Statements": ListShape(
            StructureShape({**_STATEMENT, "ConsistentRead": BOOLEAN}, ("Statement",)),
            fewest=1,
            most=BATCH_STATEMENTS_MAX,
        ),
        "ReturnConsumedCapacity": CAPACITY,
    },
    required=("Statements",),
)
EXECUTE_TRANSACTION = Request(
    {
        "TransactStatements": ListShape(
            StructureShape(_STATEMENT, ("Statement",)), fewest=1, most=TRANSACTION_STATEMENTS_MAX
        ),
        "ClientRequestToken": StringShape(1, TOKEN_LONGEST),
        "ReturnConsumedCapacity": CAPACITY,
    },
    required=("TransactStatements",),
)

_SELECTS = re.compile(r"\s*select\b", re.IGNORECASE)


def only_reads(request: Mapping[str, Any]) -> bool:
    """Return True when all statements of a request begin with SELECT, so that it writes nothing."""
    many = request.get("Statements") or request.get("TransactStatements") or [request]
    texts = [one.get("Statement") for one in many if isinstance(one, dict)] if isinstance(many, list) else []
    return all(isinstance(text, str) and _SELECTS.match(text) is not None for text in texts)


def loaded_when_called(name: str) -> Callable[[Core, Mapping[str, Any]], dict[str, Any]]:
    """Return an operation that imports ``name`` of :mod:`.statements` when it is called."""

    def run(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        from bursar.dynamo.operations.data_plane import statements

        response: dict[str, Any] = getattr(statements, name)(core, request)
        return response

    return run
