"""Decide which small files of a month become one file.

Each commit adds a file to the present month. Files are grouped in classes by size. Each class is eight times larger
than the one before, and eight files of a class become one file of the next class. So a row is rewritten about once per
class. A month that has ended is merged once more, into files of at most ``MERGE_ROWS_MAX`` rows. While a lake is built,
each commit adds a file to every month, so all of them are merged like the present one, and once more at the end.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

CLASS_FACTOR: Final = 8
MERGE_ROWS_MAX: Final = 200_000
"""The most rows that one merge reads into memory."""


def to_merge(files: Sequence[Any], *, is_growing: bool) -> list[Any]:
    """Return the files of one month that should become one; none or at least two.

    ``is_growing``: further commits will add files to the month.
    """
    small = sorted((file for file in files if file.record_count < MERGE_ROWS_MAX), key=lambda file: file.record_count)
    if not is_growing:
        return _first_group(small, minimum=2)
    classes: dict[int, list[Any]] = {}
    for file in small:
        classes.setdefault(int(math.log(max(file.record_count, 1), CLASS_FACTOR)), []).append(file)
    for _, members in sorted(classes.items()):
        group = _first_group(members, minimum=CLASS_FACTOR)
        if group:
            return group
    return []


def _first_group(files: Sequence[Any], minimum: int) -> list[Any]:
    """Return the first files that together have at most ``MERGE_ROWS_MAX`` rows, if they are at least ``minimum``."""
    group: list[Any] = []
    rows = 0
    for file in files:
        if rows + file.record_count > MERGE_ROWS_MAX:
            break
        group.append(file)
        rows += file.record_count
    return group if len(group) >= minimum else []
