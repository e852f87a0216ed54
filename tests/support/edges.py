"""Check a limit at its edge: the last value is taken, and the next one is refused."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

Limits = Mapping[str, tuple[int, Callable[[int], Any]]]
"""Name of a limit → the last value that is taken, and the function that takes a value."""
Refusals = tuple[type[Exception], ...]


def check_largest(largest: int, take: Callable[[int], Any], refusals: Refusals) -> None:
    """Check that ``take`` takes ``largest``, and refuses one more with one of ``refusals``."""
    take(largest)
    with pytest.raises(refusals):
        take(largest + 1)


def check_smallest(smallest: int, take: Callable[[int], Any], refusals: Refusals) -> None:
    """Check that ``take`` takes ``smallest``, and refuses one less with one of ``refusals``."""
    take(smallest)
    with pytest.raises(refusals):
        take(smallest - 1)
