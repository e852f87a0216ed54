"""What an audit remembers between the items it reads: a private SQLite file on disk, so that memory stays bounded.

A table is read in parts and while others write, so one pass can only *suspect*: two items seen to hold one value, a
sentinel seen without its owner, a child seen without its parent. Each suspicion is then looked at again, by one
transaction that reads all the items involved at one instant (:mod:`bursar.rules.audit.table_audit`).
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import apsw
import orjson

from bursar.dynamo.items.attribute_values import Item

CACHE_KIB = 16 * 1024
TEMPORARY = ""
"""SQLite's name for a database on disk that nobody else sees and that is gone when closed."""

_CREATE = """
CREATE TABLE owned (partition TEXT NOT NULL, owner TEXT NOT NULL);
CREATE TABLE sentinels (partition TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE parents (rule TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (rule, key))
    WITHOUT ROWID;
CREATE TABLE children (rule TEXT NOT NULL, parent TEXT NOT NULL, digest BLOB NOT NULL, key TEXT NOT NULL);
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


class ScratchDatabase:
    """Values held, sentinels, parents and children, as they were seen."""

    def __init__(self) -> None:
        self._database = apsw.Connection(TEMPORARY)
        self._database.execute(f"PRAGMA cache_size=-{CACHE_KIB}; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF")
        self._database.execute(_CREATE)

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()

    def note(
        self,
        owned: Iterable[tuple[str, str]],
        sentinels: Iterable[tuple[str, str]],
        parents: Iterable[tuple[str, str, bytes]],
        children: Iterable[tuple[str, str, bytes, str]],
    ) -> None:
        """One page's worth. A page read twice changes nothing for sentinels and parents."""
        with self._database:
            self._database.executemany("INSERT INTO owned VALUES (?, ?)", owned)
            self._database.executemany("INSERT OR REPLACE INTO sentinels VALUES (?, ?)", sentinels)
            self._database.executemany("INSERT OR REPLACE INTO parents VALUES (?, ?, ?)", parents)
            self._database.executemany("INSERT INTO children VALUES (?, ?, ?, ?)", children)

    def index_owned_values(self) -> None:
        """To be called once between seeing and asking."""
        self._database.execute("CREATE INDEX owned_by ON owned (partition, owner)")

    def duplicates(self) -> Iterator[tuple[str, list[str]]]:
        """(sentinel partition, the keys that hold its value), for values held more than once."""
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
        """(sentinel partition, owner's key) where the sentinel is not there or names another."""
        return iter(self._database.execute(_WITHOUT_SENTINEL))

    def without_owner(self) -> Iterator[tuple[str, str]]:
        """(sentinel partition, the owner it names) where that owner was not seen to hold the value."""
        return iter(self._database.execute(_WITHOUT_OWNER))

    def orphans(self) -> Iterator[tuple[str, str]]:
        """(rule, child's key) where the parent was not seen, or seen not to agree."""
        return iter(self._database.execute(_ORPHANS))


def key_text(key: Item) -> str:
    """A key as one text, the same for the same key."""
    return orjson.dumps(key, option=orjson.OPT_SORT_KEYS).decode()


def key_from_text(text: str) -> dict[str, Any]:
    """The key that :func:`key_text` wrote."""
    key: dict[str, Any] = orjson.loads(text)
    return key


def digest(item: Item, attributes: Iterable[str]) -> bytes:
    """What two items agree on, in 32 bytes. Sets in another order differ: a suspicion, cleared when looked at."""
    agreed = {name: item[name] for name in attributes if name in item}
    return sha256(orjson.dumps(agreed, option=orjson.OPT_SORT_KEYS)).digest()
