"""Upload an activity file and compare it with the payments, as `bursar reconcile` does.

    form ─► private file ─► what it is ─► compared, in a separate thread ─► dry run: the page of its result
                            └─► refused, with the reason                   └─► kept: the run's page

Nothing is recorded on payments. The file is removed at the end of the request.
"""

import asyncio
import codecs
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeVar

from starlette.responses import Response

from bursar.dashboard.multipart import UPLOAD_BYTES_MAX
from bursar.dashboard.pages.reconciliation.runs import KeptRow, run_page, shown_rows
from bursar.dashboard.pages.reports.reports import require_no_limits
from bursar.dashboard.visit import Visit
from bursar.payments.ledger.store_records.reconciliations import ReconciliationRun
from bursar.reports.errors import BadParameter
from bursar.reports.reconciliation.mapping import FileMapping, load_mapping
from bursar.reports.reconciliation.our_payments import OurPayments, PaymentRow, ReportedPayments, ReversalRow
from bursar.reports.reconciliation.run import FileDays, reconciled

BLOCK_BYTES: Final = 256 * 1024
ARCHIVES: Final = {b"PK\x03\x04": "ZIP", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"%PDF": "PDF"}
"""The first bytes of a file → its kind, for kinds that people upload by mistake. A workbook is a ZIP file."""
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
T = TypeVar("T")


class UnusableUpload(Exception):
    """The form cannot be used: the key of a text, and its fields."""

    def __init__(self, key: str, **fields: object) -> None:
        super().__init__(key)
        self.key = key
        self.fields = fields


@dataclass(frozen=True, slots=True)
class Compared:
    """The result of a comparison: the run, which may not be kept, and its rows."""

    run: ReconciliationRun
    rows: Sequence[KeptRow]


async def show_upload(visit: Visit) -> Response:
    """Show the form."""
    require_no_limits(visit)
    return _form(visit)


async def upload(visit: Visit) -> Response:
    """Compare the file of the form; keep the run if the form says so."""
    require_no_limits(visit)
    keeps = visit.field("keep") == "yes"
    try:
        file, mapping, period = await asyncio.to_thread(_read, visit)
        found = await _compare(visit, file, mapping, period)
    except UnusableUpload as unusable:
        return _form(visit, visit.text(unusable.key, **unusable.fields))
    except BadParameter as error:
        return _form(visit, str(error))
    [read] = found.run.files
    if read.broken is not None:
        return _form(visit, visit.text("reconciliation.problems.broken", problem=read.broken))
    facts = {"file": read.name, "sha256": read.sha256, "lines": read.records}
    if not keeps:
        await visit.log("queried", "reconciliation", dry_run=True, **facts)
        return run_page(visit, found.run, None, await shown_rows(_each(found.rows)), is_kept=False)
    await visit.parts.ledger.reconciliations.keep(found.run, found.rows)
    target = f"reconciliation {found.run.run_id}"
    await visit.log("changed", target, change="reconciliation_upload", **facts)
    return visit.redirect(visit.path("reconciliation_run", run=found.run.run_id))


def _form(visit: Visit, problem: str = "") -> Response:
    return visit.page(
        "reconciliation_upload.html",
        http_status=400 if problem else 200,
        problem=problem,
        limit=UPLOAD_BYTES_MAX >> 20,
        section="reconciliation",
    )


def _read(visit: Visit) -> tuple[Path, FileMapping, FileDays | None]:
    """Return the checked inputs of the form. Raises :class:`UnusableUpload`, and ``BadParameter`` for the mapping."""
    file = visit.files.get("file")
    if file is None:
        raise UnusableUpload("reconciliation.problems.no_file")
    mapping = load_mapping(visit.files["mapping"]) if "mapping" in visit.files else FileMapping()
    first, last = _day(visit, "from"), _day(visit, "to")
    if (first is None) != (last is None) or (first and last and first > last):
        raise UnusableUpload("reconciliation.problems.days")
    _check_content(file, mapping)
    return file, mapping, FileDays(first, last) if first and last else None


