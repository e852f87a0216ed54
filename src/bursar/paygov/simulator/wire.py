"""SOAP on the server's side: reads requests, which are untrusted input, and writes replies.

A :class:`SimulatorAnswer` holds a reply and how it reaches the caller. Each door (``app``, ``in_process``) delivers the
reply accordingly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import orjson

from bursar.paygov.protocol import (
    CLASSIFICATION,
    CLASSIFICATION_AMOUNT,
    CLASSIFICATION_ID,
    CONTENT_TYPE,
    FAULT_ELEMENT,
    GET_DETAILS,
    GET_DETAILS_BY_AGENCY_ID,
    SOAP_NAMESPACE,
    SoapOperation,
)
from bursar.paygov.safe_xml import Element, only, parse_xml
from bursar.paygov.simulator.core import RequestRefused
from bursar.paygov.soap import escape

REPLY_NAMESPACE = "http://fms.treas.gov/services/tcsonline"
"""The namespace of replies.

It differs from that of requests: public test servers always answer in the namespace without a version.
"""


class Ending(Enum):
    """How an answer reaches its caller."""

    WHOLE = "whole"
    DRIPPED = "drop after drop"
    CUT = "ends in its middle"
    RESET = "the connection is reset"
    DROPPED = "never"
    REFUSED = "no connection"


@dataclass(frozen=True, slots=True)
class SimulatorAnswer:
    """An HTTP reply, and how it reaches the caller. ``drip_s``: the seconds that a dripped reply takes."""

    status: int
    content_type: str
    body: bytes
    ending: Ending = Ending.WHOLE
    drip_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SoapRequest:
    """An operation, and the fields of its request by name."""

    operation: SoapOperation
    fields: dict[str, str]


RequestReader = Callable[[Mapping[str, SoapOperation], bytes, str], SoapRequest]
"""Returns the request in a body, from the operations of the service, the body and its content type."""


def read_request(operations: Mapping[str, SoapOperation], body: bytes, content_type: str) -> SoapRequest:
    """Return the request in ``body``. Raises XmlRefused or RequestRefused."""
    name, pairs = _parse_request(body, content_type)
    operation = operations.get(name)
    if operation is None:
        raise RequestRefused(f"the operation: must be one of {', '.join(operations)}")
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RequestRefused(f"{operation.request_element}: must not repeat a field")
    if operation is GET_DETAILS and "agency_tracking_id" in fields and "paygov_tracking_id" not in fields:
        operation = GET_DETAILS_BY_AGENCY_ID
    return SoapRequest(operation, fields)


def _parse_request(body: bytes, content_type: str) -> tuple[str, list[tuple[str, str]]]:
    envelope = parse_xml(body, content_type)
    soap_body = only(envelope, "Body") if envelope.tag == "Envelope" else None
    if soap_body is None or len(soap_body) != 1:
        raise RequestRefused("the request: must be a SOAP envelope with one operation in its body")
    content = soap_body[0]
    request = only(content, f"{content.tag}Request")
    if request is None or any(len(field) and field.tag != CLASSIFICATION for field in request):
        raise RequestRefused(f"{content.tag}: must hold {content.tag}Request, whose fields have no children")
    return content.tag, [(field.tag, _value(field)) for field in request]


def _value(field: Element) -> str:
    """Return a field's text; of a classification, its parts as JSON: ``[["id", "24.00"], …]``."""
    if field.tag != CLASSIFICATION:
        return field.text or ""
    names = (CLASSIFICATION_ID, CLASSIFICATION_AMOUNT)
    parts = [[part.get(name, "") for name in names] for part in field]
    return orjson.dumps(parts).decode()


# Writing replies


def envelope(content: bytes) -> bytes:
    """Return a SOAP envelope with ``content`` as its body."""
    return b'<?xml version="1.0" encoding="UTF-8"?><S:Envelope xmlns:S="%s"><S:Body>%s</S:Body></S:Envelope>' % (
        SOAP_NAMESPACE.encode(),
        content,
    )


def reply(operation: SoapOperation, content: bytes) -> SimulatorAnswer:
    """Return the successful reply of ``operation``; ``content`` is the XML of its fields."""
    element = operation.reply_element.encode()
    return SimulatorAnswer(
        200,
        CONTENT_TYPE,
        envelope(
            b'<ns2:%s xmlns:ns2="%s"><%s>%s</%s></ns2:%s>'
            % (element, REPLY_NAMESPACE.encode(), element, content, element, element)
        ),
    )


def fault_reply(code: str, detail: str) -> SimulatorAnswer:
    """Return a fault with a return code."""
    content = (
        "<S:Fault><faultcode>S:Server</faultcode><faultstring>TCS Error</faultstring><detail>"
        f'<ns2:{FAULT_ELEMENT} xmlns:ns2="{REPLY_NAMESPACE}"><return_code>{escape(code)}</return_code>'
        f"<return_detail>{escape(detail)}</return_detail></ns2:{FAULT_ELEMENT}></detail></S:Fault>"
    )
    return SimulatorAnswer(400, CONTENT_TYPE, envelope(content.encode()))


def plain_fault_reply(whose: str, sentence: str) -> SimulatorAnswer:
    """Return a SOAP fault without a return code. ``whose``: ``Client`` or ``Server``, the party at fault."""
    content = f"<S:Fault><faultcode>S:{whose}</faultcode><faultstring>{escape(sentence)}</faultstring></S:Fault>"
    return SimulatorAnswer(500, CONTENT_TYPE, envelope(content.encode("utf-8", "replace")))
