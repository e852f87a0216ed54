"""Signatures: a request that botocore signed is accepted, and refused once it is altered."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import assume, given
from hypothesis import strategies as st

from bursar.web import sigv4
from bursar.web.sigv4 import (
    ClockSkew,
    Identity,
    IncompleteSignature,
    InvalidSignature,
    MissingAuthentication,
    SignatureRefused,
    UnknownAccessKey,
    verify,
)

SECRETS = {"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
HOST = "portal.example.test"


class Signed:
    """A request as it arrives, signed by botocore."""

    def __init__(
        self,
        method: str = "POST",
        path: str = "/",
        query: str = "",
        body: bytes = b"{}",
        headers: dict[str, str] | None = None,
        service: str = "dynamodb",
        region: str = "us-east-1",
        secret: str = SECRETS["AKIDEXAMPLE"],
    ) -> None:
        url = f"https://{HOST}{path}" + (f"?{query}" if query else "")
        request = AWSRequest(method, url, data=body, headers={"Host": HOST, **(headers or {})})
        SigV4Auth(Credentials("AKIDEXAMPLE", secret), service, region).add_auth(request)
        self.method = method
        self.path = path
        self.query = query
        self.body = body
        self.headers = {name.lower(): str(value) for name, value in request.headers.items()}
        signed_at = datetime.strptime(self.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        self.now = signed_at.timestamp()

    def verify(self, *, service: str = "dynamodb", region: str | None = None, later_s: float = 0) -> Identity:
        return verify(
            self.method,
            self.path,
            self.query,
            self.headers,
            self.body,
            secret_for=SECRETS.get,
            service=service,
            region=region,
            now=self.now + later_s,
        )


def test_a_request_that_botocore_signs_is_accepted() -> None:
    signed = Signed(headers={"X-Amz-Target": "DynamoDB_20120810.GetItem", "Content-Type": "application/x-amz-json-1.0"})
    assert signed.verify(region="us-east-1") == Identity("AKIDEXAMPLE", "us-east-1", "dynamodb", signed.now)


@pytest.mark.parametrize(
    "path",
    ["/", "/init", "/details/a%20b", "/a//b/", "/a/./b/../c", "/%2F", "/~x-._", "/a%25b", "/d%C3%A9tail", "/a:b@c"],
)
@pytest.mark.parametrize("query", ["", "a=1", "b=2&a=1", "a=2&a=1", "x=%20y&empty=", "flag"])
def test_paths_and_queries_are_made_canonical_as_botocore_does(path: str, query: str) -> None:
    Signed("GET", path, query, b"", service="execute-api").verify(service="execute-api")


safe_text = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12)


@given(
    segments=st.lists(st.text("abz09-._~%é/ ", max_size=6), max_size=4),
    pairs=st.lists(st.tuples(st.text("abz09-._~", min_size=1, max_size=4), safe_text), max_size=4),
    body=st.binary(max_size=64),
    extra=safe_text.map(str.strip),
)
def test_every_request_that_botocore_signs_is_accepted(
    segments: list[str], pairs: list[tuple[str, str]], body: bytes, extra: str
) -> None:
    from urllib.parse import quote

    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    query = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in pairs)
    Signed("PUT", path, query, body, {"X-Amz-Meta-Extra": extra or "x"}, "execute-api").verify(service="execute-api")


MUTABLE = ("method", "path", "query", "body", "header", "signature", "date", "region", "access_key", "unsigned")


@given(
    what=st.sampled_from(MUTABLE),
    place=st.integers(0, 10_000),
    replacement=st.characters(codec="ascii", categories=["L", "N"]),
)
def test_an_altered_request_is_refused(what: str, place: int, replacement: str) -> None:
    signed = Signed("POST", "/process", "a=1", b'{"token":"0123"}', {"X-Amz-Target": "T.Get"}, "execute-api")

    def altered(text: str) -> str:
        at = place % len(text)
        assume(text[at] != replacement)
        return text[:at] + replacement + text[at + 1 :]

    headers = signed.headers
    if what == "method":
        signed.method = altered(signed.method)
    elif what == "path":
        signed.path = "/" + altered(signed.path[1:])
    elif what == "query":
        signed.query = altered(signed.query)
    elif what == "body":
        signed.body = altered(signed.body.decode()).encode()
    elif what == "header":
        headers["x-amz-target"] = altered(headers["x-amz-target"])
    elif what == "signature":
        start, signature = headers["authorization"].split("Signature=")
        headers["authorization"] = f"{start}Signature={altered(signature)}"
    elif what == "date":
        headers["x-amz-date"] = altered(headers["x-amz-date"])
    elif what == "region":
        headers["authorization"] = headers["authorization"].replace("us-east-1", altered("us-east-1"))
    elif what == "access_key":
        headers["authorization"] = headers["authorization"].replace("AKIDEXAMPLE", altered("AKIDEXAMPLE"))
    else:
        headers["x-amz-added"] = replacement
    with pytest.raises(SignatureRefused):
        signed.verify(service="execute-api")


@given(
    st.text(max_size=60),
    st.text(max_size=30),
    st.dictionaries(st.sampled_from(["x-amz-date", "date", "host"]), st.text()),
)
def test_any_other_input_is_refused_without_another_error(
    authorization: str, query: str, headers: dict[str, str]
) -> None:
    for prefix in ("", "AWS4-", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/r/s/aws4_request, Signature=a, "):
        with pytest.raises(SignatureRefused):
            verify(
                "POST",
                "/",
                query,
                {**headers, "authorization": prefix + authorization},
                b"",
                secret_for=SECRETS.get,
                service="s",
                region=None,
                now=1767225600.0,
            )


def test_the_clock_may_differ_by_five_minutes_at_most() -> None:
    signed = Signed()
    for later_s in (-sigv4.CLOCK_SKEW_S_MAX, sigv4.CLOCK_SKEW_S_MAX):
        signed.verify(later_s=later_s)
    with pytest.raises(ClockSkew, match=r"^Signature expired: \d{8}T\d{6}Z is now earlier than .* - 5 min\.\)$"):
        signed.verify(later_s=sigv4.CLOCK_SKEW_S_MAX + 1)
    with pytest.raises(
        ClockSkew, match=r"^Signature not yet current: \d{8}T\d{6}Z is still later than .* \+ 5 min\.\)$"
    ):
        signed.verify(later_s=-sigv4.CLOCK_SKEW_S_MAX - 1)


def test_a_signature_by_another_secret_is_refused() -> None:
    with pytest.raises(InvalidSignature, match="does not match the signature you provided"):
        Signed(secret="another").verify()


def test_an_unknown_key_is_refused() -> None:
    signed = Signed()
    signed.headers["authorization"] = signed.headers["authorization"].replace("AKIDEXAMPLE", "AKIDOTHER")
    with pytest.raises(UnknownAccessKey, match="The security token included in the request is invalid"):
        signed.verify()


def test_the_scope_must_be_this_service_and_region() -> None:
    with pytest.raises(InvalidSignature, match="scoped to correct service: 'execute-api'"):
        Signed().verify(service="execute-api")
    with pytest.raises(InvalidSignature, match="scoped to a valid region, not 'us-east-1'"):
        Signed().verify(region="eu-west-1")
    signed = Signed()
    signed.headers["authorization"] = signed.headers["authorization"].replace("aws4_request", "aws5_request")
    with pytest.raises(InvalidSignature, match="valid terminator"):
        signed.verify()


def test_the_announced_body_hash_must_be_that_of_the_body() -> None:
    with pytest.raises(InvalidSignature, match="x-amz-content-sha256"):
        Signed(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}).verify()


def test_an_empty_date_counts_as_missing() -> None:
    signed = Signed()
    signed.headers["x-amz-date"] = ""
    with pytest.raises(IncompleteSignature, match="basic format"):
        signed.verify()


def test_a_date_header_replaces_x_amz_date() -> None:
    signed = Signed()
    moment = datetime.fromtimestamp(signed.now, UTC)
    signed.headers["date"] = moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
    del signed.headers["x-amz-date"]
    # x-amz-date is a signed header, so without it the form is complete but the signature differs.
    with pytest.raises(InvalidSignature):
        signed.verify()
    signed.headers["date"] = (moment + timedelta(minutes=6)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    with pytest.raises(InvalidSignature):
        signed.verify()


@pytest.mark.parametrize(
    ("authorization", "query", "has_date", "error", "text"),
    [
        (None, "", True, MissingAuthentication, "Request is missing Authentication Token"),
        ("AWS4", "", True, MissingAuthentication, "Request is missing Authentication Token"),
        ("X", "X-Amz-Algorith", True, MissingAuthentication, "Request is missing Authentication Token"),
        (
            None,
            "X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=c&X-Amz-Date=d",
            True,
            MissingAuthentication,
            "Request is missing Authentication Token",
        ),
        (
            "X",
            "X-Amz-Algorithm",
            True,
            InvalidSignature,
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
        ),
        (
            "AWS4-",
            "",
            False,
            IncompleteSignature,
            "Authorization header requires 'Credential' parameter. "
            "Authorization header requires 'Signature' parameter. "
            "Authorization header requires 'SignedHeaders' parameter. "
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-",
        ),
        (
            "AWS4- Signature=b,Credential=a",
            "",
            True,
            IncompleteSignature,
            "Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4- Signature=b,Credential=a",
        ),
        (
            None,
            "X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d",
            False,
            IncompleteSignature,
            "AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters.",
        ),
    ],
)
def test_a_missing_part_is_refused_with_amazons_text(
    authorization: str | None, query: str, has_date: bool, error: type[SignatureRefused], text: str
) -> None:
    refusal = sigv4.form_refusal(authorization, query, has_date=has_date)
    assert type(refusal) is error
    assert str(refusal) == text


def test_every_refusal_has_amazons_name() -> None:
    names = {error.__name__: error.code for error in SignatureRefused.__subclasses__()}
    assert names == {
        "MissingAuthentication": "MissingAuthenticationTokenException",
        "IncompleteSignature": "IncompleteSignatureException",
        "UnknownAccessKey": "UnrecognizedClientException",
        "InvalidSignature": "InvalidSignatureException",
    }
