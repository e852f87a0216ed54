"""Read the rows of another portal's transactions, as docs/migrating.md maps them, from CSV or JSON lines.

A row that cannot be read is a :class:`RowProblem`, which names its file and line. The other rows are not affected.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal, InvalidOperation
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

from bursar.payments.attempt_ids import AGENCY_TRACKING_ID_CHARS
from bursar.payments.catalogue.clients import Clients
from bursar.payments.catalogue.fees import Fee, FeeCatalogue
from bursar.payments.ledger.imports import ImportedStatus, ImportRecord
from bursar.payments.records import money
from bursar.portal.contract.errors import InvalidRequest, TooLarge
from bursar.portal.contract.schemas import BODY_BYTES_MAX
from bursar.portal.contract.validation import read_metadata, read_reference
from bursar.reports.reconciliation.csv_records import BoundedLines
from bursar.reports.reconciliation.raw_records import BrokenFile

TEXT_CHARS_MAX: Final = 1_000
MAY_HIDE_A_CHARGE: Final = (
    "Error communicating with Pay.gov",
    "Failed to persist Pay.gov response",
    "Pay.gov returned a response that failed schema validation",
)
"""Details of failed rows of the court's portal that do not come from Pay.gov (docs/migrating.md)."""
COLUMNS: Final = (
    "agency_tracking_id", "paygov_tracking_id", "client_name", "transaction_reference_id", "fee", "transaction_amount",
    "transaction_status", "payment_method", "return_code", "return_detail", "metadata", "created_at", "last_updated_at",
)  # fmt: skip
REQUIRED: Final = (
    "agency_tracking_id", "client_name", "transaction_reference_id", "fee", "transaction_amount", "created_at"
)  # fmt: skip
_LIVE: Final = (None, "received", "initiated")
_STATUSES: Final[Mapping[str, ImportedStatus]] = {"processed": "processed", "failed": "failed", "pending": "pending"}
_ID: Final = re.compile(rf"[!-~]{{1,{AGENCY_TRACKING_ID_CHARS}}}")
_ID_RULE: Final = f"must be at most {AGENCY_TRACKING_ID_CHARS} printable ASCII characters without a space"
_PAYGOV_ID: Final = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")
_PAYGOV_ID_RULE: Final = "must be at most 255 printable ASCII characters without a space at an end"


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A row that can be imported, and where it is. ``in_doubt``: why its payer may have been charged, None if not.

    ``record.status`` is the other portal's status. A live row has ``failed``, unless it is imported in doubt.
    """

    place: str
    record: ImportRecord
    in_doubt: str | None = None


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that cannot be imported, where it is, and why."""

    place: str
    problem: str


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads rows for one portal. ``client_names``: the other portal's name of a client → ours.

    A live row that changed after ``live_until`` (Unix seconds) is refused: its token may still be used there.
    """

    fees: FeeCatalogue
    clients: Clients
    client_names: Mapping[str, str]
    now: float
    live_until: float

    def rows(self, path: Path) -> Iterator[ImportRow | RowProblem]:
        """Yield each row of a file. Raises ``OSError``."""
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            first = text.read(1)
            text.seek(0)
            raw = _json_rows(text) if first == "{" else _csv_rows(text)
            for line, found in raw:
                place = f"{path.name}:{line}"
                if isinstance(found, str):
                    yield RowProblem(place, found)
                    continue
                try:
                    yield self._row(place, found)
                except ValueError as problem:
                    yield RowProblem(place, str(problem))

    def _row(self, place: str, row: Mapping[str, Any]) -> ImportRow:
        values = {name: _value(name, row.get(name)) for name in COLUMNS if name != "metadata"}
        for name in REQUIRED:
            if values[name] is None:
                raise ValueError(f"{name}: must be given; got nothing")
        created_at = self._time("created_at", values["created_at"])
        updated_at = self._time("last_updated_at", values["last_updated_at"] or values["created_at"])
        if updated_at < created_at:
            raise ValueError(f"last_updated_at: must not be before created_at; got {values['last_updated_at']}")
        status, in_doubt = self._status(values, updated_at)
        method = values["payment_method"]
        paygov_id = _matching("paygov_tracking_id", values["paygov_tracking_id"], _PAYGOV_ID, _PAYGOV_ID_RULE)
        record = ImportRecord(
            agency_tracking_id=_matching("agency_tracking_id", values["agency_tracking_id"], _ID, _ID_RULE),
            client=self._client(values["client_name"]),
            reference=self._reference(values["transaction_reference_id"]),
            fee=self._fee(values["fee"], created_at),
            amount=_amount(values["transaction_amount"]),
            metadata=_metadata(row.get("metadata")),
            status=status,
            created_at=created_at,
            updated_at=updated_at,
            paygov_tracking_id=paygov_id or None,
            payment_method=None if method is None else method.upper(),
            return_code=values["return_code"],
            return_detail=values["return_detail"],
        )
        return ImportRow(place, record, in_doubt)

    def _status(self, values: Mapping[str, str | None], updated_at: float) -> tuple[ImportedStatus, str | None]:
        """Return the status. The second value is the reason why the payer may have been charged despite it, or None."""
        found = values["transaction_status"]
        if found in _LIVE:
            if updated_at > self.live_until:
                raise ValueError(
                    f"transaction_status: must not be live; got {found}: import it once its token has expired"
                )
            return "failed", f"imported as {found or 'received'}: it may have been completed there"
        if found not in _STATUSES:
            raise ValueError(
                f"transaction_status: must be one of received, initiated, {', '.join(_STATUSES)}; got {found}"
            )
        detail = values["return_detail"]
        if found == "failed" and detail in MAY_HIDE_A_CHARGE:
            return "failed", f"imported as failed by {detail!r}, which does not come from Pay.gov"
        if found == "pending" and values["paygov_tracking_id"] is None:
            return "failed", "imported as pending without a Pay.gov tracking id"
        return _STATUSES[str(found)], None

    def _client(self, name: str | None) -> str:
        ours = self.client_names.get(name or "", name or "")
        if self.clients.by_name(ours) is None:
            raise ValueError(
                f"client_name: must be a client of the clients' file, or be named by --client; got {name!r}"
            )
        return ours

    def _reference(self, text: str | None) -> str:
        reference = read_reference(text or "")
        if reference is None:
            raise ValueError(f"transaction_reference_id: must be a UUID v4; got {text!r}")
        return reference

    def _fee(self, key: str | None, created_at: float) -> Fee:
        fee = self.fees.fee(key or "", created_at)
        if fee is None:
            raise ValueError(f"fee: must be in the catalogue and active when the row was created; got {key!r}")
        return fee

    def _time(self, name: str, text: str | None) -> float:
        try:
            moment = datetime.fromisoformat(text or "")
        except ValueError:
            raise ValueError(f"{name}: must be an ISO date-time with an offset; got {text!r}") from None
        if moment.tzinfo is None:
            raise ValueError(f"{name}: must be an ISO date-time with an offset; got {text!r}")
        if moment.timestamp() > self.now:
            raise ValueError(f"{name}: must not be in the future; got {text!r}")
        return moment.timestamp()


def row_to_json(row: ImportRow) -> str:
    """Return a row as JSON, for a working file."""
    record = {field.name: getattr(row.record, field.name) for field in fields(row.record)}
    record |= {"fee": row.record.fee.key, "amount": str(row.record.amount)}
    return json.dumps([row.place, record, row.in_doubt])


def row_from_json(text: str, fees: FeeCatalogue) -> ImportRow:
    """Return the row that :func:`row_to_json` wrote. ``fees`` is the catalogue with which it was read."""
    place, record, in_doubt = json.loads(text)
    fee = fees.fee(record["fee"], record["created_at"])
    assert fee is not None, "the row was read with this catalogue"
    return ImportRow(place, ImportRecord(**{**record, "fee": fee, "amount": Decimal(record["amount"])}), in_doubt)


def _value(name: str, found: Any) -> str | None:
    """Return a value as text; None for null and for an empty text. Raises ``ValueError``."""
    if found is None or found == "":
        return None
    if isinstance(found, bool) or not isinstance(found, str | int | Decimal):
        raise ValueError(f"{name}: must be text or a number; got {str(found)[:40]!r}")
    text = str(found).strip()
    if len(text) > TEXT_CHARS_MAX or not text.isprintable():
        raise ValueError(f"{name}: must be at most {TEXT_CHARS_MAX} printable characters; got {text[:40]!a}")
    return text or None


def _matching(name: str, text: str | None, form: re.Pattern[str], rule: str) -> str:
    if text is not None and not form.fullmatch(text):
        raise ValueError(f"{name}: {rule}; got {text!r}")
    return text or ""


def _amount(text: str | None) -> Decimal:
    try:
        return money(Decimal(text or ""))
    except InvalidOperation:
        raise ValueError(f"transaction_amount: must be dollars such as 60.00; got {text!r}") from None
    except ValueError as error:
        raise ValueError(f"transaction_amount: {error}") from None


def _metadata(found: Any) -> dict[str, Any]:
    """Return the metadata, with the limits of init.

    The error message never contains the values: they are personal data.
    """
    if found is None or found == "":
        return {}
    try:
        tree = read_metadata(found if isinstance(found, str) else json.dumps(found, default=float))
    except (InvalidRequest, TooLarge, ValueError, TypeError, RecursionError):
        limit = f"of at most {BODY_BYTES_MAX} bytes"
        raise ValueError(f"metadata: must be a JSON object {limit}, as init takes it; it cannot be read") from None
    if not isinstance(tree, dict):
        raise ValueError("metadata: must be a JSON object; got another value")
    return tree


def _csv_rows(text: TextIOWrapper) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    lines = BoundedLines(text)
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    while True:
        lines.first = line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            if header is None:
                yield 1, "the file: must begin with a line that names the columns; got nothing"
            return
        except BrokenFile as broken:
            yield broken.line, f"{broken}; nothing after it was read"
            return
        except csv.Error as error:
            yield line, f"the line: must be CSV: {error}"
            continue
        if header is None:
            header = [cell.strip().lower() for cell in cells]
            missing = [name for name in REQUIRED if name not in header]
            if missing:
                yield line, f"the columns: must have {', '.join(missing)}; nothing after it was read"
                return
        elif len(cells) != len(header):
            yield line, f"the line: must have {len(header)} values, as the line with the columns; got {len(cells)}"
        else:
            yield line, dict(zip(header, cells, strict=True))


def _json_rows(text: TextIOWrapper) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    lines = BoundedLines(text)
    while True:
        lines.first = lines.number + 1
        try:
            line = next(lines)
        except StopIteration:
            return
        except BrokenFile as broken:
            yield broken.line, f"{broken}; nothing after it was read"
            return
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            yield lines.number, f"the line: must be a JSON object: {error}"
            continue
        yield lines.number, row if isinstance(row, dict) else "the line: must be a JSON object; got another value"
