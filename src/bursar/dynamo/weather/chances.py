"""Random events by seed. Each table and each kind of event has a separate sequence, so they do not affect each other.

The same requests in the same order get the same weather, independent of the time.
"""

import random
from collections import Counter
from hashlib import blake2b
from typing import Final

_DIGEST_BYTES: Final = 8
_DIGESTS: Final = 1 << (8 * _DIGEST_BYTES)


class Chances:
    """The random sequences of one store, and the counts of events."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._sequences: dict[tuple[str, str], random.Random] = {}
        self._reads: Counter[str] = Counter()
        self.counts: Counter[tuple[str, str]] = Counter()
        """How often each kind of event happened to each table: (table, kind)."""

    def sequence(self, table: str, kind: str) -> random.Random:
        """Return the random numbers of one kind of event of one table."""
        found = self._sequences.get((table, kind))
        if found is None:
            # A text, because its seed is the same in every process, unlike a tuple's hash.
            found = self._sequences[table, kind] = random.Random(f"{self._seed}/{kind}/{table}")
        return found

    def happens(self, table: str, kind: str, share: float) -> bool:
        """Return whether an event with this probability happens now. A probability of 0 uses no random number."""
        return share > 0 and self.sequence(table, kind).random() < share

    def count(self, table: str, kind: str, times: int = 1) -> None:
        """Count events that happened."""
        self.counts[table, kind] += times

    def next_read(self, table: str) -> int:
        """Return the sequence number of this eventually consistent read of a table."""
        self._reads[table] += 1
        return self._reads[table]

    def lags(self, table: str, kind: str, read: int, partition: bytes, share: float) -> bool:
        """Return whether a lagging replica answers a read of one partition, independent of other partitions."""
        text = f"{self._seed}/{kind}/{table}/{read}/".encode() + partition
        number = int.from_bytes(blake2b(text, digest_size=_DIGEST_BYTES).digest())
        return number / _DIGESTS < share

    def of_table(self, table: str) -> dict[str, int]:
        """Return the counts of one table by kind."""
        return {kind: count for (name, kind), count in sorted(self.counts.items()) if name == table}

    def summary(self) -> str:
        """Return the counts in one line."""
        tables = sorted({table for table, _ in self.counts})
        parts = [
            f"{table}: {', '.join(f'{count} {kind}' for kind, count in self.of_table(table).items())}"
            for table in tables
        ]
        return "; ".join(parts) or "nothing happened"
