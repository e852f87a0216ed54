"""Requests and replies of the reports process: a length of 4 bytes, then JSON.

    request    {"ask": "stream", "question"}    (:mod:`bursar.reports.server.streams`)
               {"ask": "answers", "questions": [{"text", "parameters", "rows_max", "cuts", "client", "as_of"}]}
               {"ask": "report", "name", "parameters", "rows_max", "cuts", "as_of"}
               {"ask": "write_lake", "only_if_due"} · {"ask": "verify_lake", "repairs"} · {"ask": "lake_watermark"}
    reply      {"answers": […]} · {"written": …} · {"verified": …} · {"watermark": …} · {"error": {"kind", "message"}}

A connection has one request. If its caller closes it, the query is stopped. Values of a column are JSON; its ``kinds``
entry names the ones that are text on the way: decimals, times, days.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import orjson

from bursar.reports import errors
from bursar.reports.errors import ReportError
from bursar.reports.sql.answer import SqlAnswer

LENGTH_BYTES: Final = 4
MESSAGE_BYTES_MAX: Final = 1 << 30
_KINDS: Final[Mapping[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]]] = {
    "decimal": (Decimal, str, Decimal),
    "instant": (datetime, datetime.isoformat, datetime.fromisoformat),
    "day": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
}
_ERRORS: Final = {
    kind.__name__: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ReportError)
}


async def read_message(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Return the next message. Raises ``asyncio.IncompleteReadError`` if the other side has closed the connection."""
    size = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
    if size > MESSAGE_BYTES_MAX:
        raise ValueError(f"a message: must have at most {MESSAGE_BYTES_MAX} bytes; got {size}")
    message: dict[str, Any] = orjson.loads(await reader.readexactly(size))
    return message


def message_bytes(message: Mapping[str, Any]) -> bytes:
    """Return a message as it is sent."""
    body = orjson.dumps(message, default=str, option=orjson.OPT_NON_STR_KEYS)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def answer_to_json(answer: SqlAnswer) -> dict[str, Any]:
    """Return the JSON form of an answer."""
    columns = list(zip(*answer.rows, strict=True)) if answer.rows else [()] * len(answer.columns)
    kinds = [_kind(column) for column in columns]
    return {
        "columns": answer.columns,
        "types": answer.types,
        "kinds": kinds,
        "values": [_to_text(column, kind) for column, kind in zip(columns, kinds, strict=True)],
        "as_of": answer.as_of,
        "cut": answer.cut,
    }


def answer_from_json(found: Mapping[str, Any]) -> SqlAnswer:
    """Return the answer that :func:`answer_to_json` wrote."""
    columns = [_from_text(*each) for each in zip(found["values"], found["kinds"], strict=True)]
    rows = list(zip(*columns, strict=True))
    return SqlAnswer(tuple(found["columns"]), tuple(found["types"]), rows, found["as_of"], found["cut"])


def error_to_json(error: ReportError) -> dict[str, Any]:
    """Return the JSON value of the reply for an error: its class and its message."""
    return {"error": {"kind": type(error).__name__, "message": str(error)}}


def error_from_json(found: Mapping[str, str]) -> ReportError:
    """Return the error that :func:`error_to_json` wrote; a :class:`ReportError` for a kind that is unknown here."""
    return _ERRORS.get(found["kind"], ReportError)(found["message"])


def _kind(column: "tuple[Any, ...]") -> str | None:
    first = next((value for value in column if value is not None), None)
    return next((name for name, (kind, *_) in _KINDS.items() if isinstance(first, kind)), None)


def _to_text(column: "tuple[Any, ...]", kind: str | None) -> list[Any]:
    if kind is None:
        return list(column)
    encode = _KINDS[kind][1]
    return [None if value is None else encode(value) for value in column]


def _from_text(values: list[Any], kind: str | None) -> list[Any]:
    if kind is None:
        return values
    decode = _KINDS[kind][2]
    return [None if value is None else decode(value) for value in values]
