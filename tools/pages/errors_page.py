"""docs/errors.md, generated from the catalogue of errors; a test checks that the file is current.

python -m tools.pages.errors_page > docs/errors.md
"""

import sys

from bursar.portal.contract.error_catalogue import CATALOGUE, ErrorCode

_HEAD = """\
# Errors

Generated from `portal/contract/error_catalogue.py` by `python -m tools.pages.errors_page`; do not edit.

Every error is JSON of one shape:

```json
{"message": "Validation error", "code": "invalid_request",
 "errors": [{"path": ["urlSuccess"], "message": "is required", "code": "required"}]}
```

- `code` is stable: branch on it.
- `message` is for people, and its text stays the same for clients that compare it.
- `errors` has one entry for each problem of a request; it is empty for most errors.
- An answer 410 also has `paymentStatus` and `transactions`, as `details` has them: the state of the payment.

A status alone does not say whether the payer may have been charged.
After `outcome_unknown` the payer may have been; after `nothing_sent` and `no_token` the payer was not.

| code | status | what happened | what to do |
|---|---|---|---|
"""


def errors_page() -> str:
    """Return the page as Markdown: the shape of an error, and every code by HTTP status."""
    return _HEAD + "".join(_row(row) for row in CATALOGUE.values())


def _row(row: ErrorCode) -> str:
    statuses = ", ".join(str(status) for status in row.statuses)
    return f"| `{row.code}` | {statuses} | {row.meaning} | {row.action} |\n"


if __name__ == "__main__":
    sys.stdout.write(errors_page())
