"""The data of the benchmark in one folder, built once and kept. Each finished step is noted, and never repeated.

lake/ bursar.db    a lake of finished payments, and a store with the attempts of the tail, which are live
postgres/          PostgreSQL with the same rows
built.json         the size, the time up to which payments were generated, and the finished steps
"""

import asyncio
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from bench.reports_bench.history import CLIENTS, build, finish
from bench.reports_bench.postgres import INDEXES, SCHEMA, Postgres, binaries, running
from bursar.bootstrap.composition import Composition
from bursar.clock import system_clock
from bursar.dynamo import AsyncEngine
from bursar.payments.ledger.ledger import Ledger
from bursar.reports.lake.lake import Lake
from bursar.reports.output.forms import write_stream
from bursar.reports.port import PaymentReports
from bursar.reports.sql.answer import Question
from bursar.reports.tail.stream_source import StreamSource
from bursar.settings import Settings

TAIL_ROWS: Final = 20_000
_AT_ONCE: Final = 50
_COLUMNS: Final = {
    "agency_tracking_id": "agency_tracking_id",
    "paygov_tracking_id": "paygov_tracking_id",
    "transaction_reference_id": "reference",
    "fee": "fee",
    "client_name": "client",
    "payment_status": "payment_status",
    "transaction_status": "status",
    "payment_method": "lower(payment_method)",
    "metadata": "metadata",
    "created_at": "created_at",
    "last_updated_at": "updated_at",
    "return_code": "return_code",
    "return_detail": "return_detail",
    "transaction_amount": "amount",
}
"""Column of the closest portal's table → our expression."""


@dataclass(frozen=True)
class DataSet:
    """The folder, and what was noted about it."""

    folder: Path
    payments: int
    now: float

    @property
    def settings(self) -> Settings:
        """The settings of processes over this folder."""
        return Settings(data=str(self.folder))

    @property
    def lake_bytes(self) -> int:
        """The bytes of the lake's present data files."""
        state = Lake.at(self.settings.lake_url).state()
        files = [file for table in state.values() for file in (*table.files, *table.live_files)]
        return sum(Path(file.removeprefix("file://")).stat().st_size for file in files)


def data_set(folder: Path, payments: int) -> DataSet:
    """Return the data of ``folder``; build what is missing.

    Raises ``ValueError`` if the folder has data of another size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    notes = _Notes(folder / "built.json")
    known = notes.get("payments", payments)
    if known != payments:
        raise ValueError(f"{folder}: must have {payments} payments; it has {known}: name another folder")
    found = DataSet(folder, payments, notes.get("now", system_clock()))
    notes.put(payments=payments, now=found.now)
    if "lake" not in notes.steps:
        for line in build(folder, payments, found.now):
            print(line, flush=True)
        notes.finish("lake")
    if "tail" not in notes.steps:
        asyncio.run(_with_tail(found))
        notes.finish("tail")
    programs = binaries()
    if programs is not None and "postgres" not in notes.steps:
        with running(programs, folder / "postgres") as postgres:
            asyncio.run(_fill(found, postgres))
        notes.finish("postgres")
    return found


class _Notes:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"steps": []}

    @property
    def steps(self) -> list[str]:
        steps: list[str] = self._found["steps"]
        return steps

    def get(self, name: str, default: Any) -> Any:
        return self._found.get(name, default)

    def put(self, **values: Any) -> None:
        self._found.update(values)
        self._path.write_text(json.dumps(self._found))

    def finish(self, step: str) -> None:
        self.put(steps=[*self.steps, step])


async def _with_tail(data: DataSet) -> None:
    """Create the store, make the lake continue from it, and start the attempts of the tail."""
    async with Composition(data.settings) as parts:
        store, ledger = await parts.store(), await parts.ledger()
        assert isinstance(store, AsyncEngine)
        finish(data.folder, await StreamSource(store, data.settings.table).position())
        for first in range(0, TAIL_ROWS, _AT_ONCE):
            await asyncio.gather(*(start_attempt(ledger, parts, number) for number in range(first, first + _AT_ONCE)))


async def start_attempt(ledger: Ledger, parts: Composition, number: int) -> str:
    """Start an attempt, give it a token, and return its reference. The payer has not paid yet."""
    fee = parts.fees.fee("PETITION_FILING_FEE", parts.clock())
    assert fee is not None
    reference = str(UUID(int=parts.randomness.getrandbits(128), version=4))
    urls = ("https://client.example/ok", "https://client.example/no")
    client = CLIENTS[number % len(CLIENTS)]
    attempt = await ledger.start_attempt(client, reference, fee, Decimal("60.00"), {"docketNumber": "1-26"}, *urls)
    await ledger.record_token(attempt, f"{parts.randomness.getrandbits(128):032x}")
    return reference


async def _fill(data: DataSet, postgres: Postgres) -> None:
    """Store the same rows in PostgreSQL, make its indexes, and let it settle."""
    postgres.run(f"DROP TABLE IF EXISTS transactions; {SCHEMA}")
    async with Composition(data.settings, creates_store=False) as parts:
        await copy_payments(await parts.reports(), postgres)
    postgres.run(INDEXES)
    postgres.run("VACUUM ANALYZE transactions")
    postgres.run("CHECKPOINT")


async def copy_payments(reports: PaymentReports, postgres: Postgres) -> None:
    """Copy the payments that PostgreSQL does not have: those that started after its newest one."""
    newest = postgres.run("SELECT coalesce(max(created_at), '1970-01-01Z') FROM transactions").strip()
    expressions = ", ".join(f"{expression} AS {column}" for column, expression in _COLUMNS.items())
    question = f"SELECT {expressions} FROM payments WHERE created_at > CAST('{newest}' AS TIMESTAMP WITH TIME ZONE)"
    with postgres.copying(", ".join(_COLUMNS)) as rows:
        async with reports.stream(Question(question)) as answer:
            await write_stream(answer, "csv", rows)
