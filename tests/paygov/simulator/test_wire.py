"""Requests as the simulator reads them: equal forms mean the same, and other forms are refused."""

import pytest

from bursar.paygov.protocol import COMPLETE_WITH_DETAILS, NAMESPACE, ONLINE_OPERATIONS, START
from bursar.paygov.safe_xml import XmlRefused
from bursar.paygov.simulator.core import RequestRefused
from bursar.paygov.simulator.wire import read_request
from bursar.paygov.soap import build_envelope

VALUES = {"tcs_app_id": "APP", "token": "0123456789abcdef0123456789abcdef"}
PLAIN = build_envelope(COMPLETE_WITH_DETAILS, NAMESPACE, VALUES)


def test_the_envelope_of_our_own_client_is_read() -> None:
    assert read_request(ONLINE_OPERATIONS, PLAIN, "").fields == VALUES
    assert read_request(ONLINE_OPERATIONS, PLAIN, "").operation is COMPLETE_WITH_DETAILS


def test_an_envelope_with_entities_and_one_with_indents_mean_the_same() -> None:
    values = dict.fromkeys(START.request, "1") | {"url_success": "https://a.example/?x=1&y=<2>"}
    request = read_request(ONLINE_OPERATIONS, build_envelope(START, NAMESPACE, values), "")
    assert request.fields == values
    indented = PLAIN.replace(b"><", b">\n  <")
    assert read_request(ONLINE_OPERATIONS, indented, "").fields == VALUES


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
