"""The shape of points in time in requests: seconds since the epoch, as a JSON number."""

from collections.abc import Iterator
from typing import Any

from bursar.dynamo.errors import unreadable

EARLIEST_S, LATEST_S = -62_135_596_800, 253_402_300_799
"""The first and the last second of the years 1 to 9999, which ISO 8601 can write."""


class TimestampShape:
    """A point in time: seconds since the epoch, with or without a fraction, in the years 1 to 9999."""

    __slots__ = ()

    def fast_accepts(self, value: Any) -> bool:
        """See :class:`Shape`."""
        return (type(value) is int or type(value) is float) and EARLIEST_S <= value <= LATEST_S

    def check_type(self, value: Any) -> None:
        """See :class:`Shape`."""
        if not self.fast_accepts(value):
            kind = "STRING_VALUE" if isinstance(value, str) else "Value"
            raise unreadable(f"{kind} cannot be converted to Date")

    def violations(self, value: Any, path: str) -> Iterator[str]:
        """See :class:`Shape`."""
        return iter(())


TIMESTAMP = TimestampShape()
