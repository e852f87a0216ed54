"""TransactWriteItems and TransactGetItems.

A transaction is decided as a whole before its first write: all conditions are evaluated, and the reasons collected in
the order of the actions. A ``ClientRequestToken`` is stored in the same SQLite transaction as its writes, so that a
repetition after a crash finds both or neither.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import orjson

from bursar.dynamo.core.catalogue import Core, GuardRefused
from bursar.dynamo.errors import DynamoError, invalid, token_reused, unreadable
from bursar.dynamo.expressions import parse_projection
from bursar.dynamo.items.attribute_values import (
    EMPTY_NAME,
    ITEM_BYTES_MAX,
    TOO_DEEP,
    Item,
    item_size,
    normalise,
    normalise_item,
    value_size,
)
from bursar.dynamo.operations.data_plane.capacity import Consumption, consumption_detail, read_units
from bursar.dynamo.operations.data_plane.item_actions import (
    DUPLICATE_ITEM,
    EmptyIndexKey,
    ItemAction,
    fit_check,
    fit_delete,
    fit_put,
    fit_update,
    read_condition,
    read_put,
    read_update,
)
from bursar.dynamo.operations.data_plane.items import collection_metrics
from bursar.dynamo.operations.requests.common_members import (
    ATTRIBUTE_MAP,
    CAPACITY,
    EXPRESSIONS,
    METRICS,
    ON_FAILURE,
    STRING,
    TABLE_NAME,
)
from bursar.dynamo.operations.requests.expression_parameters import ExpressionParameters
from bursar.dynamo.operations.requests.shapes import ListShape, Request, Shape, StringShape, StructureShape
from bursar.dynamo.storage.secondary_index import DoesNotFitTable
from bursar.dynamo.storage.table import ItemWrite, Table

ACTIONS_MAX = 100
TRANSACTION_BYTES_MAX = 4 * 1024 * 1024
TOKEN_LIFE_S = 600.0
CLEAR_TOKENS_EVERY_S = 60.0
TOKEN_LONGEST = 36
DIGEST_BYTES = 16

ONE_OPERATION = "TransactItems can only contain one of Check, Put, Update or Delete"
SAME_ITEM_TWICE = "Transaction request cannot include multiple operations on one item"
TOO_LARGE = "Transaction payload size cannot exceed 4MB. Payload Size: {}"
READ_TOO_LARGE = "Transaction request cannot exceed 4 MB"
SMALL_ACTIONS = TRANSACTION_BYTES_MAX // ITEM_BYTES_MAX
"""This number of actions, each of at most an item's size, cannot exceed the limit.

