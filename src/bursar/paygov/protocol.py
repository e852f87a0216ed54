"""Every assumption about Pay.gov's wire form, in one place, so that an agency can correct it from its documents.

Only agencies receive the specification of Trusted Collection Services. The facts below come from public clients and a
public test server; each guess has the word GUESS.

    request   soapenv:Envelope / soapenv:Body / tcs:OP / OPRequest / unqualified children, in order
    reply     S:Envelope / S:Body / ns2:OPResponse / OPResponse / children     (prefixes and namespaces vary)
    fault     S:Envelope / S:Body / S:Fault / detail / ns2:TCSServiceFault / return_code, return_detail
"""

import re
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cached_property
from typing import Final, Literal

from bursar.paygov.collection import Collection

SOAP_NAMESPACE = "http://schemas.xmlsoap.org/soap/envelope/"
NAMESPACE = "http://fms.treas.gov/services/tcsonline_3_3"
"""The default namespace of the operations.

It is a setting, because older clients use …/tcsonline or …/tcsonline_3_1.
"""
NAMESPACES: Final = (
    "http://fms.treas.gov/services/tcsonline",
    "http://fms.treas.gov/services/tcsonline_3_0",
    "http://fms.treas.gov/services/tcsonline_3_1",
    NAMESPACE,
)
"""Every version that a public client has been seen to use. `bursar paygov probe` asks which of them answer."""

CONTENT_TYPE = "text/xml; charset=utf-8"
BEARER_HEADER = "Authentication"
"""The header with the bearer token. It is not Authorization, because the public test server reads this one."""

ONLINE_PATH = "/services/TCSOnlineService"
QUERY_PATH = "/tcssinglequery/services/TCSSingleQueryService"
PAY_PATH = "/pay"
"""The paths of the simulator. The addresses of a real Pay.gov are configuration."""

TOKEN_CHARACTERS = 32
TOKEN_LIFE_S = 3 * 3600.0
AGENCY_TRACKING_ID_CHARACTERS_MAX = 21
PAYGOV_TRACKING_ID_CHARACTERS_MAX = 255
PAYGOV_TRACKING_ID: Final = re.compile(rf"[!-~]([ -~]{{0,{PAYGOV_TRACKING_ID_CHARACTERS_MAX - 2}}}[!-~])?")
"""Public test servers give 21 characters, spaces among them. GUESS: every id has this form and at most this length.
Replies and requests use the same form, so every id that a reply holds can be looked up."""
TCS_APP_ID_CHARACTERS_MAX = 64
"""GUESS: the agencies' ids that are public have 8 to 21 characters."""
URL_CHARACTERS_MAX = 2_048
"""GUESS."""
AMOUNT_MAX = Decimal("999999999.99")
"""GUESS: public material gives no limit. It equals the limit of the payments table (payments.records.AMOUNT_MAX), so
that a payer can be asked for any amount of a fee: tests/portal/contract/test_validation.py holds them equal."""

TRANSACTION_TYPE = "Sale"
LANGUAGE = "en"
PAYMENT_FREQUENCY = "ONE_TIME"

STATUS_RETURNED = "Retired"
"""The status of a settled debit that the payer's bank returned.

Source: the Social Security Administration, EM-21011.
"""
TRANSACTION_STATUSES: Final = frozenset(
    ("Success", "Settled", "Cancelled", "Failed", "Retired", "Pending", "Received", "Waiting", "Submitted")
)
PAYMENT_TYPES: Final = ("PLASTIC_CARD", "ACH", "PAYPAL")
"""The payment types that are publicly known. Others may appear in a reply."""

FAULT_ELEMENT = "TCSServiceFault"
FAULT_NO_SUCH_APPLICATION = "4019"
FAULT_TOKEN_UNUSABLE = "4117"
FAULT_TOKEN_EXPIRED = "5009"
"""Pay.gov has never been seen to send it. Portals record it for an attempt whose token expired."""
FAULT_UNPAID = FAULT_TOKEN_UNUSABLE
"""GUESS: the fault that answers a complete of an unpaid token. The public test server completes such a token as a card
payment, but a real Pay.gov cannot charge a card that no payer has entered. 4117 is the most difficult answer for the
client: it may also mean "not yet", so it proves nothing once an outcome is unknown."""
FAULT_DETAILS: Final = {
    FAULT_NO_SUCH_APPLICATION: "No agency application found for given tcs_app_id.",
    FAULT_TOKEN_UNUSABLE: "Token does not exist, has been acted upon already, or is too old.",
    FAULT_TOKEN_EXPIRED: "Existing token expired.",
}


