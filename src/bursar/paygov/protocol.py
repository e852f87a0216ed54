"""Every assumption about Pay.gov's wire form, in one place, so that an agency's own documents can correct it here.

The specification of Trusted Collection Services is given only to agencies. What is below is what public clients and a
public test server show; whatever is a guess is marked GUESS.

    request   soapenv:Envelope / soapenv:Body / tcs:OP / OPRequest / unqualified children, in order
    reply     S:Envelope / S:Body / ns2:OPResponse / OPResponse / children     (prefixes and namespaces vary)
    fault     S:Envelope / S:Body / S:Fault / detail / ns2:TCSServiceFault / return_code, return_detail
"""

import re
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Final

from bursar.paygov.collection import Collection

SOAP_NAMESPACE = "http://schemas.xmlsoap.org/soap/envelope/"
NAMESPACE = "http://fms.treas.gov/services/tcsonline_3_3"
"""Namespace of the operations. Older clients use …/tcsonline or …/tcsonline_3_1: configuration chooses."""

CONTENT_TYPE = "text/xml; charset=utf-8"
BEARER_HEADER = "Authentication"
"""Not Authorization: the public test server reads the bearer token from a header of this name."""

ONLINE_PATH = "/services/TCSOnlineService"
QUERY_PATH = "/tcssinglequery/services/TCSSingleQueryService"
PAY_PATH = "/pay"
"""Where the simulator serves what Pay.gov serves; a real Pay.gov's addresses are configuration."""

TOKEN_CHARACTERS = 32
TOKEN_LIFE_S = 3 * 3600.0
AGENCY_TRACKING_ID_CHARACTERS_MAX = 21
PAYGOV_TRACKING_ID_CHARACTERS_MAX = 255
PAYGOV_TRACKING_ID: Final = re.compile(rf"[!-~]([ -~]{{0,{PAYGOV_TRACKING_ID_CHARACTERS_MAX - 2}}}[!-~])?")
"""Public test servers give 21 characters, spaces among them. GUESS: nothing longer or else is an id. What is read by
this form can be asked about by it."""
TCS_APP_ID_CHARACTERS_MAX = 64
"""GUESS: agencies' ids that are public have 8 to 21."""
URL_CHARACTERS_MAX = 2_048
"""GUESS."""
AMOUNT_MAX = Decimal("999999999.99")
"""GUESS: public material gives no limit. The payments table's own (payments.records.AMOUNT_MAX), so that whatever
a fee may cost can be asked for: tests/portal/contract/test_validation.py holds them equal."""

TRANSACTION_TYPE = "Sale"
LANGUAGE = "en"
PAYMENT_FREQUENCY = "ONE_TIME"

TRANSACTION_STATUSES: Final = frozenset(
    ("Success", "Settled", "Cancelled", "Failed", "Retired", "Pending", "Received", "Waiting", "Submitted")
)
PAYMENT_TYPES: Final = ("PLASTIC_CARD", "ACH", "PAYPAL")
"""The payment types that are publicly known; others may appear in a reply."""

FAULT_ELEMENT = "TCSServiceFault"
FAULT_NO_SUCH_APPLICATION = "4019"
FAULT_TOKEN_UNUSABLE = "4117"
FAULT_TOKEN_EXPIRED = "5009"
"""Never seen from Pay.gov: portals write it down for an attempt whose token they let expire."""
FAULT_UNPAID = FAULT_TOKEN_UNUSABLE
"""GUESS: what completing a token answers that nobody has paid yet. The public test server completes it as a card
payment; a real Pay.gov can hardly charge a card that nobody gave. 4117 is the harshest answer to have to live with: it
may mean "not yet" too, so it proves nothing once an outcome is unknown."""
FAULT_DETAILS: Final = {
    FAULT_NO_SUCH_APPLICATION: "No agency application found for given tcs_app_id.",
    FAULT_TOKEN_UNUSABLE: "Token does not exist, has been acted upon already, or is too old.",
    FAULT_TOKEN_EXPIRED: "Existing token expired.",
}


@dataclass(frozen=True)
class SoapOperation:
    """One SOAP operation: its name, the children of its request in order, and whether repeating it is harmless."""

    name: str
    request: tuple[str, ...]
    harmless: bool

    @property
    def request_element(self) -> str:
        return f"{self.name}Request"

    @property
    def reply_element(self) -> str:
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
    harmless=True,  # It makes one more token, and charges nobody.
)
COMPLETE: Final = SoapOperation("completeOnlineCollection", ("tcs_app_id", "token"), harmless=False)
COMPLETE_WITH_DETAILS: Final = SoapOperation(
    "completeOnlineCollectionWithDetails", ("tcs_app_id", "token"), harmless=False
)
GET_DETAILS: Final = SoapOperation("getDetails", ("tcs_app_id", "paygov_tracking_id"), harmless=True)

# TCSSingleQueryService. Its field-level form is not public: these three lines are a GUESS as a whole, and are
# all that an agency has to correct to query by agency tracking id.
QUERY_NAMESPACE = "http://fms.treas.gov/services/tcssinglequery"
QUERY: Final = SoapOperation("singleQuery", ("tcs_app_id", "agency_tracking_id"), harmless=True)
LIST_ELEMENT, LIST_ITEM_ELEMENT = "transactions", "transaction"
"""Of getDetails (public) and of the query (GUESS): transactions/transaction, none, one or many. The list element
itself must be there: an empty one says "there is none", a missing one says nothing."""

ONLINE_OPERATIONS: Final = {each.name: each for each in (START, COMPLETE, COMPLETE_WITH_DETAILS, GET_DETAILS)}
QUERY_OPERATIONS: Final = {QUERY.name: QUERY}

TOKEN_FIELD = "token"
COLLECTION_FIELDS: Final = tuple(each.name for each in fields(Collection))
"""Names on the wire are the names in :class:`Collection`. return_code and return_detail in a collection: GUESS."""

# A completion says at least these two; with either missing, the outcome is unknown. (completeOnlineCollection says
# only the first, which is why the client completes with completeOnlineCollectionWithDetails.)
COMPLETION_FIELDS_NEEDED: Final = ("paygov_tracking_id", "transaction_status")