So most transactions need not be measured.
"""

_CONDITIONED: dict[str, Shape] = {
    "TableName": TABLE_NAME,
    "ConditionExpression": STRING,
    "ReturnValuesOnConditionCheckFailure": ON_FAILURE,
    **EXPRESSIONS,
}
_ACTIONS: dict[str, Shape] = {
    "ConditionCheck": StructureShape(
        {"Key": ATTRIBUTE_MAP, **_CONDITIONED}, ("Key", "TableName", "ConditionExpression")
    ),
    "Put": StructureShape({"Item": ATTRIBUTE_MAP, **_CONDITIONED}, ("Item", "TableName")),
    "Delete": StructureShape({"Key": ATTRIBUTE_MAP, **_CONDITIONED}, ("Key", "TableName")),
    "Update": StructureShape(
        {"Key": ATTRIBUTE_MAP, "UpdateExpression": STRING, **_CONDITIONED}, ("Key", "UpdateExpression", "TableName")
    ),
}
TRANSACT_WRITE_ITEMS = Request(
    {
        "ClientRequestToken": StringShape(1, TOKEN_LONGEST),
        "ReturnConsumedCapacity": CAPACITY,
        "ReturnItemCollectionMetrics": METRICS,
        "TransactItems": ListShape(StructureShape(_ACTIONS), fewest=1, most=ACTIONS_MAX),
    },
    required=("TransactItems",),
)
TRANSACT_GET_ITEMS = Request(
    {
        "ReturnConsumedCapacity": CAPACITY,
        "TransactItems": ListShape(
            StructureShape(
                {
                    "Get": StructureShape(
                        {
                            "Key": ATTRIBUTE_MAP,
                            "TableName": TABLE_NAME,
                            "ProjectionExpression": STRING,
                            "ExpressionAttributeNames": EXPRESSIONS["ExpressionAttributeNames"],
                        },
                        ("Key", "TableName"),
                    )
                },
                ("Get",),
            ),
            fewest=1,
            most=ACTIONS_MAX,
        ),
    },
    required=("TransactItems",),
)

_GETTING = ExpressionParameters(("ProjectionExpression",))

Given = TypeVar("Given")
Fitted = TypeVar("Fitted")

READERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "ConditionCheck": read_condition,
    "Put": read_put,
    "Delete": read_condition,
    "Update": read_update,
}
FITTERS: dict[str, Callable[[Core, Mapping[str, Any], Any], ItemAction]] = {
    "ConditionCheck": fit_check,
    "Put": fit_put,
    "Delete": fit_delete,
    "Update": fit_update,
}


_Read = tuple[str, Mapping[str, Any], Any]
"""(kind of action, its request, the result of checking the request)."""


def transact_write_items(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run up to 100 puts, updates, deletes and checks, all or none."""
    elements = request["TransactItems"]

    def read() -> list[_Read]:
        reads = _read(elements)
        payload_bytes = sum(map(_payload_bytes, reads)) if len(reads) > SMALL_ACTIONS else 0
        if payload_bytes > TRANSACTION_BYTES_MAX:
            raise invalid(TOO_LARGE.format(payload_bytes))
        return reads

    return write_all(core, request, elements, _action, read)


def write_all(
    core: Core,
    request: Mapping[str, Any],
    elements: Sequence[Any],
    make: Callable[[Core, Given], ItemAction],
    read: Callable[[], Sequence[Given]],
) -> dict[str, Any]:
    """Run the actions that ``make`` returns for each element that ``read`` returns, all or none.

    They run once for a ``ClientRequestToken``.

    ``elements`` are the actions in the request: a repetition must have equal ones.
    """
    token = request.get("ClientRequestToken")
    digest = b""
    if token is not None:
        digest = _digest(elements)
        remembered = core.storage.token(token, core.clock())
        if remembered is not None:
            return _repeated(request, digest, *remembered)
    actions = all_fitting(make, core, read())
    if len({(action.table.id, action.key) for action in actions}) != len(actions):
        raise invalid(SAME_ITEM_TWICE)
    writes = _decide(actions)
    try:
        core.apply(writes)
    except GuardRefused as refused:
        reason = _reason("ConditionalCheckFailed", refused.message)
        write = writes[refused.index]
        if actions[refused.index].returns_old and write.old is not None:
            reason["Item"] = write.old
        raise cancelled(_reasons({refused.index: reason}, len(actions))) from None
    if token is not None:
        _remember(core, token, digest, writes)
    return _write_response(request, writes)


