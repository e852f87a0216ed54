"""Every assumption about Pay.gov's wire form, in one place, so that an agency's own documents can correct it here.

The specification of Trusted Collection Services is given only to agencies. What is below is what public clients
and a public test server show; what is a guess says that it is one.
"""

from dataclasses import dataclass

SOAP_NAMESPACE = "http://schemas.xmlsoap.org/soap/envelope/"
NAMESPACE = "http://fms.treas.gov/services/tcsonline_3_3"
"""Namespace of the operations. Older clients use …/tcsonline or …/tcsonline_3_1: configuration chooses."""

CONTENT_TYPE = "text/xml; charset=utf-8"
BEARER_HEADER = "Authentication"
"""Not Authorization: the public test server reads the bearer token from a header of this name."""

ONLINE_PATH = "/services/TCSOnlineService"
QUERY_PATH = "/tcssinglequery/services/TCSSingleQueryService"

TOKEN_CHARACTERS = 32
TOKEN_LIFE_S = 3 * 3600.0
AGENCY_TRACKING_ID_CHARACTERS_MAX = 21
"""Of an agency_tracking_id; longer ones are refused before sending."""
