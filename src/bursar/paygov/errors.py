"""The errors of a call to Pay.gov: one tree. Each leaf states what is known about the charge.

    PayGovError
    ├── NotSent                 the request never reached Pay.gov: refused, name not resolved, no connection
    │   └── ArgumentRefused     …because Pay.gov could not accept it: refused before sending (a ValueError too)
    ├── Fault                   Pay.gov refused the request, with a return code and a detail
    ├── OutcomeUnknown          the request may have reached Pay.gov, and may have taken place
    │   ├── TimedOut            no whole reply in time                                             (504)
    │   ├── Lost                the connection broke before the whole reply arrived                (504)
    │   └── Nonsense            a reply that is not Pay.gov's: garbage, wrong shape, bare HTTP 5xx (502)
    └── QueryUnavailable        the query service is not configured: nothing was sent

Law 2 (an unknown outcome is never a failure) depends on :attr:`PayGovError.certainty`. :data:`CLASSIFICATION` has a
row for every way in which a call can fail, and tests/paygov/test_errors.py has one test for each row. The names
follow the domain and do not end in "Error".
"""

from enum import Enum
from typing import ClassVar, Final

from bursar.paygov.protocol import FAULT_TOKEN_UNUSABLE

DETAIL_CHARACTERS_MAX = 500


class Certainty(Enum):
    """The knowledge about whether a failed call took place."""

    NOT_SENT = "definitely not sent"
    REFUSED = "definitely refused"
    UNKNOWN = "unknown"


class PayGovError(Exception):
    """The root of the tree. ``http_status``: the status with which a portal answers its caller."""

    certainty: ClassVar[Certainty]
    http_status: ClassVar[int]


class NotSent(PayGovError):
    """The request definitely did not reach Pay.gov. The caller can repeat it."""

    certainty = Certainty.NOT_SENT
    http_status = 504


class ArgumentRefused(NotSent, ValueError):
    """Pay.gov could never accept an argument; nothing was sent. The message names the argument."""

    http_status = 400


class Fault(PayGovError):
    """A refusal by Pay.gov: a ``TCSServiceFault`` with its return code and detail, both text.

    A definite refusal of *this* call. One code needs care: ``token_unusable`` (4117) is also the answer to a token that
    was completed before. A network can deliver one complete twice and return the second reply, and a restored store can
    complete a token again. So 4117 never proves that the payer was not charged.
    """

    certainty = Certainty.REFUSED
    http_status = 502

    def __init__(self, return_code: str, return_detail: str) -> None:
        self.return_code = return_code
        self.return_detail = return_detail[:DETAIL_CHARACTERS_MAX]
        super().__init__(f"Pay.gov fault {return_code}: {self.return_detail}")

    @property
    def token_unusable(self) -> bool:
        """Whether the code is 4117: the token does not exist, was used already, or is too old.

        Pay.gov does not say which.
        """
        return self.return_code == FAULT_TOKEN_UNUSABLE


class OutcomeUnknown(PayGovError):
    """The request may have taken place. This is never a failure; never repeat a ``complete`` blindly after it."""

    certainty = Certainty.UNKNOWN
    http_status = 504


class TimedOut(OutcomeUnknown):
    """The request was (or may have been) sent, and no whole reply arrived within the time allowed."""


class Lost(OutcomeUnknown):
    """The connection broke (reset, end of file, truncated body) before the whole reply arrived."""


class Nonsense(OutcomeUnknown):
    """A reply that cannot be read as Pay.gov's: garbage, wrong shape, too large, HTTP 5xx without a fault."""

    http_status = 502

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        self.reason = reason
        self.status = status
        super().__init__(reason if status is None else f"{reason} (HTTP {status})")


class QueryUnavailable(PayGovError):
    """The query service is not configured; nothing was sent."""

    certainty = Certainty.NOT_SENT
    http_status = 502


CLASSIFICATION: Final[tuple[tuple[str, type[PayGovError]], ...]] = (
    ("an argument that Pay.gov could not take", ArgumentRefused),
    ("the query service is not configured", QueryUnavailable),
    ("the host's name does not resolve", NotSent),
    ("the connection is refused", NotSent),
    ("no connection in time", NotSent),
    ("the TLS handshake fails", NotSent),
    ("a fault with a return code, on HTTP 200", Fault),
    ("a fault with a return code, on HTTP 400", Fault),
    ("a fault with a return code, on HTTP 500", Fault),
    ("connected, then silence", TimedOut),
    ("the reply drips too slowly", TimedOut),
    ("the connection is reset before the reply", Lost),
    ("the connection ends before the reply", Lost),
    ("a pooled connection ends under the request", Lost),
    ("the reply is cut short", Lost),
    ("bytes that are not HTTP", Nonsense),
    ("a redirect", Nonsense),
    ("HTTP 401 or 403 without a fault", Nonsense),
    ("HTTP 500, 502 or 503 without a fault", Nonsense),
    ("garbage instead of XML", Nonsense),
    ("truncated XML in a whole reply", Nonsense),
    ("a DTD or an entity", Nonsense),
    ("a reply larger than a reply may be", Nonsense),
    ("valid XML of another shape", Nonsense),
    ("the reply of another operation", Nonsense),
    ("the reply sent twice over", Nonsense),
    ("a SOAP fault without a return code", Nonsense),
)
"""An event during a call → the error that it raises. HTTP 4xx and plain SOAP faults are unknown, not refused: a gateway
between Bursar and Pay.gov may write either after Pay.gov has acted. Only a return code certainly comes from Pay.gov."""
