"""The shape of points in time in requests: seconds since the epoch, as a JSON number."""

from collections.abc import Iterator
from typing import Any

from bursar.dynamo.errors import unreadable


class TimestampShape:
    """A point in time: seconds since the epoch, with or without a fraction."""

    __slots__ = ()

    def fast_accepts(self, value: Any) -> bool:
        """See :class:`Shape`."""
        return type(value) is int or type(value) is float

    def check_type(self, value: Any) -> None:
        """See :class:`Shape`."""
        if not self.fast_accepts(value):
            kind = "STRING_VALUE" if isinstance(value, str) else "Value"
            raise unreadable(f"{kind} cannot be converted to Date")

    def violations(self, value: Any, path: str) -> Iterator[str]:
        """See :class:`Shape`."""
        return iter(())


TIMESTAMP = TimestampShape()
