"""A record of an activity file before its values are checked."""

from typing import NamedTuple


class RawRecord(NamedTuple):
    """One record: our field → its text without surrounding spaces. ``line``: where it begins, from 1.

    ``problem``: why the record as a whole cannot be read, None if it can.
    """

    line: int
    fields: dict[str, str]
    problem: str | None = None


class BrokenFile(Exception):
    """The rest of a file, from ``line`` on, cannot be read."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
