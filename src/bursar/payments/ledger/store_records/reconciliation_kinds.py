"""The kinds of the records of reconciliations, for the rules: a portal loads them without the records themselves."""

from typing import Final

RECONCILIATION_RUN: Final = "reconciliation-run"
RECONCILIATION_SIGN_OFF: Final = "reconciliation-sign-off"
RECONCILIATION_PART: Final = "reconciliation-part"
"""The ``kind`` of each item."""
