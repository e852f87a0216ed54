"""A position in the order of a store's changes, which the lake stores with its data."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order of changes.

    Changes with a lower ``order`` are before it. ``source`` names the source that made it, and ``mark`` lets the source
    check that the store is still the same.
    """

    source: str
    order: int
    mark: Any = None

    def text(self) -> str:
        """Return the position as text for a snapshot's summary."""
        return json.dumps([self.source, self.order, self.mark])

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Return the position that :meth:`text` wrote."""
        source, order, mark = json.loads(text)
        return cls(str(source), int(order), mark)
