"""Requests are read without losing a digit, and every problem is reported at once."""

import json
from decimal import Decimal
from typing import Any

import pytest

from bursar.clock import from_iso_ms
from bursar.paygov import protocol
from bursar.payments import FeeCatalogue
from bursar.payments.records import AMOUNT_MAX, CENT
from bursar.portal.contract.errors import InvalidRequest, TooLarge
from bursar.portal.contract.messages import json_reply
from bursar.portal.contract.schemas import AMOUNT_USD_END, BODY_BYTES_MAX, INIT_REQUEST
from bursar.portal.contract.validation import DEPTH_MAX, InitRequest, read_init, read_json, read_process, read_reference

NOW = from_iso_ms("2026-11-22T19:30:00.000Z")
FEES = FeeCatalogue.default()
GOOD = {
    "transactionReferenceId": "550E8400-E29B-41D4-A716-446655440000",
    "fee": "PETITION_FILING_FEE",
    "urlSuccess": "https://client.example/success?x=1",
    "urlCancel": "HTTP://localhost:8080/cancel",
    "metadata": {"docketNumber": "123-26", "more": [1, None, {"deep": True}]},
}
COPY = {**GOOD, "fee": "COPY_FEE", "metadata": {"copyRequestId": "1", "numberOfPages": 2}}


def _read(body: Any) -> InitRequest:
    return read_init(body if isinstance(body, bytes) else json.dumps(body).encode(), FEES, NOW)


def _refused(body: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        _read(body)
    return refused.value


def test_a_good_request() -> None:
    request = _read(GOOD)
    assert request.reference == "550e8400-e29b-41d4-a716-446655440000"
    assert (request.fee.key, request.amount) == ("PETITION_FILING_FEE", Decimal("60.00"))
    assert request.metadata == GOOD["metadata"]
    assert (request.url_success, request.url_cancel) == (GOOD["urlSuccess"], GOOD["urlCancel"])


def test_every_problem_is_reported_at_once() -> None:
    error = _refused({"fee": 7, "urlSuccess": "javascript:alert(1)", "extra": 1, "metadata": []})
    assert error.message == "Validation error"
    assert {(tuple(p["path"]), p["code"]) for p in error.errors} == {
        (("transactionReferenceId",), "required"),
        (("urlCancel",), "required"),
        (("fee",), "type"),
        (("urlSuccess",), "pattern"),
        (("metadata",), "type"),
        (("extra",), "additionalProperties"),
    }


def test_problems_of_the_fees_metadata_come_with_the_others() -> None:
    body = {**GOOD, "fee": "NONATTORNEY_EXAM_REGISTRATION_FEE", "metadata": {"email": "no"}, "urlCancel": "x"}
    paths = {tuple(p["path"]) for p in _refused(body).errors}
    assert {("metadata", "email"), ("metadata", "fullName"), ("metadata", "accessCode"), ("urlCancel",)} <= paths


def test_no_message_repeats_the_request() -> None:
    body = {**GOOD, "urlSuccess": "ada@example.org", "fee": "SECRET", "transactionReferenceId": "SECRET"}
    told = str(_refused(body).errors)
    assert "ada" not in told
    assert "SECRET" not in told


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//client.example/x",
        "/relative",
        "client.example",
        "ftp://client.example/",
        "https://",
        "https:///path",
        "https://:443/path",
        "https://client.example@evil.example/",
        "https://client.example\\@evil.example/",
        "https://client.example/a b",
        "https://client.example/\n",
        " https://client.example/",
        "https://client.example/" + "x" * 2000,
        7,
        None,
    ],
)
def test_redirects_are_absolute_http_urls(url: object) -> None:
    assert [p["path"] for p in _refused({**GOOD, "urlSuccess": url}).errors][:1] == [["urlSuccess"]]


@pytest.mark.parametrize(
    "reference",
    [
        "550e8400-e29b-11d4-a716-446655440000",
        "550e8400-e29b-41d4-c716-446655440000",
        "550e8400e29b41d4a716446655440000",
        "{550e8400-e29b-41d4-a716-446655440000}",
        "550e8400-e29b-41d4-a716-446655440000\n",
        "",
    ],
)
def test_a_reference_is_a_uuid_v4(reference: str) -> None:
    assert _refused({**GOOD, "transactionReferenceId": reference}).errors[0]["path"] == ["transactionReferenceId"]
    assert read_reference(reference) is None


def test_a_reference_of_a_path_is_in_lower_case_like_that_of_a_body() -> None:
    assert read_reference("550E8400-E29B-41D4-A716-446655440000") == _read(GOOD).reference


