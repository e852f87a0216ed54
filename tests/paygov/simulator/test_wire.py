"""Requests as the simulator reads them: the quick way and the parser agree, and nothing hostile gets further."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bursar.paygov.protocol import COMPLETE_WITH_DETAILS, NAMESPACE, ONLINE_OPERATIONS, START
from bursar.paygov.safe_xml import XmlRefused
from bursar.paygov.simulator.core import RequestRefused
from bursar.paygov.simulator.wire import PLAIN_ENVELOPE, parse_request, read_request
from bursar.paygov.soap import build_envelope

VALUES = {"tcs_app_id": "APP", "token": "0123456789abcdef0123456789abcdef"}
PLAIN = build_envelope(COMPLETE_WITH_DETAILS, NAMESPACE, VALUES)


def test_our_own_clients_envelopes_take_the_quick_way() -> None:
    assert PLAIN_ENVELOPE.fullmatch(PLAIN)
    assert read_request(ONLINE_OPERATIONS, PLAIN, "").fields == VALUES
    assert read_request(ONLINE_OPERATIONS, PLAIN, "").operation is COMPLETE_WITH_DETAILS


def test_an_envelope_with_entities_and_one_with_indents_mean_the_same() -> None:
    values = dict.fromkeys(START.request, "1") | {"url_success": "https://a.example/?x=1&y=<2>"}
    request = read_request(ONLINE_OPERATIONS, build_envelope(START, NAMESPACE, values), "")
    assert request.fields == values
    indented = PLAIN.replace(b"><", b">\n  <")
    assert read_request(ONLINE_OPERATIONS, indented, "").fields == VALUES


PIECES = [
    *(b"<tcs_app_id>A</tcs_app_id>", b"<token> t </token>", b"<token/>", b"<token a='1'>t</token>", b"<n:x>1</n:x>"),
    *(b"<x>]]></x>", b"<x>&lt;</x>", b"<x><y>1</y></x>", "<x>ü</x>".encode(), b"</x>", b"&x;", b">", b"text"),
    *(b"<!-- -->", b"<![CDATA[x]]>", b"\x00", b"\xff", b"\x0c", b"\n", b" "),
]

HEAD, _, REST = PLAIN.partition(b"<tcs_app_id>")
FOOT = REST.rpartition(b"</token>")[2]


@given(st.lists(st.sampled_from(PIECES), max_size=5).map(b"".join))
def test_what_the_quick_way_reads_the_parser_reads_alike(content: bytes) -> None:
    body = HEAD + content + FOOT
    if PLAIN_ENVELOPE.fullmatch(body):
        name, pairs = parse_request(body, "")
        assert name == COMPLETE_WITH_DETAILS.name
        if len(dict(pairs)) == len(pairs):
            assert read_request(ONLINE_OPERATIONS, body, "").fields == dict(pairs)


NAMED = PLAIN.index(NAMESPACE.encode())


@given(st.integers(0, len(PLAIN)), st.integers(0, len(PLAIN)), st.binary(max_size=8))
@example(NAMED, NAMED, b"}")
@example(NAMED, NAMED + len(NAMESPACE), b"http://www.w3.org/XML/1998/namespace")
def test_a_mangled_request_is_read_alike_or_refused(start: int, end: int, instead: bytes) -> None:
    body = PLAIN[:start] + instead + PLAIN[end:]
    try:
        request = read_request(ONLINE_OPERATIONS, body, "")
    except (XmlRefused, RequestRefused):
        return
    name, pairs = parse_request(body, "")
    assert (request.operation.name, request.fields) == (name, dict(pairs))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a/>",
        b"<Envelope/>",
        b"<Envelope><Body/></Envelope>",
        b"<Envelope><Body><a/><b/></Body></Envelope>",
        PLAIN.replace(b"completeOnlineCollectionWithDetails", b"emptyTheVault"),
        PLAIN.replace(b"WithDetailsRequest", b"Request"),
        PLAIN.replace(b"<token>", b"<token>t</token><token>"),
        PLAIN.replace(b"<token>", b"<token><deeper/>"),
        b"<!DOCTYPE a>" + PLAIN.partition(b"?>")[2],
    ],
)
def test_a_request_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises((XmlRefused, RequestRefused)):
        read_request(ONLINE_OPERATIONS, body, "")
