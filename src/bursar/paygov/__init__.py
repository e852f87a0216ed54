"""Pay.gov: the client that collects money through it, and a Pay.gov for development and tests (``simulator``).

The room knows nothing of obligations, attempts or stores. Start at ``client.py``. ``protocol.py`` holds every
assumption about Pay.gov's wire form. ``errors.py`` draws the errors.
"""

from bursar.paygov.client import PayGov
from bursar.paygov.collection import Collection
from bursar.paygov.config import PayGovConfig
from bursar.paygov.errors import (
    ArgumentRefused,
    Certainty,
    Fault,
    Lost,
    Nonsense,
    NotSent,
    OutcomeUnknown,
    PayGovError,
    QueryUnavailable,
    TimedOut,
)
from bursar.paygov.http_transport import HttpTransport
from bursar.paygov.transport import HttpReply, Transport

__all__ = [
    "ArgumentRefused",
    "Certainty",
    "Collection",
    "Fault",
    "HttpReply",
    "HttpTransport",
    "Lost",
    "Nonsense",
    "NotSent",
    "OutcomeUnknown",
    "PayGov",
    "PayGovConfig",
    "PayGovError",
    "QueryUnavailable",
    "TimedOut",
    "Transport",
]
