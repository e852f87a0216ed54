"""Athena's JSON protocol over Trino: StartQueryExecution, GetQueryExecution, GetQueryResults, StopQueryExecution.

It refuses unsigned requests. A page has
at most :data:`PAGE_ROWS` rows, so paging is tested with small answers.
"""

import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from bursar.web.sigv4 import SignatureRefused, verify
from tests.support.cloud.trino import Trino

PAGE_ROWS: Final = 20
SECRETS: Final = {"AKIDATHENA": "athena-secret"}
_TYPE: Final = re.compile(r"(?P<name>[a-z ]+?)(?:\((?P<sizes>[\d, ]+)\))?(?P<zone> with time zone)?")


class Facade:
    """The statements of one façade. ``address`` is the URL of the endpoint."""

    def __init__(self, trino: Trino, catalog: str) -> None:
        self._trino = trino
        self._catalog = catalog
        self._executions: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.address = ""

    def carry_out(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one request."""
        self.requests.append((operation, request))
        if operation == "StartQueryExecution":
            return self._start(request)
        execution = self._executions[request["QueryExecutionId"]]
        if operation == "GetQueryExecution":
            return {"QueryExecution": {name: execution[name] for name in ("Status", "Statistics")}}
        if operation == "StopQueryExecution":
            execution["Status"] = {"State": "CANCELLED", "StateChangeReason": "Query cancelled by user"}
            execution["cursor"].cancel()
            return {}
        return self._page(execution, int(request.get("NextToken", "0")), min(request["MaxResults"], PAGE_ROWS))

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        assert len(request["ClientRequestToken"]) >= 32
        name = str(uuid.uuid4())
        execution: dict[str, Any] = {"Status": {"State": "QUEUED"}, "Statistics": {}}
        self._executions[name] = execution
        threading.Thread(target=self._run, args=(execution, request), daemon=True).start()
        return {"QueryExecutionId": name}

    def _run(self, execution: dict[str, Any], request: dict[str, Any]) -> None:
        statement = request["QueryString"]
        if parameters := request.get("ExecutionParameters"):
            quoted = statement.replace("'", "''")
            statement = f"EXECUTE IMMEDIATE '{quoted}' USING {', '.join(parameters)}"
        began = time.monotonic()
        try:
            with closing(
                self._trino.connection(self._catalog, request["QueryExecutionContext"]["Database"])
            ) as connection:
                execution["cursor"] = cursor = connection.cursor()
                execution["Status"] = {"State": "RUNNING"}
                cursor.execute(statement)
                execution["rows"] = cursor.fetchall()
                execution["columns"] = [_column(each[0], each[1]) for each in cursor.description]
                execution["Statistics"] = {
                    "DataScannedInBytes": cursor.stats["physicalInputBytes"],
                    "TotalExecutionTimeInMillis": round(1000 * (time.monotonic() - began)),
                }
        except Exception as error:  # as Athena: the reason of a failure is the engine's text
            if execution["Status"]["State"] != "CANCELLED":
                execution["Status"] = {"State": "FAILED", "StateChangeReason": str(error)}
            return
        execution["Status"] = {"State": "SUCCEEDED"}

    def _page(self, execution: dict[str, Any], begin: int, count: int) -> dict[str, Any]:
        head = [[each["Name"] for each in execution["columns"]]]
        rows = [*head, *execution["rows"]]
        page = [{"Data": [{} if cell is None else {"VarCharValue": _text(cell)} for cell in row]} for row in rows]
        answer: dict[str, Any] = {
            "ResultSet": {
                "Rows": page[begin : begin + count],
                "ResultSetMetadata": {"ColumnInfo": execution["columns"]},
            }
        }
        return answer | ({"NextToken": str(begin + count)} if begin + count < len(rows) else {})


def _column(name: str, kind: str) -> dict[str, Any]:
    found = _TYPE.fullmatch(kind)
    assert found is not None, kind
    sizes = [int(size) for size in (found["sizes"] or "0").split(",")]
    precision, scale = (sizes[0], sizes[1]) if len(sizes) == 2 else (0, 0)
    return {"Name": name, "Type": found["name"] + (found["zone"] or ""), "Precision": precision, "Scale": scale}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC"
    return str(value)


@contextmanager
def athena_over(trino: Trino, catalog: str) -> Iterator[Facade]:
    """Serve a façade on loopback for the length of a ``with``."""
    facade = Facade(trino, catalog)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = 200, {}
            try:
                headers = {name.lower(): value for name, value in self.headers.items()}
                verify(
                    "POST", "/", "", headers, body,
                    secret_for=SECRETS.get, service="athena", region="us-east-1", now=time.time(),
                )  # fmt: skip
                answer = facade.carry_out(self.headers["X-Amz-Target"].removeprefix("AmazonAthena."), json.loads(body))
            except SignatureRefused as error:
                status, answer = 400, {"__type": error.code, "message": str(error)}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    facade.address = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield facade
    finally:
        server.shutdown()
        server.server_close()
