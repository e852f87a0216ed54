"""Serve reports on a Unix socket that only its owner may use.

If a statement does not stop at its time limit, only the end of the process can stop it. The caller gets its error, the
process ends, and its parent starts another one.
"""

import asyncio
import fcntl
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bursar.private_files import FILE_MODE, make_private_folder
from bursar.reports.errors import ReportError
from bursar.reports.reports import Reports
from bursar.reports.server.messages import answer_to_json, error_to_json, message_bytes, read_message
from bursar.reports.server.streams import send_stream
from bursar.reports.sql.answer import Question

REPLY_GRACE_S: Final = 2.0
BACKLOG: Final = 128

_log = logging.getLogger(__name__)


class AlreadyServed(Exception):
    """Another process serves this socket."""


class ReportsServer:
    """Answers requests with ``reports``. ``end`` ends the process after a statement that could not be stopped."""

    def __init__(self, reports: Reports, end: Callable[[], None]) -> None:
        self._reports = reports
        self._end = end

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the one request of a connection; stop working on it if the caller closes the connection."""
        try:
            request = await read_message(reader)
        except (asyncio.IncompleteReadError, ValueError, OSError):
            writer.close()
            return
        work = asyncio.create_task(self._answer(request, writer))
        left = asyncio.create_task(reader.read(1))
        await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
        left.cancel()
        if not work.done():
            work.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await work
        writer.close()
        if self._reports.has_runaway:
            await asyncio.sleep(REPLY_GRACE_S)  # replies in progress are completed
            self._end()

    async def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        reply = await self._reply(request, writer)
        if reply is not None:
            writer.write(message_bytes(reply))
            await writer.drain()

    async def _reply(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> dict[str, Any] | None:
        """Return the reply, None if it was streamed."""
        try:
            if request["ask"] == "stream":
                await send_stream(self._reports, request["question"], writer)
                return None
            return await self._result(request)
        except OSError:
            raise  # the caller has left
        except ReportError as error:
            return error_to_json(error)
        except Exception:  # the caller gets one line, and a bug in one answer must not end the others
            _log.exception("unhandled exception while answering a report request")
            return error_to_json(ReportError("the reports process failed at this request; its log has the reason"))

    async def _result(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["ask"]:
            case "answers":
                questions = [Question(**question) for question in request["questions"]]
                return {"answers": [answer_to_json(each) for each in await self._reports.answers(questions)]}
            case "report":
                answer = await self._reports.report(
                    request["name"],
                    request["parameters"],
                    rows_max=request["rows_max"],
                    cuts=request["cuts"],
                    as_of=request["as_of"],
                )
                return {"answers": [answer_to_json(answer)]}
            case "lake_watermark":
                return {"watermark": await self._reports.lake_watermark()}
            case "write_lake":
                written = await self._reports.write_lake(only_if_due=request["only_if_due"])
                return {"written": {"rows": written.rows, "watermark": written.watermark}}
            case "verify_lake":
                verified = await self._reports.verify_lake(repairs=request["repairs"])
                return {"verified": {"equal": verified.equal, "lines": verified.lines()}}
        raise ReportError(f"the reports process does not know the request {request['ask']!r}")


@asynccontextmanager
async def served(reports: Reports, path: Path, end: Callable[[], None]) -> AsyncIterator[None]:
    """Serve ``reports`` at ``path`` for the length of a ``with``. Raises :class:`AlreadyServed` and ``OSError``."""
    make_private_folder(path.parent)
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyServed(f"another process serves reports at {path}") from None
        serve = ReportsServer(reports, end).serve_connection
        server = await asyncio.start_unix_server(serve, sock=_bound(path))
        try:
            yield
        finally:
            server.close()
            _remove(path)


def _bound(path: Path) -> socket.socket:
    """Return a socket at ``path`` that only its owner may use, from the moment of its creation."""
    _remove(path)
    bound = socket.socket(socket.AF_UNIX)
    before = os.umask(~FILE_MODE & 0o777)
    try:
        bound.bind(str(path))
    finally:
        os.umask(before)
    bound.listen(BACKLOG)
    return bound


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
