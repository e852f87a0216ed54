"""The payments stored before the load: one real payment, copied a million times into a separate store.

    the portal makes one payment ──► its rows, as they are in the file ──► the same rows with other ids, keys and times
                                     the index of keys last and sorted, which is fastest for SQLite

Rows equal the portal's rows to the byte. Only the values that differ between payments (reference, ids, token, times)
are replaced; they have fixed lengths. Filling writes without fsync and without a write-ahead log, in the folder
``filling``. It continues where it was stopped, and at the end moves the store to its place with its real settings. The
store shows no wear: a B-tree that grew by payments would be a third larger than this sorted one.

    python -m bench.portal_bench.stored FOLDER COUNT   makes FOLDER/bursar.db, or keeps an existing file
    bursar audit, bursar dynamo check                  verify the store
"""

import asyncio
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import apsw
import orjson

from bursar.bootstrap.composition import Composition
from bursar.clock import from_iso_ms, iso_ms
from bursar.paygov.client import PayGov
from bursar.paygov.config import PayGovConfig
from bursar.paygov.protocol import ONLINE_PATH, PAY_PATH
from bursar.paygov.simulator import Simulator, SimulatorTransport
from bursar.payments.attempt_ids import attempt_id
from bursar.payments.catalogue.clients import Client
from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.payments.rules import payment_rules
from bursar.portal.contract.messages import Call
from bursar.portal.doors.asgi import portal_app
from bursar.portal.state.portal import Portal
from bursar.rules.language.toml import rules_to_toml
from bursar.settings import Settings

FILE: Final = "bursar.db"
FIRST_AT: Final = 1_760_000_000.0
APART_S: Final = 7.0
TICK_S: Final = 0.02
GROUP_PAYMENTS: Final = 5_000
"""Payments of one transaction, and of one seed."""
CACHE_KIB: Final = 1024 * 1024
REFERENCE: Final = "5f0c8a52-9d3e-4b7a-8c61-2e9b47d0a3f6"
ORDER: Final = {
    "transactionReferenceId": REFERENCE,
    "fee": "PETITION_FILING_FEE",
    "urlSuccess": "https://court.example/paid",
    "urlCancel": "https://court.example/cancelled",
    "metadata": {"docketNumber": "1234-26"},
}
CLIENT: Final = "development"
TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
HOUR: Final = r"\d{4}-\d\d-\d\dT\d\d"


@dataclass(frozen=True)
class Stamp:
    """The rows of one payment with placeholders for the values that differ, and its entries in the indexes."""

    table: int
    rows: Sequence[tuple[bytes, int, bytes]]
    """Key, size and item of each row."""
    entries: Sequence[tuple[str, bytes, int]]
    """The table of the index, the entry, and the number of its row."""
    counters: Sequence[tuple[int, int, int, int]]
    offsets_ms: Sequence[int]
    """The times of a payment, relative to its beginning."""

    def values(self, number: int, draw: random.Random) -> dict[bytes, bytes]:
        """Return the values of the placeholders for payment ``number``."""
        at = FIRST_AT + number * APART_S
        reference = str(UUID(int=draw.getrandbits(128), version=4))
        values = {
            b"reference": reference.encode(),
            b"agency": attempt_id(CLIENT, reference, 1).encode(),
            b"token": b"%032x" % draw.getrandbits(128),
            b"tracking": b"P%020X" % draw.getrandbits(80),
        }
        for offset in self.offsets_ms:
            moment = iso_ms(at + offset / 1000).encode()
            values[b"t%d" % offset] = moment
            values[b"h%d" % offset] = moment[:13]
        return values


