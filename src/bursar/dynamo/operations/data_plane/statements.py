"""ExecuteStatement, BatchExecuteStatement and ExecuteTransaction: PartiQL.

A SELECT reads as Query and Scan do, a write runs as PutItem, UpdateItem and DeleteItem do, and a transaction as
TransactWriteItems does. Only their plans come from statements.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import chain, islice
from typing import Any

import orjson

from bursar.dynamo.core.catalogue import Core, GuardRefused, check_size
from bursar.dynamo.errors import DynamoError, condition_failed, invalid, invalid_parameter
from bursar.dynamo.expressions import values_at_paths
from bursar.dynamo.items.attribute_values import TOO_LARGE, Item, normalise
from bursar.dynamo.items.fast_normalise import normalise_and_measure
from bursar.dynamo.items.numbers import TOO_LARGE as TOO_LARGE_NUMBER
from bursar.dynamo.items.numbers import TOO_PRECISE
from bursar.dynamo.items.numbers import TOO_SMALL as TOO_SMALL_NUMBER
from bursar.dynamo.operations.data_plane import fast_single_item_select
from bursar.dynamo.operations.data_plane.capacity import Consumption, consumption_detail, read_units
from bursar.dynamo.operations.data_plane.item_actions import (
    CheckAction,
    DeleteAction,
    InsertAction,
    ItemAction,
    UpdateAction,
)
from bursar.dynamo.operations.data_plane.read_pages import ROWS_UNLIMITED, Reading, Rows, prepare_read, read_page
from bursar.dynamo.operations.data_plane.transactions import SAME_ITEM_TWICE, all_fitting, write_all
from bursar.dynamo.partiql import parse_statement
from bursar.dynamo.partiql.key_ranges import KEY_TYPE, PartitionSpan
from bursar.dynamo.partiql.lexer import MALFORMED
from bursar.dynamo.partiql.statement_plans import (
    ChangePlan,
    ReadPlan,
    plan_delete,
    plan_exists,
    plan_insert,
    plan_select,
    plan_update,
)
from bursar.dynamo.partiql.statement_values import TOO_FEW, StatementValues
from bursar.dynamo.partiql.syntax_tree import (
    DeleteStatement,
    ExistsStatement,
    InsertStatement,
    PartiqlStatement,
    SelectStatement,
    UpdateStatement,
)
from bursar.dynamo.partiql.translation import Translator
from bursar.dynamo.storage.rows import Span
from bursar.dynamo.storage.secondary_index import DoesNotFitTable
from bursar.dynamo.storage.table import ItemWrite, Table

INVALID_TOKEN = "Invalid NextToken"
OTHER_TOKEN = "NextToken does not match request"
TOKEN_MARK_BYTES = 12
ONLY_IN_TRANSACTIONS = "EXISTS can only be used in ExecuteTransaction write requests."
ONLY_ONE_ITEM = "Only single item select is supported"
DUPLICATES = "Provided list of item keys contains duplicates"
BATCH_MIXTURE = "Read and write requests together in the same batch is not supported."
TRANSACTION_MIXTURE = "ExecuteTransaction API does not support both read and write operations in the same request."
ONE_CONDITION = "EXISTS() must contain a single item read with additional condition"
NO_KEY_IN_BATCH = "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
NO_INDEX = "The table does not have the specified index"
SEVERAL_ATTRIBUTES = (
    "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
)
NO_CONSISTENT_READ = "Strongly consistent read is not supported on Global Secondary Indexes"
_OF_THE_STATEMENT = (TOO_LARGE_NUMBER, TOO_SMALL_NUMBER, TOO_PRECISE, "Two document paths ")
"""The beginnings of errors that no table decides; the others about a write cancel its transaction."""
NO_KEY_IN_TRANSACTION = "Select statements within ExecuteTransaction must specify the primary key in the where clause."

# --- one statement --------------------------------------------------------------------------------------------------


def execute_statement(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run one statement: return a page of the items it finds, or the items that it wrote and returns."""
    statement = parse_statement(request["Statement"])
    if isinstance(statement, SelectStatement):
        return _select(core, statement, request)
    action = _action(core, statement, request)
    write = _decide_and_apply(core, action)
    response: dict[str, Any] = {"Items": _returned(statement, action, write)}
    detail = consumption_detail(request)
    if detail is not None:
        response["ConsumedCapacity"] = _written(action, write).response(detail)
    return response


