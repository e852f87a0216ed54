"""The engine: DynamoDB's operations on one SQLite file, synchronous and deterministic.

    engine = Engine.open("portal.db")
    engine.execute("PutItem", {"TableName": "t", "Item": {"pk": {"S": "a"}}})

Requests and responses are DynamoDB JSON exactly as on the wire. A write is durable when its response is returned.
Several writes can share one transaction and its one fsync (:meth:`Engine.run_group`): each succeeds or is refused
separately, and none is acknowledged before all are durable. Reads see committed writes only, because no read runs while
a group runs.
"""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self, TypeVar, TypeVarTuple

import apsw
import orjson

from bursar.clock import Clock, system_clock
from bursar.dynamo.buckets.port import Buckets
from bursar.dynamo.core.catalogue import Core, internal
from bursar.dynamo.core.guards import GuardLoader
from bursar.dynamo.core.housekeeping import ITEMS_PER_RUN_MAX, Housekeeping
from bursar.dynamo.errors import DynamoError, unreadable
from bursar.dynamo.operations.dispatch import OPERATIONS, Operation
from bursar.dynamo.regions import DEFAULT_REGION
from bursar.dynamo.storage.sqlite_file import Storage

RequestOutcome = bytes | Exception
"""A serialised response, or the exception in place of one."""
ReadResult = TypeVar("ReadResult")
Arguments = TypeVarTuple("Arguments")

READ_ONLY = "The store is open for reading only"
NOT_UTF8 = "The request holds text that is not valid Unicode"

HOUSEKEEPING_EVERY_S = 1.0
LOG_WRITE_ERROR_EVERY_S = 60.0
"""The time between two log lines that the store cannot be written."""

_log = logging.getLogger(__name__)

READ_TRIES = 3
"""The most tries of a read. Another process may remove a table after this one has read the catalogue."""


