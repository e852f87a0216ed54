"""The scratch database of an audit: a private SQLite file on disk, so that memory stays bounded.

A table is read in parts while other clients write, so one pass only finds *suspicions*: two items that own one value, a
sentinel without its owner, a child without its parent. The audit then checks each suspicion by one transaction that
reads all the items involved at one instant (:mod:`bursar.rules.audit.table_audit`).
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from hashlib import sha256
from typing import Any

import apsw
import orjson

from bursar.dynamo.items.attribute_values import Item
from bursar.rules.judging.balances import EXACT
from bursar.rules.judging.bounded_sum import ZERO

CACHE_KIB = 16 * 1024
TEMPORARY = ""
"""SQLite's name for a private database on disk that is removed when it is closed."""

_CREATE = """
CREATE TABLE owned (partition TEXT NOT NULL, owner TEXT NOT NULL);
CREATE TABLE sentinels (partition TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE parents (rule TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (rule, key))
    WITHOUT ROWID;
CREATE TABLE children (rule TEXT NOT NULL, parent TEXT NOT NULL, digest BLOB NOT NULL, key TEXT NOT NULL);
CREATE TABLE amounts (rule TEXT NOT NULL, child TEXT NOT NULL, parent TEXT NOT NULL, amount TEXT NOT NULL,
    PRIMARY KEY (rule, child)) WITHOUT ROWID;
CREATE TABLE totals (rule TEXT NOT NULL, parent TEXT NOT NULL, total TEXT NOT NULL, PRIMARY KEY (rule, parent))
    WITHOUT ROWID;
"""

_DUPLICATES = """
SELECT partition, owner FROM owned
WHERE partition IN (SELECT partition FROM owned GROUP BY partition HAVING count(*) > 1) ORDER BY partition
"""
_WITHOUT_SENTINEL = """
SELECT owned.partition, owned.owner FROM owned LEFT JOIN sentinels USING (partition)
WHERE sentinels.owner IS NOT owned.owner
"""
_WITHOUT_OWNER = """
SELECT sentinels.partition, sentinels.owner FROM sentinels
WHERE NOT EXISTS (SELECT 1 FROM owned WHERE owned.partition = sentinels.partition AND owned.owner = sentinels.owner)
"""
_ORPHANS = """
SELECT children.rule, children.key FROM children LEFT JOIN parents
ON parents.rule = children.rule AND parents.key = children.parent
WHERE parents.digest IS NOT children.digest
"""
_WRONG_TOTALS = """
WITH sums AS (SELECT rule, parent, exact_sum(amount) AS added FROM amounts GROUP BY rule, parent)
SELECT rule, parent, coalesce(added, '0') FROM totals LEFT JOIN sums USING (rule, parent) WHERE added IS NOT total
UNION ALL
SELECT rule, parent, added FROM sums LEFT JOIN totals USING (rule, parent) WHERE total IS NULL
"""
_SUM = "SELECT exact_sum(amount) FROM amounts WHERE rule = ? AND parent = ?"


class _ExactSum:
    """The SQL aggregate ``exact_sum``: the canonical text of the sum of numbers given as text; '0' without numbers."""

    def __init__(self) -> None:
        self._sum = ZERO

    def step(self, *amount: Any) -> None:
        self._sum = EXACT.add(self._sum, Decimal(amount[0]))

    def final(self) -> str:
        return number_text(self._sum)


