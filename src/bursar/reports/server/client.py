"""Ask the reports process, over its Unix socket."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bursar.reports.errors import LakeBusy, QueryTooLarge
from bursar.reports.server.messages import answer_from_json, error_from_json, message_bytes, read_message
from bursar.reports.server.streams import received_stream
from bursar.reports.sql.answer import ROWS_MAX, AnswerStream, Question, SqlAnswer

START_WAIT_S: Final = 30.0
"""How long a request waits for a reports process that is starting."""
START_POLL_S: Final = 0.05
TRIES: Final = 2
"""The most tries of a request.

It is repeated if its connection is lost, because another caller's statement may have ended the process.
"""

_ENDED: Final = "the reports process ended while it ran this statement: it needs too much memory or time"


@dataclass(frozen=True, slots=True)
class RemoteWritten:
    """The result of a write of the lake."""

    rows: Mapping[str, int]
    watermark: float | None


@dataclass(frozen=True, slots=True)
class RemoteVerification:
    """The result of a verification of the lake."""

    equal: bool
    text: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return lines for people."""
        return list(self.text)


class RemoteReports:
    """SQL over every payment, by the reports process at ``path``."""

    def __init__(self, path: Path, *, start_wait_s: float = START_WAIT_S) -> None:
        self._path = path
        self._start_wait_s = start_wait_s

    async def is_served(self) -> bool:
        """Return whether a process answers at the socket."""
        try:
            _, writer = await asyncio.open_unix_connection(str(self._path))
        except OSError:
            return False
        writer.close()
        return True

    async def sql(
        self,
        text: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        rows_max: int | None = ROWS_MAX,
        cuts: bool = False,
        as_of: float | None = None,
    ) -> SqlAnswer:
        """Return the answer to one SELECT; ``$name`` is a parameter."""
        return (await self.answers([Question(text, parameters or {}, rows_max, cuts, as_of=as_of)]))[0]

    async def answers(self, questions: Sequence[Question]) -> list[SqlAnswer]:
        """Return the answers to several statements on one state of all payments."""
        reply = await self._request({"ask": "answers", "questions": [_question_json(each) for each in questions]})
        return [answer_from_json(found) for found in reply["answers"]]

    @asynccontextmanager
    async def stream(self, question: Question) -> AsyncIterator[AnswerStream]:
        """Open the answer to a statement, with all its rows, for the length of a ``with``."""
        reader, writer = await self._connected()
        try:
            yield received_stream(await self._head(question, reader, writer), reader)
        finally:
            writer.close()

    async def _head(
        self, question: Question, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> dict[str, Any]:
        try:
            writer.write(message_bytes({"ask": "stream", "question": _question_json(question)}))
            await writer.drain()
            reply = await read_message(reader)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise QueryTooLarge(_ENDED) from error
        if "error" in reply:
            raise error_from_json(reply["error"])
        head: dict[str, Any] = reply["stream"]
        return head

    async def report(
        self,
        name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        rows_max: int | None = ROWS_MAX,
        cuts: bool = False,
        as_of: float | None = None,
    ) -> SqlAnswer:
        """Return the answer of a named report."""
        request = {"ask": "report", "name": name, "parameters": dict(parameters or {}), "rows_max": rows_max}
        reply = await self._request({**request, "cuts": cuts, "as_of": as_of})
        return answer_from_json(reply["answers"][0])

    async def lake_watermark(self) -> float | None:
        """See :meth:`bursar.reports.reports.Reports.lake_watermark`."""
        watermark: float | None = (await self._request({"ask": "lake_watermark"}))["watermark"]
        return watermark

    async def write_lake(self, *, only_if_due: bool = False) -> RemoteWritten:
        """Move changes into the lake."""
        written = (await self._request({"ask": "write_lake", "only_if_due": only_if_due}))["written"]
        return RemoteWritten(written["rows"], written["watermark"])

    async def verify_lake(self, *, repairs: bool = True) -> RemoteVerification:
        """Compare the lake with the table."""
        verified = (await self._request({"ask": "verify_lake", "repairs": repairs}))["verified"]
        return RemoteVerification(verified["equal"], tuple(verified["lines"]))

    async def close(self) -> None:
        """Do nothing: each request has its own connection."""

    async def _request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        for _ in range(TRIES):
            reader, writer = await self._connected()
            try:
                writer.write(message_bytes(request))
                await writer.drain()
                reply = await read_message(reader)
            except (asyncio.IncompleteReadError, OSError):
                continue
            finally:
                writer.close()
            if "error" in reply:
                raise error_from_json(reply["error"])
            return reply
        raise QueryTooLarge(_ENDED)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._start_wait_s
        while True:
            try:
                return await asyncio.open_unix_connection(str(self._path))
            except OSError as error:
                if loop.time() >= until:
                    raise LakeBusy("the reports process does not answer; try again") from error
            await asyncio.sleep(START_POLL_S)


def _question_json(question: Question) -> dict[str, Any]:
    return {
        "text": question.text,
        "parameters": dict(question.parameters),
        "rows_max": question.rows_max,
        "cuts": question.cuts,
        "client": question.client,
        "as_of": question.as_of,
    }
