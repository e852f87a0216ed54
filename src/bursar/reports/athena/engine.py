"""Run statements on Athena: start, wait, read the pages of the result; stop a statement that is cancelled.

    StartQueryExecution ─► GetQueryExecution … SUCCEEDED ─► GetQueryResults, 1,000 rows a page
                                             FAILED, CANCELLED ─► AthenaFailed
                           time limit, Ctrl-C ─► StopQueryExecution

An answer holds as of the lake's watermark, which a statement over the tables' snapshots reads first.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import Clock, from_iso_ms, system_clock
from bursar.reports.athena.api import AthenaCalls, Sleep
from bursar.reports.athena.result_values import ResultColumn, batch_of
from bursar.reports.athena.statement import AthenaStatement
from bursar.reports.errors import AthenaFailed, QueryTooLarge, QueryTooLong
from bursar.reports.lake.lake import NAMESPACE, WATERMARK
from bursar.reports.lake.schema import TABLES
from bursar.reports.sql.answer import AnswerStream, SqlAnswer
from bursar.reports.sql.values import rows_of

if TYPE_CHECKING:
    import pyarrow as pa

STATEMENT_TIMEOUT_S: Final = 600.0
POLL_FIRST_S: Final = 0.25
POLL_S_MAX: Final = 2.0
PAGE_ROWS: Final = 1000
CATALOG: Final = "AwsDataCatalog"


def watermark_statement() -> AthenaStatement:
    """Return the statement that reads the lake's watermark.

    It is the oldest of the watermarks of its tables' newest snapshots.
    """
    parts = " UNION ALL ".join(
        f"SELECT max_by(element_at(summary, '{WATERMARK}'), committed_at) AS watermark FROM \"{schema.name}$snapshots\""
        for schema in TABLES
    )
    return AthenaStatement(f"SELECT min(watermark) AS watermark FROM ({parts})", (), ())


@dataclass(frozen=True, slots=True)
class AthenaPlace:
    """Where statements run: the workgroup, the database, and the place of results, or None to use the workgroup's."""

    workgroup: str = "primary"
    database: str = NAMESPACE
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """A statement that has ended: its id, the bytes that Athena scanned for it, and its seconds."""

    id: str
    bytes_scanned: int
    seconds: float


