"""The engine: DynamoDB's operations on one SQLite file, synchronous and deterministic.

    engine = Engine.open("portal.db")
    engine.execute("PutItem", {"TableName": "t", "Item": {"pk": {"S": "a"}}})

Requests and responses are DynamoDB JSON exactly as on the wire. A write is durable when its response is returned.
Several writes can share one transaction and its one fsync (:meth:`Engine.run_group`): each takes place or is refused
by itself, and none is acknowledged before all are durable. Reads see committed writes only, since nothing else runs
while a group does.
"""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

import apsw
import orjson

from bursar.clock import Clock, system_clock
from bursar.dynamo.core.catalogue import Core, internal
from bursar.dynamo.core.guards import GuardLoader
from bursar.dynamo.core.housekeeping import ITEMS_PER_RUN_MAX, Housekeeping
from bursar.dynamo.errors import DynamoError, unreadable
from bursar.dynamo.operations import OPERATIONS, Operation
from bursar.dynamo.storage.sqlite_file import Storage

RequestOutcome = bytes | Exception
"""A response serialised, or why there is none."""
ReadResult = TypeVar("ReadResult")

NOT_UTF8 = "The request holds text that is not valid Unicode"

HOUSEKEEPING_EVERY_S = 1.0
LOG_WRITE_ERROR_EVERY_S = 60.0
"""How often the log is told that the store cannot be written, while it cannot."""

_log = logging.getLogger(__name__)

READ_TRIES = 3
"""Another process may remove a table between the look at the catalogue and the read of its rows."""


class RulesRefused(Exception):
    """A table's contents violate the rules that it was to have; ``violations`` says how."""

    def __init__(self, violations: list[str]) -> None:
        super().__init__(f"{len(violations)} violations: {'; '.join(violations)}")
        self.violations = violations