@dataclass(frozen=True)
class SoapOperation:
    """One SOAP operation: its name, the children of its request in order, and whether it is safe to repeat."""

    name: str
    request: tuple[str, ...]
    harmless: bool

    @cached_property
    def request_element(self) -> str:
        """The name of the element that holds the children of a request."""
        return f"{self.name}Request"

    @cached_property
    def reply_element(self) -> str:
        """The name of the element that holds the children of a reply."""
        return f"{self.name}Response"


START: Final = SoapOperation(
    "startOnlineCollection",
    (
        "tcs_app_id",
        "agency_tracking_id",
        "transaction_type",
        "transaction_amount",
        "language",
        "url_success",
        "url_cancel",
    ),
    harmless=True,  # Repeating it makes another token, and charges no payer.
)
CLASSIFICATION, CLASSIFICATION_ITEM = "classification", "classification_data"
CLASSIFICATION_ID, CLASSIFICATION_AMOUNT = "classification_id", "amount"
"""The split of a payment over the Treasury's accounts: one empty element per account, with these two attributes. Public
classes of version 3_0 have it; not checked for 3_3."""
CLASSIFICATION_ID_CHARACTERS_MAX = 100
"""GUESS."""
START_CLASSIFIED: Final = SoapOperation(START.name, (*START.request, CLASSIFICATION), harmless=True)
COMPLETE: Final = SoapOperation("completeOnlineCollection", ("tcs_app_id", "token"), harmless=False)
COMPLETE_WITH_DETAILS: Final = SoapOperation(
    "completeOnlineCollectionWithDetails", ("tcs_app_id", "token"), harmless=False
)
GET_DETAILS: Final = SoapOperation("getDetails", ("tcs_app_id", "paygov_tracking_id"), harmless=True)
GET_DETAILS_BY_AGENCY_ID: Final = SoapOperation("getDetails", ("tcs_app_id", "agency_tracking_id"), harmless=True)
"""The same operation with the other id. Public classes of version 3_0 have it; not checked for 3_3."""

# TCSSingleQueryService. Its field-level form is not public: these lines are a GUESS as a whole. To query by agency
# tracking id, an agency has to correct only these lines.
QUERY_NAMESPACE = "http://fms.treas.gov/services/tcssinglequery"
QUERY: Final = SoapOperation("singleQuery", ("tcs_app_id", "agency_tracking_id"), harmless=True)
LIST_ELEMENT, LIST_ITEM_ELEMENT = "transactions", "transaction"
"""The list of getDetails (public) and of the query (GUESS): transactions/transaction, none, one or many. The list
element must be present: an empty list means "there are none", and a missing list means nothing."""
LOOKUP_FAULTS_MEANING_NONE: Final[frozenset[str]] = frozenset()
"""GUESS: the return codes by which a lookup by agency tracking id says that Pay.gov has no such collection. The set is
empty: only an empty list means that, and a fault is not an answer. `bursar paygov probe` shows what an agency's Pay.gov
answers. Never add 4117: it is also the answer to a lookup of another application."""

LookupName = Literal["details", "query"]
LOOKUPS: Final[tuple[LookupName, ...]] = ("details", "query")
"""The ways to find a collection by its agency tracking id: getDetails, and TCSSingleQueryService."""

ONLINE_OPERATIONS: Final = {each.name: each for each in (START, COMPLETE, COMPLETE_WITH_DETAILS, GET_DETAILS)}
QUERY_OPERATIONS: Final = {QUERY.name: QUERY}

TOKEN_FIELD = "token"
COLLECTION_FIELDS: Final = tuple(each.name for each in fields(Collection))
"""The names on the wire are the names in :class:`Collection`. GUESS: a collection holds return_code, return_detail."""

# A completion has at least these two fields. If one is missing, the outcome is unknown. The client completes with
# completeOnlineCollectionWithDetails because the reply of completeOnlineCollection has only the first.
COMPLETION_FIELDS_NEEDED: Final = ("paygov_tracking_id", "transaction_status")