def store_payments(folder: Path, count: int) -> float:
    """Make the store and return the seconds that it took. Do nothing if there is a store with the present rules.

    A store with other rules is made again: reading all of it, as a portal would at its start, takes longer.
    """
    file, filling = folder / FILE, folder / "filling"
    for path in (file, filling / FILE):
        if path.exists() and not _has_rules_of_today(path):
            for ending in ("", "-wal", "-shm", "-journal"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
    if file.exists():
        return 0.0
    began = time.perf_counter()
    filling.mkdir(parents=True, exist_ok=True)
    stamp = asyncio.run(_stamp())
    asyncio.run(_make(filling))
    with closing(apsw.Connection(str(filling / FILE))) as connection:
        _fill(connection, stamp, count, began)
    asyncio.run(_make(filling))  # the real settings again: the write-ahead log and the rules
    descriptor = os.open(filling / FILE, os.O_RDWR)
    os.fsync(descriptor)
    os.close(descriptor)
    (filling / FILE).rename(file)
    filling.rmdir()
    return time.perf_counter() - began


def _has_rules_of_today(file: Path) -> bool:
    with closing(apsw.Connection(str(file))) as connection:
        document = connection.execute("SELECT document FROM rules").get
    return bool(document == rules_to_toml(payment_rules(FeeCatalogue.default())))


async def _make(folder: Path) -> None:
    """Make the table and its rules in a store in the folder."""
    async with Composition(Settings(data=str(folder))) as parts:
        await parts.ledger()


# the one payment that is copied


async def _stamp() -> Stamp:
    now = [FIRST_AT]

    def clock() -> float:
        now[0] += TICK_S
        return now[0]

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=folder)
        async with Composition(settings, clock=clock, randomness=random.Random(1)) as parts:
            token = await _pay(parts)
        with closing(apsw.Connection(f"{folder}/{FILE}")) as connection:
            return _stamp_of(connection, token)


async def _pay(parts: Composition) -> str:
    """Make one complete payment through the portal. Return its token."""
    paygov = Simulator(parts.clock, parts.randomness)
    config = PayGovConfig(url=f"http://paygov{ONLINE_PATH}", payment_url=f"http://paygov{PAY_PATH}")
    client = parts.clients.by_name(parts.clients.names[0])

    async def authenticated(_call: Call) -> Client | None:
        return client

    portal = Portal(
        await parts.ledger(),
        PayGov(config, SimulatorTransport(paygov)),
        parts.fees,
        parts.clients,
        clock=parts.clock,
        randomness=parts.randomness,
    )
    application = portal_app(portal, authenticated).application
    headers = {"content-type": "application/json"}
    begun = await application.handle(Call("POST", "/init", "", headers, orjson.dumps(ORDER)))
    token: str = orjson.loads(begun.body)["token"]
    paygov.pay(token, "PLASTIC_CARD", "Success")
    paid = await application.handle(Call("POST", "/process", "", headers, orjson.dumps({"token": token})))
    if orjson.loads(paid.body).get("paymentStatus") != "success":
        raise RuntimeError(f"the payment to be stamped went wrong: {paid.body!r}")
    return token


def _stamp_of(connection: apsw.Connection, token: str) -> Stamp:
    table: int = connection.execute("SELECT id FROM tables").get
    rows: list[Any] = connection.execute(f"SELECT id, key, size, item FROM items_{table} ORDER BY id").fetchall()
    attempt = next(item for item in (orjson.loads(row[3]) for row in rows) if item["kind"] == {"S": "attempt"})
    known = {
        REFERENCE: "reference",
        attempt["agencyTrackingId"]["S"]: "agency",
        token: "token",
        attempt["payGovTrackingId"]["S"]: "tracking",
    }
    moments = sorted({moment for row in rows for moment in re.findall(TIME, row[3].decode())})
    offsets = {moment: _ms(moment) - _ms(moments[0]) for moment in moments}
    known |= {moment: f"t{offset}" for moment, offset in offsets.items()}
    if moments[0][:13] != moments[-1][:13]:
        raise RuntimeError("the payment to be copied spans two hours, so the hour of a row is ambiguous")
    places = _Places(known)
    positions = {row[0]: position for position, row in enumerate(rows)}
    indexes = [
        name for (name,) in connection.execute(f"SELECT name FROM sqlite_schema WHERE name GLOB 'index_{table}_*'")
    ]
    entries = [
        (index, places.in_text(entry), positions[row_id])
        for index in indexes
        for entry, row_id in connection.execute(f"SELECT entry, id FROM {index}")
    ]
    if connection.execute("SELECT count(*) FROM owners").get:
        raise RuntimeError("the sentinels alone do not say who holds which unique value")
    counters: list[Any] = connection.execute("SELECT * FROM counters").fetchall()
    return Stamp(
        table,
        [(places.in_text(key), size, places.in_text(item)) for _, key, size, item in rows],
        entries,
        counters,
        sorted(offsets.values()),
    )