def test_amounts() -> None:
    assert _refused({**GOOD, "amount": 60}).message == "Fee PETITION_FILING_FEE does not allow variable amounts"
    assert _refused(COPY).message == "Fee COPY_FEE requires an amount"
    body = json.dumps(COPY).encode()
    for text, amount in [(b"3", "3.00"), (b"3.5", "3.50"), (b"0.01", "0.01"), (b"999999999.99", "999999999.99")]:
        read = _read(body[:-1] + b', "amount": ' + text + b"}")
        assert (read.amount, str(read.amount)) == (Decimal(amount), amount)


def test_every_amount_that_is_taken_can_be_kept_and_asked_of_paygov() -> None:
    assert AMOUNT_USD_END - CENT == protocol.AMOUNT_MAX == AMOUNT_MAX
    assert INIT_REQUEST["properties"]["amount"]["exclusiveMaximum"] == AMOUNT_USD_END


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1",
        "0.001",
        "1.005",
        "1000000000",
        "999999999.995",
        "1e400",
        '"3.50"',
        "null",
        "true",
        "0.30000000000000004",
    ],
)
def test_invalid_amounts(text: str) -> None:
    body = json.dumps(COPY).encode()[:-1] + b', "amount": ' + text.encode() + b"}"
    problems = _refused(body).errors
    assert {tuple(p["path"]) for p in problems} == {("amount",)}


def test_a_fee_that_the_catalogue_has_not() -> None:
    assert [(p["path"], p["code"]) for p in _refused({**GOOD, "fee": "OTHER"}).errors] == [(["fee"], "enum")]


@pytest.mark.parametrize("body", [b"", b"  \n"])
def test_no_body(body: bytes) -> None:
    assert _refused(body).message == "missing body"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b"\xff\xfe{}",
        b'{"a": "\\ud800"}',
        b'{"a": 1} {}',
        b'{"a": 1e999999999}',
        b'{"a": ' + b"9" * 200 + b"}",
        b"[" * 60_000,
    ],
)
def test_bad_json(body: bytes) -> None:
    assert _refused(body).message == "invalid JSON in request body"


def test_a_duplicate_key_is_reported() -> None:
    error = _refused(b'{"fee": "A", "metadata": {"x": 1, "x": 2}}')
    assert error.message == "invalid JSON in request body"
    assert error.errors[0]["path"] == ["x"]


def test_a_duplicate_key_with_a_lone_surrogate_is_reported_without_it() -> None:
    refused = _refused(rb'{"\ud800": 1, "\ud800": 2}')
    assert refused.errors[0]["path"] == ["?"]
    json_reply(refused.body())


def test_deep_nesting_is_refused_in_any_value() -> None:
    with_lists = json.dumps({**GOOD, "metadata": {"docketNumber": "123-26", "deep": "@"}})
    for levels in (DEPTH_MAX, DEPTH_MAX + 1, 300, 480, 2_000):
        lists = "[" * (levels - 2) + "]" * (levels - 2)
        body = with_lists.replace('"@"', lists).encode()
        if levels == DEPTH_MAX:
            _read(body)
            continue
        assert _refused(body).message in ("Validation error", "invalid JSON in request body")
        with pytest.raises(InvalidRequest):
            read_process(f'{{"token": {lists}}}'.encode())
    assert _refused(with_lists.replace('"@"', "[" * 63 + "]" * 63).encode()).errors[0]["code"] == "depth"
    wide = with_lists.replace('"@"', json.dumps([{}] * 1_000)).encode()
    assert _read(wide).metadata["deep"] == [{}] * 1_000


def test_a_body_over_the_bound() -> None:
    assert read_json(b" " * (BODY_BYTES_MAX - 1) + b"1") == 1
    with pytest.raises(TooLarge):
        read_json(b" " * (BODY_BYTES_MAX + 1))


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7", b"null"])
def test_json_that_is_no_object(body: bytes) -> None:
    assert [(p["path"], p["code"]) for p in _refused(body).errors] == [([], "type")]


def test_metadata_keep_their_numbers_or_are_refused() -> None:
    def with_page(text: bytes) -> bytes:
        return json.dumps({**COPY, "amount": 1}).encode().replace(b'"numberOfPages": 2', b'"numberOfPages": ' + text)

    assert _read(with_page(b"2.0")).metadata["numberOfPages"] == 2
    extra = json.dumps({**GOOD}).encode().replace(b'"123-26"', b'"123-26", "weight": 0.1')
    assert _read(extra).metadata["weight"] == 0.1
    lossy = extra.replace(b"0.1", b"0.1000000000000000000001")
    assert [(p["path"], p["code"]) for p in _refused(lossy).errors] == [(["metadata", "weight"], "precision")]


@pytest.mark.parametrize("token", ["", "0" * 31, "0" * 33, 7, None])
def test_a_token_has_exactly_32_characters(token: object) -> None:
    with pytest.raises(InvalidRequest, match="Validation error"):
        read_process(json.dumps({"token": token}).encode())


def test_a_token() -> None:
    assert read_process(json.dumps({"token": "0" * 32}).encode()) == "0" * 32
