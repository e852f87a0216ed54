"""Write a workbook for Excel: real numbers and dates, a heading with units, a row of totals.

Rows are written when they arrive (XlsxWriter's ``constant_memory``). A sheet holds 1,048,576 rows, and more rows begin
another sheet. The rows wait in a private folder, which is removed even if the workbook is never completed. A text is
never a formula. Times are New York's, because a cell of Excel has no time zone; a sheet of free SQL has UTC, as its
heading says.
"""

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from zoneinfo import ZoneInfo

from bursar.clock import iso_ms
from bursar.reports.output.head import DURATION, SHARE, USD, AnswerHead, Totals
from bursar.reports.output.values import plain

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

SHEET_ROWS_MAX: Final = 1_048_576
CELL_CHARS_MAX: Final = 32_767
_DIGITS_MAX: Final = 15
"""The digits that a number in Excel can have. A longer number is written as text, so that no digit is lost."""
_DAY_S: Final = 86_400
_UTC: Final = ZoneInfo("UTC")
_WIDTHS: Final = (("TIMESTAMP", 20), ("DATE", 12), ("DECIMAL", 16), ("BIGINT", 12), ("DOUBLE", 14))
_TEXT_WIDTH: Final = 24
_NUMBER_FORMATS: Final = {
    "money": "#,##0.00",
    "whole": "#,##0",
    "share": "0.00%",
    "duration": "[h]:mm:ss",
    "real": "#,##0.00##",
}


class XlsxWriter:
    """One workbook."""

    def __init__(self, head: AnswerHead, file: BinaryIO) -> None:
        from xlsxwriter import Workbook

        self._head = head
        self._totals = Totals(head)
        self._zone = head.zone or _UTC
        folder = tempfile.mkdtemp(prefix="bursar-xlsx-")  # holds the rows until the end, which may be personal data
        options = {"tmpdir": folder, "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self._book: Workbook = Workbook(file, {**options, "default_date_format": "yyyy-mm-dd"})
        self._discard = weakref.finalize(self, _discard, self._book, folder)
        self._book.set_properties({"title": head.subject.title, "comments": f"As of {iso_ms(head.as_of)}"})
        self._formats = {name: self._book.add_format({"num_format": text}) for name, text in _NUMBER_FORMATS.items()}
        self._formats["day"] = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._formats["time"] = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._bold = self._book.add_format({"bold": True})
        self._head_format = self._book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        self._title = self._book.add_format({"bold": True, "font_size": 14})
        self._kinds = [self._kind(place) for place in range(len(head.columns))]
        self._sheet, self._row, self._first_row = self._new_sheet()

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows."""
        for row in rows:
            if self._row == SHEET_ROWS_MAX - 1:  # the last row is for the totals
                self._end_sheet()
                self._sheet, self._row, self._first_row = self._new_sheet()
            for place, value in enumerate(row):
                self._write_cell(place, value)
            self._row += 1
        self._totals.add(rows)

    def end(self) -> None:
        """Write the totals and close the workbook."""
        if self._totals.has_any:
            self._write_totals()
        self._end_sheet()
        self._book.close()
        self._discard()

    def abandon(self) -> None:
        """Remove the temporary files of a workbook that will not be completed."""
        self._discard()

    def _new_sheet(self) -> "tuple[Worksheet, int, int]":
        number = len(self._book.worksheets()) + 1
        sheet = self._book.add_worksheet("Report" if number == 1 else f"Report {number}")
        for place, kind in enumerate(self._head.types):
            sheet.set_column(
                place, place, next((width for name, width in _WIDTHS if kind.startswith(name)), _TEXT_WIDTH)
            )
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        row = 0
        if self._head.subject.is_report:
            sheet.write_string(0, 0, self._head.subject.title, self._title)
            lines = (
                *self._head.subject.lines,
                f"As of {plain(datetime.fromtimestamp(self._head.as_of, self._zone), self._zone)}",
            )
            for row, line in enumerate(lines, start=1):
                sheet.write_string(row, 0, line)
            row += 2
        for place, text in enumerate(self._head.headings):
            sheet.write_string(row, place, text, self._head_format)
        sheet.freeze_panes(row + 1, 0)
        sheet.repeat_rows(row)
        return sheet, row + 1, row + 1

    def _end_sheet(self) -> None:
        if self._row > self._first_row and not self._totals.has_any:
            self._sheet.autofilter(self._first_row - 1, 0, self._row - 1, len(self._head.columns) - 1)

    def _write_totals(self) -> None:
        top = self._book.add_format({"bold": True, "top": 1})
        self._sheet.write_string(self._row, 0, "Total", top)
        for place in range(1, len(self._head.columns)):
            total = self._totals.value(place)
            if total is None:
                self._sheet.write_blank(self._row, place, None, top)
                continue
            summed = self._book.add_format({"bold": True, "top": 1, "num_format": _NUMBER_FORMATS[self._kinds[place]]})
            self._write_total(place, total, summed)
        self._row += 1

    def _write_total(self, place: int, total: Decimal | int, summed: "Format") -> None:
        """Write a formula that sums a column, with its value now.

        If there are several sheets, write only the number.
        """
        from xlsxwriter.utility import xl_range

        if len(self._book.worksheets()) > 1:
            self._sheet.write_number(self._row, place, total, summed)
            return
        cells = xl_range(self._first_row, place, self._row - 1, place)
        self._sheet.write_formula(self._row, place, f"=SUM({cells})", summed, float(total))

    def _kind(self, place: int) -> str:
        unit, sql_type = self._head.unit(place), self._head.types[place]
        if unit in (SHARE, DURATION):
            return unit
        if unit == USD or sql_type.startswith("DECIMAL"):
            return "money"
        return "real" if sql_type in ("DOUBLE", "FLOAT") else "whole"

    def _write_cell(self, place: int, value: Any) -> None:
        sheet, row = self._sheet, self._row
        if value is None:
            return
        if isinstance(value, bool):
            sheet.write_boolean(row, place, value)
        elif isinstance(value, int | float | Decimal) and _fits(value):
            kind = self._kinds[place]
            number = float(value) / _DAY_S if kind == DURATION else float(value)  # Excel counts days
            sheet.write_number(row, place, number, self._formats[kind])
        elif isinstance(value, datetime):
            local = value if value.tzinfo is None else value.astimezone(self._zone).replace(tzinfo=None)
            self._write_day(place, local, "time")
        elif isinstance(value, date):
            self._write_day(place, value, "day")
        else:
            sheet.write_string(row, place, plain(value, self._zone)[:CELL_CHARS_MAX])

    def _write_day(self, place: int, value: date, name: str) -> None:
        if value.year < 1900:  # Excel's calendar begins in 1900
            self._sheet.write_string(self._row, place, str(value))
        else:
            self._sheet.write_datetime(self._row, place, value, self._formats[name])


def _discard(book: "Workbook", folder: str) -> None:
    """Close and remove the files of rows, also those of a workbook that was never completed."""
    for sheet in book.worksheets():
        sheet.row_data_fh.close()
    shutil.rmtree(folder, ignore_errors=True)


def _fits(value: int | float | Decimal) -> bool:
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return len(str(value).lstrip("-0.").replace(".", "")) <= _DIGITS_MAX