class ScratchDatabase:
    """Owned values, sentinels, parents, children and their amounts, as the scan read them."""

    def __init__(self) -> None:
        self._database = apsw.Connection(TEMPORARY)
        self._database.execute(f"PRAGMA cache_size=-{CACHE_KIB}; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF")
        self._database.execute(_CREATE)
        self._database.create_aggregate_function("exact_sum", _ExactSum, 1)

    def close(self) -> None:
        """Close the database, which removes its file."""
        self._database.close()

    def note(
        self,
        owned: Iterable[tuple[str, str]],
        sentinels: Iterable[tuple[str, str]],
        parents: Iterable[tuple[str, str, bytes]],
        children: Iterable[tuple[str, str, bytes, str]],
    ) -> None:
        """Store the facts of one page. Storing a page twice has no effect on sentinels and parents."""
        with self._database:
            self._database.executemany("INSERT INTO owned VALUES (?, ?)", owned)
            self._database.executemany("INSERT OR REPLACE INTO sentinels VALUES (?, ?)", sentinels)
            self._database.executemany("INSERT OR REPLACE INTO parents VALUES (?, ?, ?)", parents)
            self._database.executemany("INSERT INTO children VALUES (?, ?, ?, ?)", children)

    def note_sums(
        self, amounts: Iterable[tuple[str, str, str, Decimal]], totals: Iterable[tuple[str, str, Decimal]]
    ) -> None:
        """Store (rule, child, parent, amount) and (rule, parent, total) of one page.

        Totals of 0 are not stored. Storing a page twice has no effect.
        """
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO amounts VALUES (?, ?, ?, ?)",
                ((rule, child, parent, number_text(amount)) for rule, child, parent, amount in amounts),
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO totals VALUES (?, ?, ?)",
                ((rule, parent, number_text(total)) for rule, parent, total in totals if total),
            )

    def index_owned_values(self) -> None:
        """Create the index for the queries. Call it once, after the last page."""
        self._database.execute("CREATE INDEX owned_by ON owned (partition, owner)")

    def duplicates(self) -> Iterator[tuple[str, list[str]]]:
        """Yield (sentinel partition, keys of the owners) for each value with several owners."""
        last, owners = "", list[str]()
        for partition, owner in self._database.execute(_DUPLICATES):
            if partition != last and owners:
                yield last, owners
                owners = []
            last = partition
            owners.append(owner)
        if owners:
            yield last, owners

    def without_sentinel(self) -> Iterator[tuple[str, str]]:
        """Return (sentinel partition, owner's key) for each sentinel that is absent or names another item."""
        return iter(self._database.execute(_WITHOUT_SENTINEL))

    def without_owner(self) -> Iterator[tuple[str, str]]:
        """Return (sentinel partition, named owner) for each sentinel whose owner did not own the value in the scan."""
        return iter(self._database.execute(_WITHOUT_OWNER))

    def orphans(self) -> Iterator[tuple[str, str]]:
        """Return (rule, child's key) for each child whose parent the scan did not see, or saw with other values."""
        return iter(self._database.execute(_ORPHANS))

    def wrong_totals(self) -> Iterator[tuple[str, str, Decimal]]:
        """Return (rule, parent's key, sum of its children) for each parent with another total, as the scan saw them."""
        for rule, parent, added in self._database.execute(_WRONG_TOTALS):
            yield rule, parent, Decimal(added)

    def sum_of_children(self, rule: str, parent: str) -> Decimal:
        """Return the sum of the amounts of the children of ``parent`` that the scan saw."""
        ((added,),) = self._database.execute(_SUM, (rule, parent))
        return Decimal(added)


def number_text(number: Decimal) -> str:
    """Return a number as text: the same text for the same value."""
    return f"{number.normalize(EXACT):f}" if number else "0"


def key_text(key: Item) -> str:
    """Return a key as text: the same text for the same key."""
    return orjson.dumps(key, option=orjson.OPT_SORT_KEYS).decode()


def key_from_text(text: str) -> dict[str, Any]:
    """Return the key that :func:`key_text` wrote."""
    key: dict[str, Any] = orjson.loads(text)
    return key


def digest(item: Item, attributes: Iterable[str]) -> bytes:
    """Return 32 bytes that are equal for items that agree in ``attributes``.

    Sets in another order give another digest. This only causes a suspicion, which the second check removes.
    """
    agreed = {name: item[name] for name in attributes if name in item}
    return sha256(orjson.dumps(agreed, option=orjson.OPT_SORT_KEYS)).digest()
