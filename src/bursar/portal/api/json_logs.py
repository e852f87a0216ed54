"""Write log lines as JSON, one object a line. Only the fields that are named here get into a log."""

import json
import logging
import traceback
from typing import Any, Final

from bursar.clock import iso_ms

# The names in `extra` that are logged. None of them is a token, and only a statement of SQL may hold personal data.
FIELDS: Final = (
    "requestId",
    "operation",
    "method",
    "status",
    "durationMs",
    "client",
    "alert",
    "agencyTrackingId",
    "date",
    "root",
    "events",
    "statement",
)


class JsonFormatter(logging.Formatter):
    """Formats a record as ``{"at", "level", "logger", "message", …}``, with an exception's places but not its text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
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
    """Log as JSON from ``level`` on. If logging is configured already, do nothing, unless ``instead`` is true."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=instead)


def _places(error: BaseException) -> list[str]:
    """Return the places of the trace, innermost last. The error's text may quote what was sent, so it is left out."""
    return [f"{place.filename}:{place.lineno} {place.name}" for place in traceback.extract_tb(error.__traceback__)]
