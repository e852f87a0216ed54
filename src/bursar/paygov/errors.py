"""Everything that can go wrong with a call to Pay.gov: one tree, and for each leaf what it says about the charge.

    PayGovError
    ├── NotSent                 the request never reached Pay.gov: refused, name not resolved, no connection in time
    │   └── ArgumentRefused     …because Pay.gov could not take it: caught before sending (also a ValueError)
    ├── Fault                   Pay.gov answered no, with a return code and a detail
    ├── OutcomeUnknown          the request may have reached Pay.gov, and may have taken place
    │   ├── TimedOut            no whole reply in time                                             (504)
    │   ├── Lost                the connection broke before the whole reply was here               (504)
    │   └── Nonsense            a reply that is not Pay.gov's: garbage, wrong shape, bare HTTP 5xx (502)
    └── QueryUnavailable        the query service is not configured: nothing was sent

Law 2 (an unknown outcome is never a failure) hangs on :attr:`PayGovError.certainty`; :data:`CLASSIFICATION`
is the whole table, and tests/paygov holds one test for each of its rows.
"""

from enum import Enum
from typing import ClassVar

DETAIL_CHARACTERS_MAX = 500


class Certainty(Enum):
    """What a failed call leaves us knowing about whether it took place."""

    NOT_SENT = "definitely not sent"
    REFUSED = "definitely refused"
    UNKNOWN = "unknown"


class PayGovError(Exception):
    """The root of the tree. ``http_status`` is what a portal answers its own caller with."""

    certainty: ClassVar[Certainty]
    http_status: ClassVar[int]


class NotSent(PayGovError):
    """The request definitely did not reach Pay.gov; it may be repeated freely."""

    certainty = Certainty.NOT_SENT
    http_status = 504


class ArgumentRefused(NotSent, ValueError):
    """An argument that Pay.gov could never take; nothing was sent. The message names the argument."""

    http_status = 400


class Fault(PayGovError):
    """Pay.gov's own no: a ``TCSServiceFault`` with its return code and detail, both text.

    A definite refusal of *this* call. One code needs care: ``token_unusable`` (4117) is also the answer to a
    second complete of a token whose first reply was lost, so after an unknown outcome it proves nothing.
    """

    certainty = Certainty.REFUSED
    http_status = 502

    def __init__(self, return_code: str, return_detail: str) -> None:
        self.return_code = return_code
        self.return_detail = return_detail[:DETAIL_CHARACTERS_MAX]
        super().__init__(f"Pay.gov fault {return_code}: {self.return_detail}")

    @property
    def token_unusable(self) -> bool:
        """Whether this is 4117: no such token, or acted upon already, or too old. Pay.gov does not say which."""
        return self.return_code == FAULT_TOKEN_UNUSABLE


class OutcomeUnknown(PayGovError):
    """The request may have taken place. Never a failure, never a reason to repeat a ``complete`` blindly."""

    certainty = Certainty.UNKNOWN
    http_status = 504


class TimedOut(OutcomeUnknown):
    """The request was (or may have been) sent and no whole reply came within the time allowed."""


class Lost(OutcomeUnknown):
    """The connection broke (reset, end of file, truncated body) before the whole reply was here."""


class Nonsense(OutcomeUnknown):
    """A reply that cannot be read as Pay.gov's: garbage, wrong shape, too large, HTTP 5xx without a fault."""

    http_status = 502

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        self.reason = reason
        self.status = status
        super().__init__(reason if status is None else f"{reason} (HTTP {status})")


class QueryUnavailable(PayGovError):
    """Configuration says that Pay.gov's query service is not available here; nothing was sent."""

    certainty = Certainty.NOT_SENT
    http_status = 502


# Return codes that are publicly known; the portal uses 5009 for its own "existing token expired".
FAULT_NO_SUCH_APPLICATION = "4019"
FAULT_TOKEN_UNUSABLE = "4117"
FAULT_TOKEN_EXPIRED = "5009"
