"""The payments domain: fees, clients, the status graph, the records, the rules, and the ledger that stores them.

This package writes every fact about a payment, as one transaction that the rules allow, and reads it back. It knows
nothing of HTTP, of Pay.gov's SOAP, or of SQL.
"""

from bursar.payments.clients import Client, Clients, ClientsError
from bursar.payments.due import DuePolicy
from bursar.payments.errors import (
    AttemptMoved,
    AttemptsExhausted,
    FeeRetired,
    IdentifierTaken,
    LeaseHeld,
    LedgerBusy,
    LedgerError,
    MetadataDiffers,
    MetadataErased,
    ObligationTaken,
    OutcomeContradicts,
)
from bursar.payments.fees import Fee, FeeCatalogue, FeesError
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import Attempt, Event, Obligation, Outcome
from bursar.payments.rules import payment_rules
from bursar.payments.status import NoSuchEdge, payment_status

__all__ = [
    "Attempt",
    "AttemptMoved",
    "AttemptsExhausted",
    "Client",
    "Clients",
    "ClientsError",
    "DuePolicy",
    "Event",
    "Fee",
    "FeeCatalogue",
    "FeeRetired",
    "FeesError",
    "IdentifierTaken",
    "LeaseHeld",
    "Ledger",
    "LedgerBusy",
    "LedgerError",
    "MetadataDiffers",
    "MetadataErased",
    "NoSuchEdge",
    "Obligation",
    "ObligationTaken",
    "ObligationView",
    "Outcome",
    "OutcomeContradicts",
    "payment_rules",
    "payment_status",
]