def _day(visit: Visit, name: str) -> str | None:
    text = visit.field(name)
    try:
        return date.fromisoformat(text).isoformat() if text else None
    except ValueError:
        raise UnusableUpload("reconciliation.problems.days") from None


def _check_content(path: Path, mapping: FileMapping) -> None:
    """Raise :class:`UnusableUpload` for an empty file, an archive, and text in another encoding than the mapping's."""
    with path.open("rb") as file:
        first = file.read(8)
        if not first.strip():
            raise UnusableUpload("reconciliation.problems.empty")
        kind = next((name for begin, name in ARCHIVES.items() if first.startswith(begin)), None)
        if kind is not None:
            raise UnusableUpload("reconciliation.problems.archive", kind=kind)
        if first.startswith(_UTF16) or first.lstrip().startswith(b"<"):
            return  # the XML parser reads the encoding from the file
        file.seek(0)
        decoder = codecs.getincrementaldecoder(mapping.encoding)()
        try:
            while block := file.read(BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", True)
        except UnicodeError:
            raise UnusableUpload("reconciliation.problems.encoding", encoding=mapping.encoding) from None


async def _compare(visit: Visit, file: Path, mapping: FileMapping, period: FileDays | None) -> Compared:
    """Return the result. The file is read in a thread, so this process continues to serve payments."""
    ours = _AskedOnLoop(ReportedPayments(visit.parts.reports), asyncio.get_running_loop())
    run_id, at, by = visit.parts.ledger.reconciliations.new_id(), visit.parts.clock(), visit.account.name

    async def work() -> Compared:
        with await reconciled([file], mapping, ours, period=period) as result:
            made = result.run(run_id=run_id, at=at, by=by, applied={})
            return Compared(made, list(result.rows(kept=made.kept)))

    return await asyncio.to_thread(lambda: asyncio.run(work()))


class _AskedOnLoop:
    """Our payments, asked from another thread: each question runs on the loop of the process."""

    def __init__(self, ours: OurPayments, loop: asyncio.AbstractEventLoop) -> None:
        self._ours = ours
        self._loop = loop

    def ended_between(self, first: str, last: str) -> AsyncIterator[Sequence[PaymentRow]]:
        """Yield the final attempts of these days, in parts."""
        return self._parts(self._ours.ended_between(first, last))

    def live_between(self, first: str, last: str) -> AsyncIterator[Sequence[PaymentRow]]:
        """Yield the live attempts that started on these days, in parts."""
        return self._parts(self._ours.live_between(first, last))

    async def with_ids(self, agency_ids: Sequence[str], paygov_ids: Sequence[str]) -> Sequence[PaymentRow]:
        """Return the attempts with one of these ids."""
        return await self._there(self._with_ids(agency_ids, paygov_ids))

    async def reversals(self, agency_ids: Sequence[str]) -> Sequence[ReversalRow]:
        """Return the recorded reversals of these attempts."""
        return await self._there(self._reversals(agency_ids))

    async def _with_ids(self, agency_ids: Sequence[str], paygov_ids: Sequence[str]) -> Sequence[PaymentRow]:
        return await self._ours.with_ids(agency_ids, paygov_ids)

    async def _reversals(self, agency_ids: Sequence[str]) -> Sequence[ReversalRow]:
        return await self._ours.reversals(agency_ids)

    async def _parts(self, parts: AsyncIterator[Sequence[PaymentRow]]) -> AsyncIterator[Sequence[PaymentRow]]:
        async def following() -> Sequence[PaymentRow] | None:
            return await anext(parts, None)

        while (part := await self._there(following())) is not None:
            yield part

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


async def _each(rows: Iterable[KeptRow]) -> AsyncIterator[KeptRow]:
    for row in rows:
        yield row
