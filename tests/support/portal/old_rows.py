"""Rows of the court's portal, as its database exports them."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

REFERENCE = "0b5c6f6e-0000-4000-8000-000000000001"
CREATED = "2026-08-21 12:00:00.123456+00"


def old_row(number: int = 1, **values: Any) -> dict[str, Any]:
    """Return a paid row with ``values``; each number has its own ids and reference."""
    return {
        "agency_tracking_id": f"old{number}",
        "paygov_tracking_id": f"3FPA{number}",
        "client_name": "dawson",
        "transaction_reference_id": f"{REFERENCE[:-6]}{number:06d}",
        "fee": "PETITION_FILING_FEE",
        "transaction_amount": "60.00",
        "transaction_status": "processed",
        "payment_status": "success",
        "payment_method": "plastic_card",
        "return_code": "",
        "return_detail": "",
        "metadata": '{"docketNumber": "123-26"}',
        "created_at": CREATED,
        "last_updated_at": "2026-08-21 12:01:00.5+00",
        **values,
    }


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows as CSV, or as JSON lines if the name ends in .jsonl."""
    found = list(rows)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in found))
        return path
    written = io.StringIO()
    table = csv.DictWriter(written, list(found[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(found)
    path.write_text(written.getvalue())
    return path