class RulesRefused(Exception):
    """A table breaks the rules that would be stored with it; ``violations`` has one text for each."""

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
        self._has_written = False
        self._log_write_error_at = 0.0

    @classmethod
    def open(
        cls,
        path: str,
        *,
        clock: Clock = system_clock,
        randomness: random.Random | None = None,
        guard_loader: GuardLoader | None = None,
        region: str = DEFAULT_REGION,
    ) -> Self:
        """Open or create the store at ``path`` (``:memory:`` for one that ends with the process).

        ``randomness`` makes table ids. ``region`` is the region in ARNs and stream records; the file does not store it.
        Raises ``ValueError`` if ``region`` does not have the form of a region's name, ``StoreFormatError`` for a file
        of another kind or of a newer format, and ``apsw.Error`` for one that cannot be opened.
        """
        return cls(Core(Storage(path, region=region), clock, randomness or random.SystemRandom(), guard_loader))

    @classmethod
    def open_for_reading(
        cls,
        path: str,
        *,
        clock: Clock = system_clock,
        guard_loader: GuardLoader | None = None,
        region: str = DEFAULT_REGION,
    ) -> "Engine":
        """Open the existing store at ``path``, on media that may be read-only; every write is refused.

        Raises as :meth:`open` does.
        """
        storage = Storage(path, read_only=True, region=region)
        return Engine(Core(storage, clock, random.SystemRandom(), guard_loader))

    @property
    def region(self) -> str:
        """The region in ARNs."""
        return self._storage.region

    def close(self) -> None:
        """Close the file."""
        self._storage.close()

    # Requests -------------------------------------------------------------------------------------------------

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request. Raises :class:`DynamoError`."""
        response: dict[str, Any] = orjson.loads(self.execute_bytes(operation, request))
        return response

    def execute_bytes(self, operation: str, request: Mapping[str, Any]) -> bytes:
        """Carry out one request and return the serialised response. Raises :class:`DynamoError`."""
        known = operation_named(operation)
        if not known.writes or (known.reads is not None and known.reads(request)):
            return self.read(known, request)
        outcome = self.run_group([(known, request)])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def read(self, operation: Operation, request: Mapping[str, Any]) -> bytes:
        """Carry out one reading request and return the serialised response. Raises :class:`DynamoError`."""
        operation.shape.check(request, self._storage.differences)
        try:
            if operation.snapshot:
                return orjson.dumps(self.read_committed(self._run_on_snapshot, operation, request))
            return orjson.dumps(self.read_committed(operation.run, request))
        except UnicodeEncodeError:
            raise unreadable(NOT_UTF8) from None

    def read_committed(self, reading: Callable[[Core, *Arguments], ReadResult], *args: *Arguments) -> ReadResult:
        """Return the result of ``reading`` on the committed state. ``reading`` gets the core and the further arguments.

        Raises DynamoDB's InternalServerError when the file cannot be read.
        """
        tries = 0
        while True:
            tries += 1
            try:
                return reading(self._core, *args)
            except apsw.Error as error:
                if tries == READ_TRIES or not isinstance(error, apsw.SQLError):
                    raise internal(f"The store could not be read: {error}") from error
                self._core.discard_cache()

    def read_group(self, requests: Sequence[tuple[Operation, Mapping[str, Any]]]) -> list[RequestOutcome]:
        """Carry out reading requests on one committed state; return their outcomes in order."""
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
        except Exception as error:  # a bug in one request must not fail the others
            return error

    def _run_on_snapshot(self, core: Core, operation: Operation, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._storage.snapshot():
            return operation.run(core, request)

    def begin_if_free(self) -> bool:
        """Begin the transaction of the next :meth:`run_group`; return False if another process is writing."""
        try:
            return self._storage.begin_if_free()
        except apsw.Error:
            return True  # run_group gets the same error and reports it

    def run_group(self, requests: Sequence[tuple[Operation, Mapping[str, Any]]]) -> list[RequestOutcome]:
        """Carry out writing requests in one transaction; return their outcomes in order, all durable.

        Waits until no other process writes, unless :meth:`begin_if_free` has just begun the transaction.
        A refused request does not affect the others. On any other error (a full disk, a bug), the transaction is undone
        and each request runs again in a separate one, so that one request cannot fail the others.
        """
        core, storage = self._core, self._storage
        outcomes: list[RequestOutcome] = []
        if storage.read_only:
            return [DynamoError("AccessDeniedException", READ_ONLY)] * len(requests)
        rows_changed = storage.connection.total_changes()
        try:
            if not storage.connection.in_transaction:
                storage.begin()
        except apsw.Error as error:
            self._record_write_error(error)
            return [internal(f"The store could not be written: {error}")] * len(requests)
        try:
            core.refresh()
            for operation, request in requests:
                try:
                    operation.shape.check(request, storage.differences)
                    outcomes.append(orjson.dumps(operation.run(core, request)))
                except DynamoError as refusal:
                    outcomes.append(refusal)
                except UnicodeEncodeError:
                    # A lone surrogate, which only a caller in this process can send. It fails before any write.
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
        # A group without a successful request wrote nothing, so the disk may still be full.
        if storage.connection.total_changes() != rows_changed:
            self._write_error, self._has_written = None, True
        return outcomes

    def _undo(self) -> None:
        self._storage.rollback()
        self._core.discard_cache()

    # Write errors ---------------------------------------------------------------------------------------------

    def write_error(self) -> str | None:
        """Return SQLite's name of the last write's error (``FullError``), or None if it succeeded.

        After a failure, and before the first write of this process, this call writes a probe, unless another process is
        writing: an unhealthy server gets no requests, so it would not notice that the disk has room again; and a
        restarted server would not notice that it has none.
        """
        if not self._storage.read_only and (self._write_error is not None or not self._has_written):
            try:
                if self._storage.begin_if_free():
                    self._storage.probe_disk()
                    self._write_error, self._has_written = None, True
            except apsw.Error as error:
                self._undo()
                self._record_write_error(error)
        return self._write_error

    def _record_write_error(self, error: Exception) -> None:
        """Record why a write failed, and log it at most once a minute: a full disk fails every request."""
        if not isinstance(error, apsw.Error):
            return  # a bug is reported to the caller; it says nothing about the file
        self._write_error = type(error).__name__
        now = self._core.clock()
        if now >= self._log_write_error_at:
            self._log_write_error_at = now + LOG_WRITE_ERROR_EVERY_S
            _log.error("the store cannot be written: %s: %s", self._write_error, error)

    def reset(self) -> None:
        """Remove every table, backup, export and import. Other processes see the empty store from their next request.

        Raises :class:`DynamoError` InternalServerError when the file cannot be written.
        """
        try:
            self._storage.begin()
            self._storage.remove_everything()
            self._storage.commit()
        except apsw.Error as error:
            raise internal(f"The store could not be written: {error}") from error
        finally:
            self._undo()

    def calm(self) -> AbstractContextManager[None]:
        """Return a context in which requests have no weather; :mod:`bursar.dynamo.weather` adds it."""
        return nullcontext()

    def happened(self) -> dict[tuple[str, str], int]:
        """Return the counts of weather events by (table, kind of weather)."""
        return {}

    def weather_report(self) -> str:
        """Return the weather and its counts, in one line; an empty text without weather."""
        return ""

    # Housekeeping ---------------------------------------------------------------------------------------------

    def run_housekeeping(self, limit: int = ITEMS_PER_RUN_MAX) -> int:
        """Delete expired items, up to ``limit``, and stream records older than 24 hours, by the engine's clock.

        Returns the number of expired items examined: if it is ``limit``, there may be more. Raises :class:`DynamoError`
        InternalServerError when the file cannot be read or written.
        """
        core, storage = self._core, self._storage
        if storage.read_only:
            return 0
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
        """Run the housekeeping if :data:`HOUSEKEEPING_EVERY_S` have passed; a failure is logged and not raised.

        Servers and clients call it after each write.
        """
        now = self._core.clock()
        if now < self._next_housekeeping_at:
            return
        try:
            examined = self.run_housekeeping()
        except DynamoError:
            _log.exception("housekeeping failed")
            examined = 0
        self._next_housekeeping_at = now + (HOUSEKEEPING_EVERY_S if examined < ITEMS_PER_RUN_MAX else 0.0)

    def rows_changed(self) -> int:
        """Return the number of rows that this engine has changed in its file since it was opened."""
        return int(self._storage.connection.total_changes())

    def set_address(self, address: str) -> None:
        """Set the address of the server of this engine (``host:port``), for DescribeEndpoints."""
        self._core.address = address

    def set_buckets(self, buckets: Buckets) -> None:
        """Set the buckets that exports are written to, and imports read from."""
        self._core.buckets = buckets

    def set_kinesis(self) -> None:
        """Allow tables to have destinations of Kinesis, to which this process delivers."""
        self._core.has_kinesis = True

    # Rules ----------------------------------------------------------------------------------------------------

    def rules_document(self, table: str) -> str | None:
        """Return the rules document of a table, as it was put. Raises ResourceNotFoundException."""
        self._core.refresh()
        return self._core.table(table).rules

    def denies_writes(self, table: str) -> bool:
        """Return whether the table's resource policy closes it to every writer. Raises ResourceNotFoundException."""

        def read(core: Core) -> bool:
            core.refresh()
            return core.table(table).denies_writes

        return self.read_committed(read)

    def put_rules_document(self, table: str, document: str | None) -> None:
        """Set a table's rules, or remove them (None). Reads the whole table.

        Raises :class:`RulesRefused` when an item of the table violates the rules, and ValidationException when they
        cannot be read; in both cases the table keeps its present rules.
        """

        def put(core: Core) -> None:
            violations = core.put_rules(core.table(table), document)
            if violations:
                raise RulesRefused(violations)

        self._change_rules(put)

    def amend_rules_document(self, table: str, document: str) -> None:
        """Change the rules of a table for more permissive ones with the same unique values.

        The caller guarantees that the new rules permit everything that the present ones permit, so the table is not
        read. The new rules judge later writes. Raises ValidationException when they cannot be read.
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
    """Return the operation of that name. Raises UnknownOperationException."""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise DynamoError("UnknownOperationException", f"The operation {name} is not known")
    return operation


def _failure(error: Exception) -> Exception:
    """Return the exception for a caller: InternalServerError for SQLite errors, the original exception for bugs."""
    return internal(f"The store could not be written: {error}") if isinstance(error, apsw.Error) else error
