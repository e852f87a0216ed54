"""A stand-in for Athena's API: canned states and pages, and a list of the calls."""

import asyncio
from collections.abc import Mapping
from typing import Any

from bursar.reports.athena.engine import AthenaEngine, AthenaPlace
from bursar.reports.errors import AthenaFailed

WATERMARK = "2026-11-22T19:30:00.000Z"


def row(*values: str | None) -> dict[str, Any]:
    return {"Data": [{} if value is None else {"VarCharValue": value} for value in values]}


class CannedAthena:
    """Answers each statement after ``polls`` questions; ``state``: how a statement other than the first ends."""

    def __init__(self, columns: list[dict[str, Any]], pages: list[list[dict[str, Any]]]) -> None:
        self.columns = columns
        self.pages = pages
        self.state = "SUCCEEDED"
        self.polls = 2
        self.slept: list[float] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._started = 0
        self._polled = 0

    def engine(self) -> AthenaEngine:
        place = AthenaPlace("finance", "bursar", "s3://answers/here/")
        return AthenaEngine(self, place, clock=lambda: 0.0, sleep=self.sleep, new_token=lambda: f"{self._started:032d}")

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, dict(request)))
        answers = {"StartQueryExecution": self._start, "GetQueryExecution": self._poll, "GetQueryResults": self._page}
        return answers[operation](request) if operation in answers else {}

    def named(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.calls if name == operation]

    def _start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._started += 1
        self._polled = 0
        return {"QueryExecutionId": f"query-{self._started}"}

    def _poll(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._polled += 1
        if self._polled <= self.polls:
            return {"QueryExecution": {"Status": {"State": "RUNNING"}}}
        state = "SUCCEEDED" if self._is_watermark(request) else self.state
        status = {"State": state, "StateChangeReason": "SYNTAX_ERROR: line 1:8"}
        statistics = {"DataScannedInBytes": 1000, "TotalExecutionTimeInMillis": 1500}
        return {"QueryExecution": {"Status": status, "Statistics": statistics}}

    def _page(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._is_watermark(request):
            return self._result([{"Name": "watermark", "Type": "varchar"}], [row("watermark"), row(WATERMARK)])
        place = int(request.get("NextToken", "0"))
        head = [row(*(column["Name"] for column in self.columns))] if place == 0 else []
        more = {"NextToken": str(place + 1)} if place + 1 < len(self.pages) else {}
        return self._result(self.columns, [*head, *self.pages[place]]) | more

    def _result(self, columns: list[dict[str, Any]], rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {"ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": columns}}}

    def _is_watermark(self, request: Mapping[str, Any]) -> bool:
        return str(request["QueryExecutionId"]) == "query-1"


class NeverEnds(CannedAthena):
    """A statement runs until it is stopped. ``runs`` is set when it is asked about."""

    def __init__(self, columns: list[dict[str, Any]], pages: list[list[dict[str, Any]]]) -> None:
        super().__init__(columns, pages)
        self.runs = asyncio.Event()

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "GetQueryExecution" and not self._is_watermark(request):
            self.calls.append((operation, dict(request)))
            self.runs.set()
            return {"QueryExecution": {"Status": {"State": "RUNNING"}}}
        return await super().call(operation, request)


class Refuses(CannedAthena):
    """Athena refuses every call."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        raise AthenaFailed("Athena refused StartQueryExecution: InvalidRequestException: WorkGroup is not found.")