class AthenaEngine:
    """Athena as an engine of statements over the lake."""

    def __init__(
        self,
        calls: AthenaCalls,
        place: AthenaPlace,
        *,
        clock: Clock = system_clock,
        sleep: Sleep = asyncio.sleep,
        new_token: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        """Create an engine without sending anything.

        ``new_token`` returns a new token of at least 32 characters at each call.
        """
        self.clock = clock
        self._calls = calls
        self._place = place
        self._sleep = sleep
        self._new_token = new_token
        self._as_of: float | None = None
        self.executions: list[Execution] = []
        """The statements that have succeeded, oldest first."""

    @asynccontextmanager
    async def stream(self, statement: AthenaStatement) -> AsyncIterator[AnswerStream]:
        """Open the answer to a statement for the length of a ``with``: all its rows, batch by batch.

        Raises :class:`AthenaFailed` and :class:`QueryTooLong`.
        """
        if self._as_of is None:
            # Read once, and first, so the rows of every later statement are at least as new.
            watermark = (await self._rows(watermark_statement()))[0][0]
            self._as_of = self.clock() if watermark is None else from_iso_ms(watermark)
        columns, batches = await self._opened(statement)
        names, types = tuple(column.name for column in columns), tuple(column.type for column in columns)
        yield AnswerStream(names, types, self._as_of, batches)

    async def answer(self, statement: AthenaStatement, *, rows_max: int, cuts: bool = False) -> SqlAnswer:
        """Return the whole answer. More rows than ``rows_max`` are an error, or cut off if ``cuts``.

        Raises :class:`QueryTooLarge` and as :meth:`stream`.
        """
        async with self.stream(statement) as opened:
            rows: list[tuple[Any, ...]] = []
            async for batch in opened.batches:
                rows += rows_of(batch, opened.types)
                if len(rows) > rows_max:
                    break
        if len(rows) > rows_max and not cuts:
            raise QueryTooLarge(f"the answer has more than {rows_max:,} rows")
        return SqlAnswer(opened.columns, opened.types, rows[:rows_max], opened.as_of, cut=len(rows) > rows_max)

    async def _rows(self, statement: AthenaStatement) -> list[tuple[Any, ...]]:
        columns, batches = await self._opened(statement)
        types = [column.type for column in columns]
        return [row async for batch in batches for row in rows_of(batch, types)]

    async def _opened(self, statement: AthenaStatement) -> "tuple[list[ResultColumn], AsyncIterator[pa.RecordBatch]]":
        execution = await self._execute(statement)
        self.executions.append(execution)
        first = await self._page(execution.id, None)
        columns = [ResultColumn.of(each) for each in first["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]]
        return columns, self._batches(execution.id, columns, first)

    async def _batches(
        self, execution_id: str, columns: list[ResultColumn], page: dict[str, Any]
    ) -> "AsyncIterator[pa.RecordBatch]":
        # The first row of the first page has the names of the columns.
        yield batch_of(columns, page["ResultSet"]["Rows"][1:])
        while token := page.get("NextToken"):
            page = await self._page(execution_id, token)
            yield batch_of(columns, page["ResultSet"]["Rows"])

    async def _page(self, execution_id: str, token: str | None) -> dict[str, Any]:
        request: dict[str, Any] = {"QueryExecutionId": execution_id, "MaxResults": PAGE_ROWS}
        return await self._calls.call("GetQueryResults", request | ({"NextToken": token} if token else {}))

    async def _execute(self, statement: AthenaStatement) -> Execution:
        """Run a statement to its end."""
        started = await self._calls.call("StartQueryExecution", self._request(statement))
        execution_id = str(started["QueryExecutionId"])
        try:
            async with asyncio.timeout(STATEMENT_TIMEOUT_S):
                return await self._ended(execution_id)
        except TimeoutError:
            await self._stop(execution_id)
            raise QueryTooLong(f"the statement was stopped after {STATEMENT_TIMEOUT_S:.0f} s on Athena") from None
        except asyncio.CancelledError:
            await asyncio.shield(self._stop(execution_id))
            raise

    def _request(self, statement: AthenaStatement) -> dict[str, Any]:
        request: dict[str, Any] = {
            "QueryString": statement.text,
            "ClientRequestToken": self._new_token(),
            "QueryExecutionContext": {"Catalog": CATALOG, "Database": self._place.database},
            "WorkGroup": self._place.workgroup,
        }
        if statement.parameters:
            request["ExecutionParameters"] = list(statement.parameters)
        if self._place.output is not None:
            request["ResultConfiguration"] = {"OutputLocation": self._place.output}
        return request

    async def _ended(self, execution_id: str) -> Execution:
        pause_s = POLL_FIRST_S
        while True:
            found = await self._calls.call("GetQueryExecution", {"QueryExecutionId": execution_id})
            execution: Mapping[str, Any] = found["QueryExecution"]
            state = execution["Status"]["State"]
            if state == "SUCCEEDED":
                statistics = execution.get("Statistics", {})
                millis = int(statistics.get("TotalExecutionTimeInMillis", 0))
                return Execution(execution_id, int(statistics.get("DataScannedInBytes", 0)), millis / 1000)
            if state in ("FAILED", "CANCELLED"):
                reason = execution["Status"].get("StateChangeReason") or "no reason given"
                raise AthenaFailed(f"Athena: the statement {execution_id} {state.lower()}: {reason}")
            await self._sleep(pause_s)
            pause_s = min(POLL_S_MAX, pause_s * 1.5)

    async def _stop(self, execution_id: str) -> None:
        await self._calls.call("StopQueryExecution", {"QueryExecutionId": execution_id})
