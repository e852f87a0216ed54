"""Convert the values of an answer to text and to JSON."""

import json
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from bursar.clock import iso_ms

# A spreadsheet treats a cell that begins with one of these as a formula.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def plain(value: Any, zone: ZoneInfo | None = None) -> str:
    """Return ``value`` as text. An instant is ISO 8601 with milliseconds: in UTC with ``Z``, or in ``zone``."""
    if isinstance(value, datetime):
        return _instant(value, zone)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(json_value(value, zone), ensure_ascii=False)
    return str(value)


def cell(value: Any, zone: ZoneInfo | None = None) -> str:
    """Return ``value`` as a cell of CSV: null is empty, and a text like a formula begins with an apostrophe."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
    return "" if value is None else plain(value, zone)


def json_value(value: Any, zone: ZoneInfo | None = None) -> Any:
    """Return ``value`` as JSON has it: money and times are text, and what JSON cannot hold is null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, list):
        return [json_value(each, zone) for each in value]
    if isinstance(value, dict):
        return {str(name): json_value(each, zone) for name, each in value.items()}
    if isinstance(value, Decimal | datetime | date | time):
        return plain(value, zone)
    return str(value)


def _instant(value: datetime, zone: ZoneInfo | None) -> str:
    if value.tzinfo is None:
        return value.isoformat(sep=" ")
    if zone is None:
        return iso_ms(value.timestamp())
    return value.astimezone(zone).isoformat(timespec="milliseconds")


def duration(seconds: float) -> str:
    """Return a number of seconds for people: ``0.25 s``, ``2 min 05 s``, ``122 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + " s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"