class Engine:
    """One store, used by one thread. Other processes may have the same file open."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._storage = core.storage
        self._housekeeping = Housekeeping(core)
        self._next_housekeeping_at = 0.0
        self._write_error: str | None = None
        self._log_write_error_at = 0.0

    @classmethod
    def open(
        cls,
        path: str,
        *,
        clock: Clock = system_clock,
        randomness: random.Random | None = None,
        guard_loader: GuardLoader | None = None,
    ) -> Self:
        """Opens or creates the store at ``path`` (``:memory:`` for one that is forgotten).

        ``randomness`` makes table ids. Raises ``StoreFormatError`` for a file of another kind or of a newer format, and
        ``apsw.Error`` for one that cannot be opened.
        """
        return cls(Core(Storage(path), clock, randomness or random.SystemRandom(), guard_loader))

    def close(self) -> None:
        """Closes the file."""
        self._storage.close()

    # Requests -------------------------------------------------------------------------------------------------

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out one request. Raises :class:`DynamoError`."""
        response: dict[str, Any] = orjson.loads(self.execute_bytes(operation, request))
        return response

    def execute_bytes(self, operation: str, request: Mapping[str, Any]) -> bytes:
        """As :meth:`execute`, the response serialised: stored items are spliced in, not decoded."""
        known = operation_named(operation)
        if not known.writes or (known.reads is not None and known.reads(request)):
            return self.read(known, request)
        outcome = self.run_group([(known, request)])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def read(self, operation: Operation, request: Mapping[str, Any]) -> bytes:
        """Carries out one reading request."""
        operation.shape.check(request)
        try:
            return orjson.dumps(self.read_committed(lambda core: self._read_once(operation, request)))
        except UnicodeEncodeError:
            raise unreadable(NOT_UTF8) from None

    def read_committed(self, reading: Callable[[Core], ReadResult]) -> ReadResult:
        """What ``reading`` finds in the committed state. Raises InternalServerError when the file cannot be read."""
        tries = 0
        while True:
            tries += 1
            try:
                return reading(self._core)
            except apsw.Error as error:
                if tries == READ_TRIES or not isinstance(error, apsw.SQLError):
                    raise internal(f"The store could not be read: {error}") from error
                self._core.discard_cache()

    def read_group(self, requests: Sequence[tuple[Operation, Mapping[str, Any]]]) -> list[RequestOutcome]:
        """Carries out reading requests on one look at the file; their outcomes in order."""
        if len(requests) == 1:
            return [self._read_outcome(*requests[0])]
        try:
            with self._storage.snapshot():
                return [self._read_outcome(operation, request) for operation, request in requests]
        except apsw.Error as error:
            return [internal(f"The store could not be read: {error}")] * len(requests)

    def _read_outcome(self, operation: Operation, request: Mapping[str, Any]) -> RequestOutcome:
        try:
            return self.read(operation, request)
        except Exception as error:  # one request's defect is not the others'
            return error

    def _read_once(self, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        if not operation.snapshot:
            return operation.run(self._core, request)
        with self._storage.snapshot():
            return operation.run(self._core, request)

    def begin_if_free(self) -> bool:
        """Begins the transaction of the next :meth:`run_group`, unless another process is writing: then False."""
        try:
            return self._storage.begin_if_free()
        except apsw.Error:
            return True  # run_group meets the same trouble and tells it

    def run_group(self, requests: Sequence[tuple[Operation, Mapping[str, Any]]]) -> list[RequestOutcome]:
        """Carries out writing requests in one transaction; their outcomes in order, all durable.

        Waits until no other process writes, unless :meth:`begin_if_free` has just begun the transaction.
        A refused request leaves the others as they are. When something else goes wrong (a full disk, a defect), the
        transaction is undone and each request has one of its own, so that one cannot take the others with it.
        """
        core, storage = self._core, self._storage
        outcomes: list[RequestOutcome] = []
        rows_changed = storage.connection.total_changes()
        try:
            if not storage.writing:
                storage.begin()
        except apsw.Error as error:
            self._record_write_error(error)
            return [internal(f"The store could not be written: {error}")] * len(requests)
        try:
            core.refresh()
            for operation, request in requests:
                try:
                    operation.shape.check(request)
                    outcomes.append(orjson.dumps(operation.run(core, request)))
                except DynamoError as refusal:
                    outcomes.append(refusal)
                except UnicodeEncodeError:
                    # Half of a surrogate pair, which only a caller in this process can send; it fails before any write.
                    outcomes.append(unreadable(NOT_UTF8))
            core.flush_counts()
        except Exception as error:
            self._undo()
            self._record_write_error(error)
            if len(requests) > 1:
                return [self.run_group([request])[0] for request in requests]
            return [_failure(error)]
        try:
            storage.commit()
        except apsw.Error as error:
            self._undo()
            self._record_write_error(error)
            return [_failure(error)] * len(requests)
        # A group whose every request was refused wrote nothing, and proves nothing of the disk.
        if self._write_error is not None and storage.connection.total_changes() != rows_changed:
            self._write_error = None
        return outcomes

    def _undo(self) -> None:
        self._storage.rollback()
        self._core.discard_cache()

    # Whether it can write -------------------------------------------------------------------------------------

    def write_error(self) -> str | None:
        """Why the last write failed, as SQLite's name of the error (``FullError``); None when it went well.

        After a failure, the asking itself tries to write something that nobody reads, unless another process is
        writing: a server that is ill gets no traffic, and would never find out that there is room again.
        """
        if self._write_error is not None:
            try:
                if self._storage.begin_if_free():
                    self._storage.probe_disk()
                    self._write_error = None
            except apsw.Error as error:
                self._undo()
                self._record_write_error(error)
        return self._write_error

    def _record_write_error(self, error: Exception) -> None:
        """Remembers why a write failed and logs it, once in a while: a full disk fails every request."""
        if not isinstance(error, apsw.Error):
            return  # a defect of ours is its caller's to tell, and none of the file's
        self._write_error = type(error).__name__
        now = self._core.clock()
        if now >= self._log_write_error_at:
            self._log_write_error_at = now + LOG_WRITE_ERROR_EVERY_S
            _log.error("the store cannot be written: %s: %s", self._write_error, error)

    # What nobody asks for -------------------------------------------------------------------------------------

    def run_housekeeping(self, limit: int = ITEMS_PER_RUN_MAX) -> int:
        """Deletes expired items, up to ``limit``, and stream records older than 24 hours, as of the engine's clock.

        Gives the number of expired items that it looked at: as many as ``limit`` mean that there may be more. Raises
        :class:`DynamoError` InternalServerError when the file cannot be read or written.
        """
        core, storage = self._core, self._storage
        try:
            with storage.snapshot():
                due = self._housekeeping.is_due()
            if not due:
                return 0
            storage.begin()
            core.refresh()
            examined = self._housekeeping.run(limit)
            core.flush_counts()
            storage.commit()
        except apsw.Error as error:
            self._undo()
            raise internal(f"Housekeeping of the store failed: {error}") from error
        except BaseException:
            self._undo()
            raise
        return examined

    def run_housekeeping_if_due(self) -> None:
        """Call :meth:`run_housekeeping` if :data:`HOUSEKEEPING_EVERY_S` have passed; log a failure, do not raise it.

        Servers and clients call it after each write.
        """
        now = self._core.clock()
        if now < self._next_housekeeping_at:
            return
        try:
            examined = self.run_housekeeping()
        except DynamoError:
            _log.exception("housekeeping failed; it runs again after later writes")
            examined = 0
        self._next_housekeeping_at = now + (HOUSEKEEPING_EVERY_S if examined < ITEMS_PER_RUN_MAX else 0.0)

    def set_address(self, address: str) -> None:
        """Tells the engine where it is served (``host:port``), for DescribeEndpoints."""
        self._core.address = address

    # Rules ----------------------------------------------------------------------------------------------------

    def rules_document(self, table: str) -> str | None:
        """The rules document of a table, as it was put. Raises ResourceNotFoundException."""
        self._core.refresh()
        return self._core.table(table).rules

    def put_rules_document(self, table: str, document: str | None) -> None:
        """Gives a table rules, or takes them away (None). Reads the whole table.

        Raises :class:`RulesRefused` when the table holds what the rules forbid, ValidationException when they cannot be
        read; in both cases the table keeps the rules it had.
        """

        def put(core: Core) -> None:
            violations = core.put_rules(core.table(table), document)
            if violations:
                raise RulesRefused(violations)

        self._change_rules(put)

    def amend_rules_document(self, table: str, document: str) -> None:
        """Changes the rules of a table for ones that let in all that the old ones did, with the same unique values.

        That is the caller's word: nothing of the table is read. What is written from now on is judged by the new
        rules. Raises ValidationException when they cannot be read.
        """
        self._change_rules(lambda core: core.amend_rules(core.table(table), document))

    def _change_rules(self, change: Callable[[Core], None]) -> None:
        core, storage = self._core, self._storage
        try:
            storage.begin()
            core.refresh()
            change(core)
            storage.commit()
        except apsw.Error as error:
            self._undo()
            raise _failure(error) from error
        except BaseException:
            self._undo()
            raise


def operation_named(name: str) -> Operation:
    """The operation of that name. Raises UnknownOperationException."""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise DynamoError("UnknownOperationException", f"The operation {name} is not known")
    return operation


def _failure(error: Exception) -> Exception:
    """What a caller is told: the file's troubles as a 500 of DynamoDB's, a defect of ours as itself."""
    return internal(f"The store could not be written: {error}") if isinstance(error, apsw.Error) else error
