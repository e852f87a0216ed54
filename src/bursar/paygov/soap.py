"""Pay.gov's SOAP: builds the envelopes of requests, and reads replies, which may have any content.

The readers raise only :class:`Fault` (Pay.gov refused the request) and :class:`Nonsense` (the reply is unreadable).
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache

from bursar.paygov.collection import Collection
from bursar.paygov.errors import ArgumentRefused, Fault, Nonsense
from bursar.paygov.protocol import (
    CLASSIFICATION_AMOUNT,
    CLASSIFICATION_ID,
    CLASSIFICATION_ITEM,
    COLLECTION_FIELDS,
    COMPLETION_FIELDS_NEEDED,
    FAULT_ELEMENT,
    LIST_ELEMENT,
    LIST_ITEM_ELEMENT,
    PAYGOV_TRACKING_ID,
    SOAP_NAMESPACE,
    TOKEN_CHARACTERS,
    TOKEN_FIELD,
    SoapOperation,
)
from bursar.paygov.safe_xml import Element, XmlRefused, only, parse_xml

FIELD_CHARACTERS_MAX = 1_000
"""The most characters of one field of a reply. Ids and words are much shorter."""

HTTP_OK = 200
TEMPLATES_KEPT_MAX = 64

_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?")
_TOKEN = re.compile(rf"[!-~]{{{TOKEN_CHARACTERS}}}")
_RETURN_CODE = re.compile(r"[!-~]{1,32}")
# As XML 1.0 has it, Char. One class of all characters that XML can carry takes 4 ms to compile.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]|[\ud800-\udfff]|[\ufffe\uffff]")
_NOT_PLAIN = re.compile('[^\x20-\x7e]|[&<>"]')
_CENT = Decimal("0.01")
_COLLECTION_FIELDS = frozenset(COLLECTION_FIELDS)


class InnerXml(str):
    """The value of a child that contains elements. It is written without escaping."""

    __slots__ = ()


def classification_xml(parts: Iterable[tuple[str, str]]) -> InnerXml:
    """Return the elements of a classification from (classification id, amount). Raises ArgumentRefused."""
    return InnerXml(
        "".join(
            f'<{CLASSIFICATION_ITEM} {CLASSIFICATION_ID}="{_escaped(CLASSIFICATION_ID, name)}" '
            f'{CLASSIFICATION_AMOUNT}="{amount}"/>'
            for name, amount in parts
        )
    )


def build_envelope(operation: SoapOperation, namespace: str, values: Mapping[str, str]) -> bytes:
    """Return the request of ``operation`` as UTF-8, with its children in the protocol's order.

    Raises ArgumentRefused for a value that XML cannot carry (a control character, a lone surrogate).
    """
    texts = [values[name] for name in operation.request]
    if _NOT_PLAIN.search("".join(texts)):
        texts = [_escaped(name, values[name]) for name in operation.request]
    return (_template(operation, namespace) % tuple(texts)).encode()


@lru_cache(TEMPLATES_KEPT_MAX)
def _template(operation: SoapOperation, namespace: str) -> str:
    """Return the envelope with ``%s`` for the text of each child."""
    children = "".join(f"<{name}>%s</{name}>" for name in operation.request)
    inner = operation.request_element
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="{SOAP_NAMESPACE}" xmlns:tcs="{escape(namespace).replace("%", "%%")}">'
        f"<soapenv:Header/><soapenv:Body><tcs:{operation.name}><{inner}>{children}</{inner}></tcs:{operation.name}>"
        "</soapenv:Body></soapenv:Envelope>"
    )


def read_reply(operation: SoapOperation, status: int, content_type: str, body: bytes) -> Element:
    """Return the element that holds the reply's fields.

    A success must have HTTP status 200. A fault with a return code is Pay.gov's on any status.

    Raises:
        Fault: Pay.gov refused the request, with a return code.
        Nonsense: anything else that is not the reply of ``operation``.
    """
    try:
        content = _body_content(parse_xml(body, content_type))
    except XmlRefused as refused:
        raise Nonsense(str(refused), status=status) from None
    if content is not None and content.tag == "Fault":
        raise _fault(content, status)
    if status != HTTP_OK:
        raise Nonsense("an HTTP error without a fault", status=status)
    if content is None or content.tag != operation.reply_element:
        raise Nonsense(f"not a reply to {operation.name}")
    fields = only(content, operation.reply_element)
    if fields is None:
        raise Nonsense(f"a reply to {operation.name} of another shape")
    return fields


def read_token(fields: Element) -> str:
    """Return the token of a started collection. Raises Nonsense unless it has exactly 32 printable characters."""
    token = _text_of(only(fields, TOKEN_FIELD))
    if not _TOKEN.fullmatch(token):
        raise Nonsense(f"a started collection without a token of {TOKEN_CHARACTERS} characters")
    return token


def read_completion(fields: Element) -> Collection:
    """Return a completed collection. Raises Nonsense if its tracking id or its status is missing."""
    collection = read_collection(fields)
    missing = [name for name in COMPLETION_FIELDS_NEEDED if getattr(collection, name) is None]
    if missing:
        raise Nonsense(f"a completed collection without {' and '.join(missing)}")
    return collection


def read_collections(fields: Element) -> tuple[Collection, ...]:
    """Return the list of a getDetails or a query: empty only if Pay.gov sent an empty list.

    Raises Nonsense if there is no list.
    """
    listed = only(fields, LIST_ELEMENT)
    if listed is None or any(child.tag != LIST_ITEM_ELEMENT for child in listed):
        raise Nonsense("a reply without its list of transactions")
    if not len(listed) and listed.text:
        raise Nonsense("text where a list of transactions should be")
    return tuple(read_collection(item) for item in listed)


def read_collection(element: Element) -> Collection:
    """Return the fields that Pay.gov sent; an empty field counts as absent.

    Raises Nonsense for a repeated, nested or overlong field, and for a Pay.gov tracking id of another form: Bursar
    could never look up such an id.
    """
    texts: dict[str, str] = {}
    for child in element:
        name, text = child.tag, child.text or ""
        if name not in _COLLECTION_FIELDS:
            continue  # Pay.gov may add fields that Bursar does not use.
        if name in texts or len(child) or len(text) > FIELD_CHARACTERS_MAX:
            raise Nonsense(f"a transaction whose {name} is repeated, nested or too long")
        texts[name] = text
    if not texts:
        raise Nonsense("a transaction without any known field")
    amount = texts.pop("transaction_amount", "")
    present = {name: text for name, text in texts.items() if text}
    if "paygov_tracking_id" in present and not PAYGOV_TRACKING_ID.fullmatch(present["paygov_tracking_id"]):
        raise Nonsense("a transaction whose paygov_tracking_id is not of Pay.gov's form")
    return Collection(transaction_amount=_amount(amount) if amount else None, **present)


def _body_content(envelope: Element) -> Element | None:
    """Return the one element of the envelope's body; None if there is no such element."""
    if envelope.tag != "Envelope":
        return None
    body = only(envelope, "Body")
    return body[0] if body is not None and len(body) == 1 else None


def _fault(fault: Element, status: int) -> Fault | Nonsense:
    detail = only(fault, "detail")
    service_fault = only(detail, FAULT_ELEMENT) if detail is not None else None
    code = _text_of(only(service_fault, "return_code")) if service_fault is not None else ""
    if service_fault is None or not _RETURN_CODE.fullmatch(code):
        return Nonsense("a SOAP fault without a return code", status=status)
    return Fault(code, _text_of(only(service_fault, "return_detail")))


def _text_of(element: Element | None) -> str:
    return "" if element is None else element.text or ""


def _amount(text: str) -> Decimal:
    if not _AMOUNT.fullmatch(text):
        raise Nonsense("a transaction whose transaction_amount is not an amount")
    return Decimal(text).quantize(_CENT)


def _escaped(name: str, value: str) -> str:
    if isinstance(value, InnerXml):
        return value
    if _NOT_XML.search(value):
        raise ArgumentRefused(f"{name}: must hold only characters that XML can carry")
    return escape(value)


def escape(text: str) -> str:
    """Return ``text`` escaped for an element or a double-quoted attribute."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
