"""Write a report as a PDF document that can be filed: title, question, parameters, table with totals, page numbers.

Equal answers give equal files: the time of the document is the time as of which the answer holds. The font is DejaVu
Sans, which comes with matplotlib, because PDF's own fonts lack most characters. A document is for people, so it has a
limit of rows.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from bursar.reports.errors import QueryTooLarge
from bursar.reports.output.head import AnswerHead, Totals
from bursar.reports.output.table import NUMBERS, shown, total_line

if TYPE_CHECKING:
    from fpdf import FPDF

PDF_ROWS_MAX: Final = 5_000
_FONT: Final = "DejaVu"
_MARGIN_MM: Final = 12
_TITLE_PT: Final = 16
_TEXT_PT: Final = 9
_CELL_PT_MAX: Final = 8.0
_CELL_PT_MIN: Final = 4.5
_LINE_MM: Final = 5.0
_PADDING_MM: Final = 1.0
_GREY: Final = (235, 238, 242)


class PdfWriter:
    """One document on A4 in landscape. It keeps the rows, to choose the widths of the columns."""

    def __init__(self, head: AnswerHead, file: BinaryIO) -> None:
        self._head = head
        self._file = file
        self._rows: list[list[str]] = []
        self._totals = Totals(head)

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Keep rows. Raises :class:`QueryTooLarge` after ``PDF_ROWS_MAX`` rows."""
        if self._totals.rows + len(rows) > PDF_ROWS_MAX:
            raise QueryTooLarge(f"a PDF: must have at most {PDF_ROWS_MAX} rows; use xlsx, or a shorter frame")
        self._rows += [[shown(value, self._head, place) for place, value in enumerate(row)] for row in rows]
        self._totals.add(rows)

    def end(self) -> None:
        """Write the document."""
        logging.getLogger("fontTools").setLevel(logging.WARNING)  # it reports every glyph at INFO
        document = _document(self._head)
        document.add_page()
        self._write_heading(document)
        self._write_table(document)
        self._file.write(bytes(document.output()))

    def _write_heading(self, document: "FPDF") -> None:
        subject = self._head.subject
        document.set_font(_FONT, "B", _TITLE_PT)
        document.cell(0, 9, subject.title, new_x="LMARGIN", new_y="NEXT")
        document.set_font(_FONT, "", _TEXT_PT)
        for line in (*subject.lines, f"As of {_as_of(self._head)}"):
            document.multi_cell(0, _LINE_MM, line, new_x="LMARGIN", new_y="NEXT")
        document.ln(3)

    def _write_table(self, document: "FPDF") -> None:
        if not self._rows:
            document.cell(0, _LINE_MM, "There are no rows.")
            return
        names = list(self._head.headings)
        total = total_line(self._head, self._totals)
        lines = [*self._rows, *([] if total is None else [total])]
        size, widths = _fitting(document, [names, *lines])
        right = [kind.startswith(NUMBERS) for kind in self._head.types]
        self._write_names(document, names, widths, right, size)
        for number, line in enumerate(lines):
            if document.will_page_break(size * 0.6):
                document.add_page()
                self._write_names(document, names, widths, right, size)
            is_total = total is not None and number == len(lines) - 1
            _write_line(document, line, widths, right, size, bold=is_total, border="T" if is_total else 0)

    def _write_names(
        self, document: "FPDF", names: list[str], widths: list[float], right: list[bool], size: float
    ) -> None:
        document.set_fill_color(*_GREY)
        _write_line(document, names, widths, right, size, bold=True, fill=True)


def _document(head: AnswerHead) -> "FPDF":
    from fpdf import FPDF

    class Document(FPDF):
        def footer(self) -> None:
            self.set_y(-_MARGIN_MM)
            self.set_font(_FONT, "", _TEXT_PT - 2)
            self.cell(0, _LINE_MM, f"{head.subject.title} · as of {_as_of(head)} · page {self.page_no()} of {{nb}}")

    document = Document(orientation="landscape", format="A4")
    document.set_margin(_MARGIN_MM)
    document.set_auto_page_break(True, margin=_MARGIN_MM + _LINE_MM)
    document.set_title(head.subject.title)
    document.set_creator("Bursar")
    document.set_creation_date(datetime.fromtimestamp(head.as_of, UTC))
    for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
        document.add_font(_FONT, style, fonts_folder() / name)
    return document


def fonts_folder() -> Path:
    """Return the folder of DejaVu Sans in matplotlib, without loading matplotlib."""
    found = find_spec("matplotlib")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
    return Path(found.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"


def _as_of(head: AnswerHead) -> str:
    return datetime.fromtimestamp(head.as_of, head.zone or UTC).strftime("%Y-%m-%d %H:%M:%S %Z")


def _fitting(document: "FPDF", lines: list[list[str]]) -> tuple[float, list[float]]:
    """Return the largest size of the text at which the table fits the page, and the widths of its columns (mm).

    If the smallest size is too large, the widest columns become narrower until the table fits, and their texts are cut.
    """
    room = document.epw
    longest = [max(column, key=len) for column in zip(*lines, strict=True)]
    size = _CELL_PT_MAX
    while True:
        document.set_font(_FONT, "B", size)
        widths = [document.get_string_width(text) + 2 * _PADDING_MM + 1 for text in longest]
        if sum(widths) <= room or size <= _CELL_PT_MIN:
            break
        size -= 0.5
    while sum(widths) > room + 0.01:
        widest = max(range(len(widths)), key=lambda place: widths[place])
        others = sorted(widths)[-2] if len(widths) > 1 else 0.0
        widths[widest] = max(widths[widest] - (sum(widths) - room), min(others, widths[widest] - 1.0))
    spare = (room - sum(widths)) / len(widths)
    return size, [width + min(spare, 8.0) for width in widths]


def _write_line(
    document: "FPDF",
    cells: list[str],
    widths: list[float],
    right: list[bool],
    size: float,
    *,
    bold: bool = False,
    fill: bool = False,
    border: Any = 0,
) -> None:
    document.set_font(_FONT, "B" if bold else "", size)
    for cell, width, is_right in zip(cells, widths, right, strict=True):
        text = _cut(document, cell, width - 2 * _PADDING_MM)
        document.cell(width, size * 0.6, text, align="R" if is_right else "L", fill=fill, border=border)
    document.ln(size * 0.6)


def _cut(document: "FPDF", text: str, width: float) -> str:
    if document.get_string_width(text) <= width:
        return text
    while text and document.get_string_width(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
