"""Envelopes, byte for byte; replies in every form with the same meaning; and replies that are refused."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bursar.paygov import ArgumentRefused, Collection, Fault, Nonsense
from bursar.paygov.protocol import (
    COMPLETE_WITH_DETAILS,
    GET_DETAILS,
    NAMESPACE,
    START,
    SoapOperation,
)
from bursar.paygov.safe_xml import parse_xml
from bursar.paygov.soap import (
    _NOT_XML,
    build_envelope,
    read_collections,
    read_completion,
    read_reply,
    read_token,
)
from tests.support.paygov.world import soap_fault, soap_reply

TOKEN = "0123456789abcdef0123456789abcdef"


def test_the_characters_that_xml_cannot_carry_are_those_of_the_standard() -> None:
    # Char in XML 1.0: #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF].
    every = "".join(map(chr, (*range(0x1_0002), 0x10_FFFF)))
    carried = {0x9, 0xA, 0xD, *range(0x20, 0xD800), *range(0xE000, 0xFFFE), 0x1_0000, 0x1_0001, 0x10_FFFF}
    assert set(map(ord, _NOT_XML.findall(every))) == set(map(ord, every)) - carried


def test_a_start_as_it_is_sent() -> None:
    values = {
        "tcs_app_id": "TCSAPP",
        "agency_tracking_id": "588234832626439493e92",
        "transaction_type": "Sale",
        "transaction_amount": "60.00",
        "language": "en",
        "url_success": "https://a.example/?x=1&y=2",
        "url_cancel": "https://a.example/c",
    }
    assert build_envelope(START, NAMESPACE, values).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:tcs="http://fms.treas.gov/services/tcsonline_3_3"><soapenv:Header/><soapenv:Body>'
        "<tcs:startOnlineCollection><startOnlineCollectionRequest>"
        "<tcs_app_id>TCSAPP</tcs_app_id>"
        "<agency_tracking_id>588234832626439493e92</agency_tracking_id>"
        "<transaction_type>Sale</transaction_type>"
        "<transaction_amount>60.00</transaction_amount>"
        "<language>en</language>"
        "<url_success>https://a.example/?x=1&amp;y=2</url_success>"
        "<url_cancel>https://a.example/c</url_cancel>"
        "</startOnlineCollectionRequest></tcs:startOnlineCollection></soapenv:Body></soapenv:Envelope>"
    )


def test_the_namespace_is_configuration() -> None:
    values = {"tcs_app_id": "A", "token": TOKEN}
    assert b'xmlns:tcs="urn:&quot;older&quot;"' in build_envelope(COMPLETE_WITH_DETAILS, 'urn:"older"', values)


@given(st.text(max_size=40))
def test_any_value_arrives_unchanged_or_is_refused(value: str) -> None:
    try:
        envelope = build_envelope(COMPLETE_WITH_DETAILS, NAMESPACE, {"tcs_app_id": "A", "token": value})
    except ArgumentRefused:
        return
    (body,) = parse_xml(envelope).findall("Body")
    sent = body[0][0].find("token")
    assert sent is not None
    assert sent.text == value.replace("\r\n", "\n").replace("\r", "\n").strip(" \t\n")


def read(operation: SoapOperation, body: bytes | str, status: int = 200, content_type: str = "text/xml") -> object:
    """Return the collection that the client reads from a reply."""
    body = body.encode() if isinstance(body, str) else body
    fields = read_reply(operation, status, content_type, body)
    readers = {START: read_token, COMPLETE_WITH_DETAILS: read_completion, GET_DETAILS: read_collections}
    return readers[operation](fields)


ENVELOPES = {
    "as the public test server writes it": (
        '<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Header><work:WorkContext '
        'xmlns:work="http://oracle.com/weblogic/soap/workarea/">rO0ABXd5</work:WorkContext></S:Header><S:Body>'
        '<ns2:startOnlineCollectionResponse xmlns:ns2="http://fms.treas.gov/services/tcsonline">'
        f"<startOnlineCollectionResponse><token>{TOKEN}</token></startOnlineCollectionResponse>"
        "</ns2:startOnlineCollectionResponse></S:Body></S:Envelope>"
    ),
    "other prefixes": (
        '<env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Body><startOnlineCollectionResponse '
        'xmlns="http://fms.treas.gov/services/tcsonline_3_3"><startOnlineCollectionResponse xmlns="">'
        f"<token>{TOKEN}</token></startOnlineCollectionResponse></startOnlineCollectionResponse></env:Body></env:Envelope>"
    ),
    "no namespaces, much white space": f"""<?xml version="1.0"?>
        <Envelope>
            <Body>
                <startOnlineCollectionResponse>
                    <startOnlineCollectionResponse>
                        <token>
                            {TOKEN}
                        </token>
                        <something_new>1</something_new>
                    </startOnlineCollectionResponse>
                </startOnlineCollectionResponse>
            </Body>
        </Envelope>""".strip(),
    "CDATA": soap_reply("startOnlineCollection", f"<token><![CDATA[{TOKEN}]]></token>").decode(),
}


@pytest.mark.parametrize("form", ENVELOPES)
def test_replies_are_matched_by_local_name(form: str) -> None:
    assert read(START, ENVELOPES[form]) == TOKEN


def test_a_reply_in_utf_16_and_one_in_latin_1() -> None:
    body = f"<?xml version='1.0' encoding='utf-16'?>{ENVELOPES['other prefixes']}".encode("utf-16")
    assert read(START, body) == TOKEN
    reported = soap_fault("4117", "Déjà vu").decode().encode("latin-1")
    with pytest.raises(Fault, match="Déjà vu"):
        read(START, reported, 400, "text/xml; charset=ISO-8859-1")


def completed(**fields: str) -> bytes:
    content = "".join(f"<{name}>{text}</{name}>" for name, text in fields.items())
    return soap_reply("completeOnlineCollectionWithDetails", content)


def test_a_completed_collection_keeps_the_text_of_every_field() -> None:
    fields = {
        "paygov_tracking_id": "aB3 x9",
        "agency_tracking_id": "588234832626439493e92",
        "transaction_amount": "060.5",
        "transaction_type": "Sale",
        "transaction_date": "2026-11-22T14:30:00",
        "payment_date": "2026-11-23",
        "transaction_status": "SomethingNew",
        "payment_type": "AMAZON",
        "payment_frequency": "ONE_TIME",
        "number_of_installments": "01",
    }
    expected = fields | {"transaction_amount": Decimal("60.50")}
    assert read(COMPLETE_WITH_DETAILS, completed(**fields)) == Collection(**expected)  # type: ignore[arg-type]  # the fields of one table


def test_empty_fields_are_absent() -> None:
    reported = read(
        COMPLETE_WITH_DETAILS, completed(paygov_tracking_id="1", transaction_status="Failed", payment_type=" ")
    )
    assert reported == Collection(paygov_tracking_id="1", transaction_status="Failed")


@pytest.mark.parametrize(
    "fields",
    [
        {"paygov_tracking_id": "1"},
        {"transaction_status": "Success"},
        {"paygov_tracking_id": " ", "transaction_status": "Success"},
        {"something": "else"},
        {},
        {"paygov_tracking_id": "1", "transaction_status": "Success", "transaction_amount": "1e2"},
        {"paygov_tracking_id": "1", "transaction_status": "Success", "transaction_amount": "$60.00"},
        {"paygov_tracking_id": "1", "transaction_status": "Success", "transaction_amount": "60.001"},
        {"paygov_tracking_id": "1", "transaction_status": "Success", "transaction_amount": "-60"},
        {"paygov_tracking_id": "1", "transaction_status": "Success", "transaction_amount": "٦٠"},
        {"paygov_tracking_id": "1", "transaction_status": "<b>Success</b>"},
        {"paygov_tracking_id": "1", "transaction_status": "S" * 1001},
        {"paygov_tracking_id": "1</paygov_tracking_id><paygov_tracking_id>2", "transaction_status": "Success"},
    ],
)
def test_a_completion_with_missing_or_repeated_fields_is_nonsense(fields: dict[str, str]) -> None:
    with pytest.raises(Nonsense):
        read(COMPLETE_WITH_DETAILS, completed(**fields))


@pytest.mark.parametrize("token", ["", "short", TOKEN + "0", TOKEN[:31] + " x", TOKEN[:31] + "ü"])
def test_a_token_of_another_form_is_nonsense(token: str) -> None:
    with pytest.raises(Nonsense):
        read(START, soap_reply("startOnlineCollection", f"<token>{token}</token>"))


def test_two_tokens_are_nonsense() -> None:
    with pytest.raises(Nonsense):
        read(START, soap_reply("startOnlineCollection", f"<token>{TOKEN}</token>" * 2))


ITEM = "<transaction><paygov_tracking_id>1</paygov_tracking_id></transaction>"


@pytest.mark.parametrize(("content", "count"), [("", 0), (ITEM, 1), (ITEM * 3, 3), (f"\n {ITEM} \n", 1)])
def test_lists_of_none_one_and_many(content: str, count: int) -> None:
    found = read(GET_DETAILS, soap_reply("getDetails", f"<transactions>{content}</transactions>"))
    assert found == (Collection(paygov_tracking_id="1"),) * count


@pytest.mark.parametrize(
    "content",
    [
        "",
        ITEM,
        "<transactions>none</transactions>",
        "<transactions><error/></transactions>",
        "<transactions><transaction/></transactions>",
        "<transactions/><transactions/>",
    ],
)
def test_no_list_is_not_an_empty_list(content: str) -> None:
    with pytest.raises(Nonsense):
        read(GET_DETAILS, soap_reply("getDetails", content))


@pytest.mark.parametrize("status", [200, 400, 500, 503])
def test_a_fault_with_a_code_counts_on_any_status(status: int) -> None:
    with pytest.raises(Fault) as refused:
        read(START, soap_fault("4019", " No such app &amp; such "), status)
    assert (refused.value.return_code, refused.value.return_detail) == ("4019", "No such app & such")


@pytest.mark.parametrize("status", [201, 204, 302, 400, 404, 500, 503])
def test_a_success_counts_on_200_only(status: int) -> None:
    with pytest.raises(Nonsense):
        read(START, ENVELOPES["CDATA"], status)


@pytest.mark.parametrize("code", ["", " ", "x" * 33, "<b>4117</b>"])
def test_a_fault_without_a_valid_code_is_nonsense(code: str) -> None:
    with pytest.raises(Nonsense):
        read(START, soap_fault(code), 500)


def test_a_fault_beside_a_reply_is_nonsense() -> None:
    both = soap_fault().replace(b"</S:Body>", b"<x/></S:Body>")
    with pytest.raises(Nonsense):
        read(START, both)


WHOLE = soap_reply(
    "completeOnlineCollectionWithDetails",
    "<paygov_tracking_id>1</paygov_tracking_id><transaction_status>Success</transaction_status>"
    "<transaction_amount>60.00</transaction_amount>",
)


@given(st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE)), st.binary(max_size=12), st.integers(100, 599))
@example(0, 0, b"", 200)
def test_a_mangled_reply_is_a_collection_or_nonsense(start: int, end: int, instead: bytes, status: int) -> None:
    try:
        reported = read(COMPLETE_WITH_DETAILS, WHOLE[:start] + instead + WHOLE[end:], status)
    except Nonsense:
        return
    assert isinstance(reported, Collection)
    assert reported.paygov_tracking_id
    assert reported.transaction_status


@given(st.integers(0, 400), st.integers(0, 400), st.binary(max_size=12), st.integers(100, 599))
def test_a_mangled_fault_is_a_fault_or_nonsense(start: int, end: int, instead: bytes, status: int) -> None:
    whole = soap_fault()
    with pytest.raises((Fault, Nonsense)):
        read(COMPLETE_WITH_DETAILS, whole[:start] + instead + whole[end:], status)


@given(st.binary(max_size=300), st.integers(100, 599), st.sampled_from([START, COMPLETE_WITH_DETAILS, GET_DETAILS]))
def test_any_bytes_are_nonsense(body: bytes, status: int, operation: SoapOperation) -> None:
    with pytest.raises(Nonsense):
        read(operation, body, status)