class _Places:
    """Find the texts that differ between payments, and replace them by placeholders."""

    def __init__(self, known: dict[str, str]) -> None:
        self._known = known
        # The hour precedes the time that contains it.
        hour = rf"{HOUR}(?=.*?({TIME}))"
        self._pattern = re.compile("|".join([*map(re.escape, known), hour]), re.DOTALL)

    def in_text(self, raw: bytes) -> bytes:
        """Return ``raw`` as a template for ``%``."""
        return self._pattern.sub(self._place, raw.decode().replace("%", "%%")).encode()

    def _place(self, found: re.Match[str]) -> str:
        time_of_hour: str | None = found[1]
        place = self._known[found[0]] if time_of_hour is None else "h" + self._known[time_of_hour][1:]
        return f"%({place})b"


def _ms(moment: str) -> int:
    return round(from_iso_ms(moment) * 1000)


# A million of them


def _fill(connection: apsw.Connection, stamp: Stamp, count: int, began: float) -> None:
    """Add payments up to ``count``, then build the indexes that are fastest to build at the end."""
    items, per = f"items_{stamp.table}", len(stamp.rows)
    for pragma in ("journal_mode=TRUNCATE", "synchronous=OFF", f"cache_size=-{CACHE_KIB}", "locking_mode=EXCLUSIVE"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(f"DROP INDEX IF EXISTS {items}_by_key")
    done = (connection.execute(f"SELECT coalesce(max(id), 0) FROM {items}").get) // per
    while done < count:
        group = min(GROUP_PAYMENTS - done % GROUP_PAYMENTS, count - done)
        _add(connection, stamp, done, group)
        done += group
        if done % (20 * GROUP_PAYMENTS) == 0:
            _say(f"{done:,} payments", began)
    with connection:
        connection.execute(f"CREATE UNIQUE INDEX {items}_by_key ON {items} (key)")
    with connection:
        for table, number, rows, size in stamp.counters:
            told = (rows * count, size * count, table, number)
            connection.execute("UPDATE counters SET items = ?, bytes = ? WHERE table_id = ? AND index_number = ?", told)
    _say("keys", began)


def _add(connection: apsw.Connection, stamp: Stamp, first: int, count: int) -> None:
    """Write one transaction. Its first payment begins a group or continues the last group of a smaller store."""
    draw = random.Random(first)
    rows: list[tuple[int, bytes, int, bytes]] = []
    entries: dict[str, list[tuple[bytes, int]]] = {name: [] for name, _, _ in stamp.entries}
    row_id = first * len(stamp.rows) + 1
    for number in range(first, first + count):
        values = stamp.values(number, draw)
        rows += [(row_id + at, key % values, size, item % values) for at, (key, size, item) in enumerate(stamp.rows)]
        for name, entry, position in stamp.entries:
            entries[name].append((entry % values, row_id + position))
        row_id += len(stamp.rows)
    with connection:
        connection.executemany(f"INSERT INTO items_{stamp.table} (id, key, size, item) VALUES (?, ?, ?, ?)", rows)
        for name, told in entries.items():
            connection.executemany(f"INSERT INTO {name} (entry, id) VALUES (?, ?)", sorted(told))


def _say(what: str, began: float) -> None:
    print(f"{time.perf_counter() - began:6.0f} s  {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(f"{store_payments(Path(sys.argv[1]), int(sys.argv[2])):.1f} s")