def transact_get_items(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return up to 100 items as of one moment; ``{}`` for one that does not exist or has nothing of its projection."""
    gets = []
    for element in request["TransactItems"]:
        get = element["Get"]
        projection = None
        binding = _GETTING.binding(get)
        if binding is not None:
            projection = parse_projection(get["ProjectionExpression"]).bind(binding)
            binding.check_all_used()
        gets.append((get, projection))
    tables = [core.table(get["TableName"]) for get, _ in gets]
    keys = all_fitting(_key, core, [(table, get["Key"]) for table, (get, _) in zip(tables, gets, strict=True)])
    places = [(table, key, projection) for table, (_, key), (_, projection) in zip(tables, keys, gets, strict=True)]
    if len({(table.id, key) for table, key, _ in places}) != len(places):
        raise invalid(SAME_ITEM_TWICE)
    responses: list[dict[str, Any]] = []
    consumed: dict[str, Consumption] = {}
    total = 0
    for table, key, projection in places:
        row = table.rows.get(key)
        units = read_units(row[1] if row else 0, consistent=True, transactional=True)
        consumed.setdefault(table.name, Consumption(table, "read")).units += units
        if row is None:
            responses.append({})
            continue
        total += row[1]
        item = orjson.Fragment(row[2]) if projection is None else projection.project(orjson.loads(row[2]))
        responses.append({"Item": item} if item else {})
    if total > TRANSACTION_BYTES_MAX:
        raise invalid(READ_TOO_LARGE)
    response: dict[str, Any] = {"Responses": responses}
    detail = consumption_detail(request)
    if detail is not None:
        response["ConsumedCapacity"] = [one.response(detail, by_kind=True) for one in consumed.values()]
    return response


def all_fitting(make: Callable[[Core, Given], Fitted], core: Core, given: Sequence[Given]) -> list[Fitted]:
    """Return what ``make`` returns for each of ``given``.

    Keys and items that do not fit their tables cancel the transaction, each with its reason. Errors of the request
    itself are raised unchanged, at any position.
    """
    made: list[Fitted] = []
    reasons: dict[int, dict[str, Any]] = {}
    for one in given:
        try:
            made.append(make(core, one))
        except DoesNotFitTable as error:
            reasons[len(made) + len(reasons)] = _reason("ValidationError", error.message)
    if reasons:
        raise cancelled(_reasons(reasons, len(given)))
    return made


def _reasons(reasons: Mapping[int, dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return one reason for each of ``count`` actions, in order."""
    return [reasons.get(at) or {"Code": "None"} for at in range(count)]


def _key(_core: Core, place: tuple[Table, Mapping[str, Any]]) -> tuple[Item, bytes]:
    table, key = place
    return table.key_of(key)


def _read(elements: Sequence[Mapping[str, Any]]) -> list[_Read]:
    """Check the requests of all actions in order. A bad key of an action is reported before errors of later actions."""
    reads: list[_Read] = []
    try:
        for element in elements:
            kind = _kind(element)
            action = element[kind]
            reads.append((kind, action, READERS[kind](action)))
    except DynamoError as error:
        for _, earlier, _ in reads:
            for value in earlier.get("Key", {}).values():
                normalise(value)
        if error.message == EMPTY_NAME and "" not in action.get("Item", {"": None}):
            _raise_if_too_deep(action["Item"])
        raise
    return reads


def _raise_if_too_deep(item: Item) -> None:
    """Raise the error of a value that nests too deeply, which is reported before an empty name in another value."""
    for value in item.values():
        try:
            normalise(value)
        except DynamoError as error:
            if error.message == TOO_DEEP:
                raise


def _kind(element: Mapping[str, Any]) -> str:
    if len(element) == 1:
        (kind,) = element
        if kind in READERS and element[kind] is not None:
            return kind
    given = [name for name in READERS if element.get(name) is not None]
    if len(given) != 1:
        raise invalid(ONE_OPERATION)
    return given[0]


def _payload_bytes(read: _Read) -> int:
    """Return the bytes of an action's item or key, expressions and values, which count towards 4 MB.

    The stored items do not count. Source: DynamoDB Local's figures.
    """
    kind, request, known = read
    values = request.get("ExpressionAttributeValues") or {}
    expressions = (request.get("UpdateExpression"), request.get("ConditionExpression"))
    whole: int = known[1] if kind == "Put" else item_size(normalise_item(request["Key"]))
    return (
        whole + sum(len(text) for text in expressions if text) + sum(map(value_size, map(normalise, values.values())))
    )


def _action(core: Core, read: _Read) -> ItemAction:
    kind, request, known = read
    return FITTERS[kind](core, request, known)


def _decide(actions: list[ItemAction]) -> list[ItemWrite]:
    """Return the writes of all actions. Raise TransactionCanceledException with each action's reason."""
    writes: list[ItemWrite] = []
    reasons: dict[int, dict[str, Any]] = {}
    for action in actions:
        try:
            writes.append(action.decide())
        except EmptyIndexKey:
            raise
        except DynamoError as error:
            reasons[len(writes) + len(reasons)] = _reason_of(error)
    if reasons:
        raise cancelled(_reasons(reasons, len(actions)))
    return writes


def _reason_of(error: DynamoError) -> dict[str, Any]:
    if error.code != "ConditionalCheckFailedException":
        # An update can make the current item invalid, which is the cancellation reason of this action.
        return _reason("DuplicateItem" if error.code == DUPLICATE_ITEM else "ValidationError", error.message)
    reason: dict[str, Any] = _reason("ConditionalCheckFailed", error.message)
    if error.item is not None:
        reason["Item"] = error.item
    return reason


def _reason(code: str, message: str) -> dict[str, Any]:
    return {"Code": code, "Message": message}


def cancelled(reasons: list[dict[str, Any]]) -> DynamoError:
    """Return TransactionCanceledException with one reason per action, in order."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    return DynamoError(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        cancellation_reasons=reasons,
    )


def _digest(elements: Sequence[Any]) -> bytes:
    # ReturnConsumedCapacity is not part of the digest: a repetition may ask for another detail.
    try:
        actions = orjson.dumps(elements, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        # Only a caller in this process can send values that JSON cannot hold.
        raise unreadable(f"The request cannot be serialised: {error}") from None
    return blake2b(actions, digest_size=DIGEST_BYTES).digest()


def _remember(core: Core, token: str, digest: bytes, writes: list[ItemWrite]) -> None:
    """Store the token with the sizes for which a repetition is billed: (table, bytes) of each item."""
    now = core.clock()
    if not core.tokens_cleared_at <= now < core.tokens_cleared_at + CLEAR_TOKENS_EVERY_S:
        core.storage.delete_expired_tokens(now)
        core.tokens_cleared_at = now
    sizes = [(write.table.name, write.larger_bytes) for write in writes]
    core.storage.put_token(token, digest, now + TOKEN_LIFE_S, orjson.dumps(sizes))


def _repeated(request: Mapping[str, Any], digest: bytes, known_digest: bytes, sizes: bytes) -> dict[str, Any]:
    """Return the response to a repeated request: success, billed as reads of the items."""
    if digest != known_digest:
        raise token_reused()
    detail = consumption_detail(request)
    if detail is None:
        return {}
    units: dict[str, float] = {}
    for table, size in orjson.loads(sizes):
        units[table] = units.get(table, 0.0) + read_units(size, consistent=True, transactional=True)
    answers = []
    for table, total in units.items():
        both = {"CapacityUnits": total, "ReadCapacityUnits": total}
        answers.append({"TableName": table, **both, **({"Table": both} if detail == "INDEXES" else {})})
    return {"ConsumedCapacity": answers}


def _write_response(request: Mapping[str, Any], writes: list[ItemWrite]) -> dict[str, Any]:
    response: dict[str, Any] = {}
    detail = consumption_detail(request)
    if detail is not None:
        consumed: dict[str, Consumption] = {}
        for write in writes:
            one = consumed.setdefault(write.table.name, Consumption(write.table, "write"))
            one.add_write(write.old, write.new, write.larger_bytes, transactional=True)
        response["ConsumedCapacity"] = [one.response(detail, by_kind=True) for one in consumed.values()]
    if request.get("ReturnItemCollectionMetrics") == "SIZE":
        metrics: dict[str, list[dict[str, Any]]] = {}
        for write in writes:
            one_metric = collection_metrics(write.table, write.new or write.old or {})
            if one_metric is not None and one_metric not in metrics.setdefault(write.table.name, []):
                metrics[write.table.name].append(one_metric)
        if metrics:
            response["ItemCollectionMetrics"] = metrics
    return response
