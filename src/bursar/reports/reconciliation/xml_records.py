"""Read an activity file in XML as a stream: groups of records, in bounded memory.

    <credit_card>
      <item_detail_record> <paygov_tracking_id>…</paygov_tracking_id> <transaction_amount>…
    <ach_debit>
      <item_detail_record> …

The names were seen in one public importer (docs/paygov.md); the element around the groups is not known, so any is
accepted. The file is hostile input: a document type declaration is refused where it begins, so no entity is expanded.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final
from xml.parsers import expat

from bursar.reports.reconciliation.lines import TEXT_CHARS_MAX
from bursar.reports.reconciliation.mapping import FileMapping, letters
from bursar.reports.reconciliation.raw_records import BrokenFile, RawRecord

CHUNK_BYTES: Final = 64 * 1024
DEPTH_MAX: Final = 32
FIELDS_MAX: Final = 1_000
"""The most elements in one record."""
TOKEN_BYTES_MAX: Final = 1024 * 1024
"""The most bytes of one tag with its attributes, which the parser must keep in memory."""
NAMES_MAX: Final = 10_000
"""The most different element names that are kept; a valid file has a few dozen."""


def xml_records(stream: BinaryIO, mapping: FileMapping) -> Iterator[RawRecord]:
    """Yield the records of ``stream``. Raises :class:`BrokenFile` where the XML ends or is refused."""
    records = _Records(mapping)
    parser = records.parser
    given = 0
    while True:
        chunk = stream.read(CHUNK_BYTES)
        try:
            parser.Parse(chunk, not chunk)
        except (expat.ExpatError, LookupError, ValueError) as error:
            # LookupError and ValueError: an encoding that is unknown or that expat does not support.
            yield from records.take()
            raise BrokenFile(records.line, f"must be well-formed XML: {error}") from None
        except BrokenFile:
            yield from records.take()
            raise
        yield from records.take()
        if not chunk:
            return
        given += len(chunk)
        if given - max(parser.CurrentByteIndex, 0) > TOKEN_BYTES_MAX:
            raise BrokenFile(records.line, f"a tag: must have at most {TOKEN_BYTES_MAX} bytes")


class _Records:
    """Receives the parser's callbacks. ``record`` is the open record's fields, None outside of one."""

    def __init__(self, mapping: FileMapping) -> None:
        self._mapping = mapping
        self._fields = mapping.field_of_name()
        self._record_name = mapping.record
        self._names: dict[str, str] = {}
        self._done: list[RawRecord] = []
        self._depth = 0
        self._group: str | None = None
        self._record: dict[str, str] | None = None
        self._began = 0
        self._count = 0
        self._problem: str | None = None
        self._field: str | None = None
        self._field_tag = ""
        self._pieces: list[str] = []
        self._chars = 0
        self.parser = expat.ParserCreate(None, "}")
        self.parser.StartDoctypeDeclHandler = _refuse_dtd
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.buffer_text = True

    @property
    def line(self) -> int:
        """The line that the parser has reached, from 1."""
        return self.parser.CurrentLineNumber

    def take(self) -> list[RawRecord]:
        """Return the records that ended since the last call."""
        done, self._done = self._done, []
        return done

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise BrokenFile(self.line, f"elements: must be nested at most {DEPTH_MAX} deep")
        name = self._names.get(tag)
        if name is None:
            name = self._name_of(tag)
        record = self._record
        if record is None:
            if name == self._record_name:
                self._record, self._began, self._count, self._problem = {}, self.line, 0, None
            elif name in self._mapping.groups:
                self._group = name
            return
        self._count += 1
        if name == self._record_name or self._count > FIELDS_MAX:
            raise BrokenFile(self.line, f"a record: must have at most {FIELDS_MAX} fields and no other record")
        field = self._fields.get(name)
        if field is not None:
            if field in record or self._field is not None:
                self._problem = f"{field}: must be given once"
            self._field, self._field_tag, self._pieces, self._chars = field, tag, [], 0
            self.parser.CharacterDataHandler = self._text

    def _end(self, tag: str) -> None:
        self._depth -= 1
        record = self._record
        if self._field is not None:
            if record is not None and tag == self._field_tag:
                record.setdefault(self._field, "".join(self._pieces).strip())
                self._field = None
                self.parser.CharacterDataHandler = None
            return
        if record is None and self._group is None:
            return
        name = self._names.get(tag)
        if name is None:
            name = self._name_of(tag)
        if name == self._record_name and record is not None:
            method = self._mapping.groups.get(self._group) if self._group else None
            if method is not None:
                record.setdefault("payment_method", method)
            self._done.append(RawRecord(self._began, record, self._problem))
            self._record = None
        elif name == self._group:
            self._group = None

    def _text(self, text: str) -> None:
        self._chars += len(text)
        if self._chars <= TEXT_CHARS_MAX + 1:
            self._pieces.append(text)
        elif len(text) and self._field is not None:
            self._problem = f"{self._field}: must have at most {TEXT_CHARS_MAX} characters"

    def _name_of(self, tag: str) -> str:
        name = letters(tag.rpartition("}")[2])
        if len(self._names) < NAMES_MAX:
            self._names[tag] = name
        return name


def _refuse_dtd(*_declared: object) -> None:
    raise BrokenFile(1, "the XML: must not have a DTD, which can declare entities")
