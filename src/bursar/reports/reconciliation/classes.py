"""The classes of a reconciliation. Each line of a file is in exactly one, so the classes add up to the file.

docs/reconciliation.md says what to do for each class.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class LineClass:
    """One class: its name in records and output, its title for people, and whether it is a difference.

    ``of_payments``: the class of payments that no file has, so a file's total does not include it.
    """

    name: str
    title: str
    is_difference: bool
    of_payments: bool = False


MATCHED: Final = LineClass("matched", "matched, collected", False)
IN_TRANSIT: Final = LineClass("in_transit", "agreed, settling", False)
NOT_COLLECTED: Final = LineClass("not_collected", "agreed, not collected", False)
REVERSED: Final = LineClass("reversed", "reversal, recorded here", False)
SUPERSEDED: Final = LineClass("superseded", "earlier state of a collection", False)
REVERSAL_NOT_RECORDED: Final = LineClass("reversal_not_recorded", "reversal, not recorded here", True)
MISSING_HERE: Final = LineClass("missing_here", "missing here", True)
MISSING_THERE: Final = LineClass("missing_there", "missing in the files", True, of_payments=True)
AT_THE_EDGE: Final = LineClass("at_the_edge", "may be in the file of another day", False, of_payments=True)
STATUS_DIFFERS: Final = LineClass("status_differs", "status differs", True)
AMOUNT_DIFFERS: Final = LineClass("amount_differs", "amount differs", True)
DATE_DIFFERS: Final = LineClass("date_differs", "date differs", True)
ID_DIFFERS: Final = LineClass("id_differs", "Pay.gov tracking id differs", True)
REPEATED: Final = LineClass("repeated", "twice in the files", True)
CHARGED_TWICE: Final = LineClass("charged_twice", "charged twice", True)
UNKNOWN: Final = LineClass("unknown", "unknown", True)
MALFORMED: Final = LineClass("malformed", "malformed", True)

CLASSES: Final = (
    MATCHED, IN_TRANSIT, NOT_COLLECTED, REVERSED, SUPERSEDED, AT_THE_EDGE, CHARGED_TWICE, STATUS_DIFFERS,
    AMOUNT_DIFFERS, DATE_DIFFERS, ID_DIFFERS, MISSING_HERE, MISSING_THERE, REVERSAL_NOT_RECORDED, REPEATED, UNKNOWN,
    MALFORMED,
)  # fmt: skip
BY_NAME: Final = {each.name: each for each in CLASSES}
