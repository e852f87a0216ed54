"""The payments domain: fees, clients, the status graph, the records, the rules, and the ledger that stores them.

This package writes every fact about a payment, as one transaction that the rules allow, and reads it back. It knows
nothing of HTTP, of Pay.gov's SOAP, or of SQL.

A name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from bursar.lazy_names import lazy_names

if TYPE_CHECKING:
    from bursar.payments.catalogue.clients import Client, Clients, ClientsError
    from bursar.payments.catalogue.fees import Fee, FeeCatalogue, FeesError
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

__getattr__ = lazy_names(
    __name__,
    {
        "Attempt": "records",
        "AttemptMoved": "errors",
        "AttemptsExhausted": "errors",
        "Client": "catalogue.clients",
        "Clients": "catalogue.clients",
        "ClientsError": "catalogue.clients",
        "DuePolicy": "due",
        "Event": "records",
        "Fee": "catalogue.fees",
        "FeeCatalogue": "catalogue.fees",
        "FeeRetired": "errors",
        "FeesError": "catalogue.fees",
        "IdentifierTaken": "errors",
        "LeaseHeld": "errors",
        "Ledger": "ledger.ledger",
        "LedgerBusy": "errors",
        "LedgerError": "errors",
        "MetadataDiffers": "errors",
        "MetadataErased": "errors",
        "NoSuchEdge": "status",
        "Obligation": "records",
        "ObligationTaken": "errors",
        "ObligationView": "obligation_view",
        "Outcome": "records",
        "OutcomeContradicts": "errors",
        "payment_rules": "rules",
        "payment_status": "status",
    },
)
