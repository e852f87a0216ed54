"""Read activity files in one pass, as checked lines and problems, with the SHA-256 of each file."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from bursar.reports.errors import BadParameter
from bursar.reports.reconciliation.csv_records import csv_records
from bursar.reports.reconciliation.lines import (
    ActivityLine,
    LineProblem,
    cents_of,
    checked_id,
    checked_text,
    day_of,
)
from bursar.reports.reconciliation.mapping import FileMapping
from bursar.reports.reconciliation.raw_records import BrokenFile, RawRecord
from bursar.reports.reconciliation.xml_records import xml_records

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES: Final = 256 * 1024
_XML_BEGINS: Final = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<", b"\xfe\xff\x00<")


@dataclass(slots=True)
class ReadFile:
    """One file while it is read. ``records`` counts its lines of money, ``cents`` sums the readable amounts.

    ``broken``: why the rest of it could not be read.
    """

    name: str
    number: int
    size: int = 0
    sha256: str = ""
    records: int = 0
    problems: int = 0
    cents: int = 0
    broken: str | None = None


def read_file(path: Path, number: int, mapping: FileMapping) -> "tuple[ReadFile, Iterator[ActivityLine | LineProblem]]":
    """Return the file's description, complete once the iterator has ended, and its lines and problems.

    Raises :class:`BadParameter` if the file cannot be opened.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise BadParameter(f"{path}: cannot be read: {error.strerror}") from error
    described = ReadFile(path.name, number)
    return described, _lines(stream, described, mapping)


def _lines(stream: BinaryIO, described: ReadFile, mapping: FileMapping) -> Iterator[ActivityLine | LineProblem]:
    with stream:
        hashed = _Hashed(stream)
        buffered = io.BufferedReader(hashed, BUFFER_BYTES)
        try:
            is_xml = buffered.peek().lstrip(b" \t\r\n").startswith(_XML_BEGINS)
            records = (xml_records if is_xml else csv_records)(buffered, mapping)
            for record in records:
                found = to_line(record, described.number, mapping)
                described.records += 1
                described.problems += isinstance(found, LineProblem)
                described.cents += found.cents or 0
                yield found
        except BrokenFile as broken:
            described.broken = f"line {broken.line}: {broken}"
            yield LineProblem(described.number, broken.line, f"{broken}; nothing after it was read")
        except OSError as error:
            described.broken = f"cannot be read: {error.strerror}"
            yield LineProblem(described.number, 1, f"the file: cannot be read: {error.strerror}")
        while buffered.read(BUFFER_BYTES):  # a broken file is hashed to its end
            pass
        described.size, described.sha256 = hashed.size, hashed.digest.hexdigest()


def to_line(record: RawRecord, file: int, mapping: FileMapping) -> ActivityLine | LineProblem:
    """Return the checked line of a record, or its first problem."""
    texts = record.fields
    agency_id = paygov_id = cents = None
    try:
        agency_id = checked_id("agency tracking id", texts.get("agency_tracking_id"))
        paygov_id = checked_id("Pay.gov tracking id", texts.get("paygov_tracking_id"))
        if record.problem is not None:
            raise ValueError(record.problem)
        cents = cents_of(texts.get("amount", ""))
        moment, deposited = texts.get("date"), texts.get("deposit_date")
        status_word = checked_text("status", texts.get("status")) or ""
        if not status_word:
            raise ValueError("status: must be given; got none")
        kind_word = checked_text("kind", texts.get("kind")) or ""
        kind = mapping.kinds.get(kind_word.casefold())
        return ActivityLine(
            file=file,
            line=record.line,
            kind=None if kind == "charge" and cents < 0 else kind,
            status=mapping.statuses.get(status_word.casefold()),
            agency_id=agency_id,
            paygov_id=paygov_id,
            cents=cents,
            day=None if moment is None else day_of(moment, mapping.date_formats),
            moment=moment,
            kind_word=kind_word,
            status_word=status_word,
            method=checked_text("payment method", texts.get("payment_method")),
            deposit_ticket=checked_text("deposit ticket", texts.get("deposit_ticket")),
            deposited_on=day_of(deposited, mapping.date_formats) if deposited else None,
            debit_voucher=checked_text("debit voucher", texts.get("debit_voucher")),
            reason_code=checked_text("reason code", texts.get("reason_code")),
        )
    except ValueError as error:
        return LineProblem(file, record.line, str(error), agency_id, paygov_id, cents)


class _Hashed(io.RawIOBase):
    """A binary stream that hashes what is read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self.digest = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        """Return True: the interface of raw streams requires it."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read into ``buffer`` and return the number of bytes."""
        view = memoryview(buffer)
        taken = self._stream.read(len(view))
        view[: len(taken)] = taken
        self.digest.update(taken)
        self.size += len(taken)
        return len(taken)
