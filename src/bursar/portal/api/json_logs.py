"""Log lines as JSON, one object a line, from an allowlist: what is not named here cannot get into a log by accident."""

import json
import logging
import traceback
from typing import Any, Final

from bursar.clock import iso_ms

# The attributes that this room's records carry in `extra`. None of them is personal, none is a token.
FIELDS: Final = ("requestId", "operation", "method", "status", "durationMs", "client", "alert", "agencyTrackingId")


class JsonFormatter(logging.Formatter):
    """For a handler: ``{"at", "level", "logger", "message", …}``; an exception's trace without the values in it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": iso_ms(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: vars(record)[name] for name in FIELDS if vars(record).get(name) is not None}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = type(record.exc_info[1]).__name__
            line["trace"] = _places(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def log_as_json(level: str, *, instead: bool = False) -> None:
    """Has the process log as JSON, from ``level`` on, unless its form is set already; then only ``instead`` of that."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=instead)


def _places(error: BaseException) -> list[str]:
    """Where it happened, innermost last. The error's own text stays out: it may quote what was sent."""
    return [f"{place.filename}:{place.lineno} {place.name}" for place in traceback.extract_tb(error.__traceback__)]
