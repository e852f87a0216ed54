"""A streamed answer on the socket: one message with its columns, then frames.

    request    {"ask": "stream", "question": {…}}
    reply      {"stream": {"columns", "types", "as_of"}} · then frames: a length of 4 bytes, a letter, its content
               B  the next rows, as an Arrow IPC stream      E  {"error": …}, the last frame      .  the end

The writer is as fast as the reader: a frame is sent when the last one has left the process.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from bursar.reports.errors import ReportError
from bursar.reports.port import PaymentReports
from bursar.reports.server.messages import LENGTH_BYTES, error_from_json, error_to_json, message_bytes
from bursar.reports.sql.answer import AnswerStream, Question

if TYPE_CHECKING:
    import pyarrow as pa

FRAME_BYTES_MAX: Final = 1 << 30
_BATCH, _ERROR, _END = b"B", b"E", b"."


async def send_stream(reports: PaymentReports, question: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
    """Send the answer to ``question``. Raises :class:`ReportError` only before the first message is sent."""
    async with reports.stream(Question(**question)) as answer:
        head = {"columns": answer.columns, "types": answer.types, "as_of": answer.as_of}
        writer.write(message_bytes({"stream": head}))
        await writer.drain()
        try:
            async for batch in answer.batches:
                await _send(writer, _BATCH, _arrow_bytes(batch))
        except ReportError as error:
            await _send(writer, _ERROR, orjson.dumps(error_to_json(error)))
            return
        await _send(writer, _END, b"")


def received_stream(head: Mapping[str, Any], reader: asyncio.StreamReader) -> AnswerStream:
    """Return the answer whose first message is ``head``; its batches come from ``reader``."""
    return AnswerStream(tuple(head["columns"]), tuple(head["types"]), head["as_of"], _batches(reader))


async def _batches(reader: asyncio.StreamReader) -> "AsyncIterator[pa.RecordBatch]":
    while True:
        try:
            size = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
            if size > FRAME_BYTES_MAX:
                raise ValueError(f"a frame: must have at most {FRAME_BYTES_MAX} bytes; got {size}")
            kind = await reader.readexactly(1)
            content = await reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise ReportError("the reports process ended before the answer was complete") from error
        if kind == _END:
            return
        if kind == _ERROR:
            raise error_from_json(orjson.loads(content)["error"])
        for batch in _arrow_batches(content):
            yield batch


async def _send(writer: asyncio.StreamWriter, kind: bytes, content: bytes) -> None:
    writer.write(len(content).to_bytes(LENGTH_BYTES, "big") + kind)
    writer.write(content)
    await writer.drain()


def _arrow_bytes(batch: "pa.RecordBatch") -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def _arrow_batches(content: bytes) -> "list[pa.RecordBatch]":
    import pyarrow as pa

    with pa.ipc.open_stream(content) as stream:
        return list(stream)
