"""Rows of answers as rows of the lake."""

from typing import Any


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the row with times as whole microseconds, as in :mod:`bursar.reports.lake.rows`."""
    return tuple(round(value.timestamp() * 1e6) if hasattr(value, "timestamp") else value for value in row)