def _select(core: Core, select: SelectStatement, request: Mapping[str, Any]) -> dict[str, Any]:
    items = fast_single_item_select.items(core, select, request)
    if items is not None:
        return {"Items": items}
    return select_page(core, select, request)


def select_page(core: Core, select: SelectStatement, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return one page of the items that a SELECT finds. Raise ValidationException."""
    reads, read = _reading(core, select, request)
    spans = list(reads.spans)
    token = request.get("NextToken")
    if token is not None:
        spans = _after(read, spans, _position(read, token, _mark(request)), forward=reads.forward)
    limit = request.get("Limit")
    found = read_page(read, _rows(read, spans, reads.forward, limit), limit, request)
    response: dict[str, Any] = {"Items": found["Items"]}
    last = found.get("LastEvaluatedKey")
    if last is not None:
        response["NextToken"] = b64encode(orjson.dumps([_mark(request), last])).decode()
        response["LastEvaluatedKey"] = last
    if "ConsumedCapacity" in found:
        response["ConsumedCapacity"] = found["ConsumedCapacity"]
    return response


def _reading(core: Core, select: SelectStatement, request: Mapping[str, Any]) -> tuple[ReadPlan, Reading]:
    values = _values(select, request)
    try:
        table = core.table(select.table)
    except DynamoError:
        # The types of operands are checked first.
        if select.where is not None:
            translator = Translator(values)
            translator.builder.condition(translator.condition(select.where))
        raise
    index = None if select.index is None else table.indexes.get(select.index)
    if select.index is not None and select.index in table.vector_indexes:
        table.index(select.index)
    if index is None and select.index is not None:
        raise invalid(NO_INDEX)
    if index is not None and max(len(index.partition_names), len(index.sort_names)) > 1:
        # The text names tables, but the table and its other indexes can be read.
        raise invalid(SEVERAL_ATTRIBUTES)
    if select.refusal is not None:
        raise invalid(select.refusal)
    if index is not None and index.is_global and request.get("ConsistentRead"):
        raise invalid(NO_CONSISTENT_READ)
    reads = plan_select(select, values, table, index)
    read_request = {
        "TableName": select.table,
        "IndexName": select.index,
        "ConsistentRead": request.get("ConsistentRead"),
    }
    read = prepare_read(core, read_request, reads.condition, reads.projection)
    if index is not None and index.projected is not None and reads.condition is not None:
        missing = sorted(reads.condition.heads - index.projected)
        if not reads.keyed:
            # A scan of the index does not read the table: it filters by the attributes in the index.
            heads = () if reads.projection is None else reads.projection.heads
            read.fetches = not index.is_global and not index.projected.issuperset(heads)
        elif missing:
            raise invalid_parameter(
                f"Secondary index {index.name} does not project one or more filter attributes: [{', '.join(missing)}]"
            )
    read.check_projected()
    return reads, read


def _rows(read: Reading, spans: Sequence[PartitionSpan], forward: bool, limit: int | None) -> Rows:
    """Return the rows of the ranges in order; a range is read only when the ranges before it have ended."""
    source = read.table.rows if read.index is None else read.index.entries
    each = (source.span(one.span, forward=forward, limit=limit or ROWS_UNLIMITED) for one in spans)
    return islice(chain.from_iterable(each), limit)


def _mark(request: Mapping[str, Any]) -> str:
    """Return the mark of a request in its NextToken: statement and parameters must be equal for all pages."""
    asked = orjson.dumps([request["Statement"], request.get("Parameters") or []])
    return blake2b(asked, digest_size=TOKEN_MARK_BYTES).hexdigest()


def _position(read: Reading, token: str, mark: str) -> bytes:
    """Return the encoded key after which a NextToken continues.

    Raise ValidationException for the token of another request.
    """
    try:
        token_mark, last = orjson.loads(b64decode(token, validate=True))
    except (ValueError, TypeError):
        raise invalid(INVALID_TOKEN) from None
    if token_mark != mark:
        raise invalid(OTHER_TOKEN)
    try:
        _, index_key, key = read.position(last, invalid(INVALID_TOKEN))
    except (DynamoError, ValueError, TypeError, AttributeError):
        raise invalid(INVALID_TOKEN) from None
    return index_key + key


def _after(read: Reading, spans: Sequence[PartitionSpan], at: bytes, *, forward: bool) -> list[PartitionSpan]:
    """Return the rest of the ranges after the key ``at``, which lies in one of them."""
    for number, one in enumerate(spans):
        low, _, high = one.span.low, one.span.low_inclusive, one.span.high
        if low <= at and (high is None or at < high):
            rest = Span(at, False, high) if forward else Span(low, True, at)
            return [PartitionSpan(one.partition, rest), *spans[number + 1 :]]
    raise invalid(INVALID_TOKEN)


# --- writes ---------------------------------------------------------------------------------------------------------


def _values(
    statement: SelectStatement | InsertStatement | UpdateStatement | DeleteStatement,
    request: Mapping[str, Any],
) -> StatementValues:
    return StatementValues(request.get("Parameters") or (), statement.parameters)


def _action(core: Core, statement: PartiqlStatement, request: Mapping[str, Any]) -> ItemAction:
    """Return the action of an INSERT, UPDATE or DELETE. Raise ValidationException for an EXISTS."""
    if isinstance(statement, SelectStatement | ExistsStatement):
        raise invalid(ONLY_IN_TRANSACTIONS)
    table = core.table(statement.table)
    values = _values(statement, request)
    returns_old = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    if isinstance(statement, InsertStatement):
        return _insert(table, plan_insert(statement, values, table), returns_old)
    if isinstance(statement, DeleteStatement):
        changes = plan_delete(statement, values, table)
        return DeleteAction(table, table.encoded_key(changes.key), changes.condition, returns_old=returns_old)
    changes = plan_update(statement, values, table)
    key = table.encoded_key(changes.key)
    action = UpdateAction(table, key, changes.condition, returns_old=returns_old)
    action.request_key = changes.key
    action.update = changes.update
    action.touched = ()
    return action


def _insert(table: Table, given: Item, returns_old: bool) -> InsertAction:
    item, size = normalise_and_measure(given)
    check_size(size, TOO_LARGE)
    action = InsertAction(table, table.key_of_item(item), None, returns_old=returns_old)
    table.check_index_keys(item)
    action.item = item
    action.size = size
    return action


def _decide_and_apply(core: Core, action: ItemAction) -> ItemWrite:
    write = action.decide()
    try:
        core.apply((write,))
    except GuardRefused as refused:
        raise condition_failed(write.old if action.returns_old else None, refused.message) from None
    return write


def _returned(statement: PartiqlStatement, action: ItemAction, write: ItemWrite) -> list[Any]:
    """Return the item of a RETURNING clause in a list, or an empty list."""
    if isinstance(statement, DeleteStatement):
        return [orjson.Fragment(write.row[2])] if statement.returning and write.row is not None else []
    if not isinstance(statement, UpdateStatement) or statement.returning is None:
        return []
    extent, moment = statement.returning
    item = (write.old if moment == "old" else write.new) or {}
    if extent == "modified":
        assert isinstance(action, UpdateAction)
        assert action.update is not None
        item = values_at_paths(item, action.update.paths)
    return [item] if item else []


def _written(action: ItemAction, write: ItemWrite, *, transactional: bool = False) -> Consumption:
    consumed = Consumption(action.table, "write")
    consumed.add_write(write.old, write.new, write.larger_bytes, transactional=transactional)
    return consumed


# --- batches --------------------------------------------------------------------------------------------------------


def batch_execute_statement(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run up to 25 reads or 25 writes of single items; each succeeds or fails by itself."""
    steps = [_Step(core, one) for one in request["Statements"]]
    if {step.reads for step in steps if step.reads is not None} == {True, False}:
        raise invalid(BATCH_MIXTURE)
    places = [step.place for step in steps if step.place is not None]
    if len(set(places)) != len(places):
        raise invalid(DUPLICATES)
    detail = consumption_detail(request)
    responses, consumed = [], []
    for step in steps:
        responses.append(step.response(core))
        if detail is not None and step.consumed is not None:
            consumed.append(step.consumed.response(detail))
    response: dict[str, Any] = {"Responses": responses}
    if detail is not None:
        response["ConsumedCapacity"] = consumed
    return response


class _Step:
    """One statement of a batch: its planned read or write, or its error."""

    def __init__(self, core: Core, request: Mapping[str, Any]) -> None:
        self.request = request
        self.statement: PartiqlStatement | None = None
        self.action: ItemAction | None = None
        self.found: _Found | None = None
        self.error: DynamoError | None = None
        self.consumed: Consumption | None = None
        try:
            self.statement = parse_statement(request["Statement"])
            if isinstance(self.statement, SelectStatement):
                self.found = _Found(core, self.statement, request)
            else:
                self.action = _action(core, self.statement, request)
        except DynamoError as error:
            self.error = _raise_if_unreadable(invalid(NO_KEY_IN_BATCH) if error.message == ONLY_ONE_ITEM else error)

    @property
    def reads(self) -> bool | None:
        """Return whether it is a SELECT; None for an invalid statement."""
        return None if self.statement is None else isinstance(self.statement, SelectStatement)

    @property
    def place(self) -> tuple[int, bytes] | None:
        """Return the table's id and the encoded key of its item."""
        if self.action is not None:
            return self.action.table.id, self.action.key
        return None if self.found is None else (self.found.table.id, self.found.key)

    def response(self, core: Core) -> dict[str, Any]:
        """Run the statement, and return its response or its error."""
        if self.error is not None:
            return {"Error": _error(self.error)}
        if self.found is not None:
            item = self.found.item()
            self.consumed = self.found.consumed(consistent=bool(self.request.get("ConsistentRead")))
            table = self.found.table
            return {"TableName": table.name} if item is None else {"TableName": table.name, "Item": item}
        assert self.action is not None
        assert self.statement is not None
        response: dict[str, Any] = {"TableName": self.action.table.name}
        try:
            write = _decide_and_apply(core, self.action)
        except DynamoError as error:
            return {"Error": _error(_raise_if_unreadable(error)), **response}
        self.consumed = _written(self.action, write)
        for item in _returned(self.statement, self.action, write):
            response["Item"] = item
        return response


def _raise_if_unreadable(error: DynamoError) -> DynamoError:
    """Return ``error`` if it concerns one statement; raise it if it concerns the whole request."""
    if error.code == "SerializationException":
        raise error
    return error


def _error(error: DynamoError) -> dict[str, Any]:
    code = "ValidationError" if error.code == "ValidationException" else error.code.removesuffix("Exception")
    described: dict[str, Any] = {"Code": code, "Message": error.message}
    if error.item is not None:
        described["Item"] = error.item
    return described


class _Found:
    """The item that a SELECT names by its key."""

    def __init__(self, core: Core, select: SelectStatement, request: Mapping[str, Any]) -> None:
        reads, _ = _reading(core, select, request)
        if reads.key is None:
            raise invalid(ONLY_ONE_ITEM)
        self.table = core.table(select.table)
        self.key = self.table.encoded_key(reads.key)
        self._projection = reads.projection
        self._size = 0

    def item(self) -> Any:
        """Return the chosen part of the item, None if it does not exist."""
        row = self.table.rows.get(self.key)
        if row is None:
            return None
        self._size = row[1]
        return orjson.Fragment(row[2]) if self._projection is None else self._projection.project(orjson.loads(row[2]))

    def consumed(self, *, consistent: bool, transactional: bool = False) -> Consumption:
        """Return the capacity that reading the item took."""
        consumption = Consumption(self.table, "read")
        consumption.units = read_units(self._size, consistent=consistent, transactional=transactional)
        return consumption


# --- transactions ---------------------------------------------------------------------------------------------------


def execute_transaction(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run up to 100 reads, or up to 100 writes and EXISTS, all or none."""
    elements = request["TransactStatements"]
    statements = [_parsed(at, one["Statement"]) for at, one in enumerate(elements)]
    for at, (statement, one) in enumerate(zip(statements, elements, strict=True)):
        wanted = statement.select.parameters if isinstance(statement, ExistsStatement) else statement.parameters
        if len(one.get("Parameters") or ()) < wanted:
            raise _invalid_at(at, TOO_FEW)
    if all(isinstance(statement, SelectStatement) for statement in statements):
        return _read_all(core, request, list(zip(_selects(statements), elements, strict=True)))
    if any(isinstance(statement, SelectStatement) for statement in statements):
        raise invalid(TRANSACTION_MIXTURE)
    for at, statement in enumerate(statements):
        if isinstance(statement, UpdateStatement | DeleteStatement) and statement.returning:
            raise _invalid_at(at, "RETURNING clause is not supported in ExecuteTransaction.")
    steps = list(zip(range(len(elements)), statements, elements, strict=True))
    return {"Responses": [], **write_all(core, request, elements, _transactional, lambda: steps)}


def _parsed(at: int, text: str) -> PartiqlStatement:
    try:
        statement = parse_statement(text)
        if isinstance(statement, SelectStatement) and statement.refusal is not None:
            raise invalid(statement.refusal)
        return statement
    except DynamoError as error:
        raise error if error.message.startswith(MALFORMED) else _invalid_at(at, error.message) from None


def _selects(statements: Sequence[PartiqlStatement]) -> Iterator[SelectStatement]:
    return (statement for statement in statements if isinstance(statement, SelectStatement))


def _read_all(
    core: Core, request: Mapping[str, Any], selects: Sequence[tuple[SelectStatement, Mapping[str, Any]]]
) -> dict[str, Any]:
    found = all_fitting(_found, core, [(at, *one) for at, one in enumerate(selects)])
    if len({(one.table.id, one.key) for one in found}) != len(found):
        raise invalid(SAME_ITEM_TWICE)
    items = [one.item() for one in found]
    response: dict[str, Any] = {"Responses": [{} if item is None else {"Item": item} for item in items]}
    detail = consumption_detail(request)
    if detail is not None:
        response["ConsumedCapacity"] = [
            one.consumed(consistent=True, transactional=True).response(detail, by_kind=True) for one in found
        ]
    return response


def _found(core: Core, step: tuple[int, SelectStatement, Mapping[str, Any]]) -> _Found:
    """Return a read of a transaction. Raise Misfit for a key that does not fit its table."""
    at, select, request = step
    if select.index is not None:
        raise _invalid_at(at, "Reads on indices are not supported within transactions.")
    try:
        return _Found(core, select, request)
    except DynamoError as error:
        if error.message.startswith(KEY_TYPE.format("")):
            raise DoesNotFitTable(error.message) from None
        raise _invalid_at(at, NO_KEY_IN_TRANSACTION) if error.message == ONLY_ONE_ITEM else error from None


def _transactional(core: Core, step: tuple[int, PartiqlStatement, Mapping[str, Any]]) -> ItemAction:
    """Return a write or a check of a transaction. Raise Misfit for an item or key that does not fit its table."""
    at, statement, request = step
    if isinstance(statement, ExistsStatement):
        table = core.table(statement.select.table)
        changes = _existing(statement.select, request, table)
        if changes is None:
            raise _invalid_at(at, ONE_CONDITION)
        returns_old = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        return CheckAction(table, table.encoded_key(changes.key), changes.condition, returns_old=returns_old)
    try:
        return _action(core, statement, request)
    except DynamoError as error:
        if error.code == "ValidationException":
            # A parameter that cannot be read is an error of the whole request.
            for parameter in request.get("Parameters") or ():
                normalise(parameter)
            if error.message.startswith(_OF_THE_STATEMENT):
                raise _invalid_at(at, error.message) from None
            raise DoesNotFitTable(error.message) from None
        raise


def _existing(select: SelectStatement, request: Mapping[str, Any], table: Table) -> ChangePlan | None:
    return plan_exists(select, _values(select, request), table)


def _invalid_at(at: int, problem: str) -> DynamoError:
    return invalid(f"Validation failed in TransactStatements[{at}]: {problem}")
