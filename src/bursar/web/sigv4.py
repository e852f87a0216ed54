"""Verify AWS Signature Version 4: which access key signed a request, and whether the request was changed since.

The portal uses it for the service ``execute-api``, the DynamoDB server for ``dynamodb``. Signatures in the
``Authorization`` header are verified. Presigned query strings are refused: they are valid for up to a week, which would
defeat the bounded replay window. Source: "AWS Signature Version 4 for API requests" in the IAM user guide; the error
texts are Amazon's.

    SignatureRefused
    ├── MissingAuthentication   no signature at all
    ├── IncompleteSignature     a part of it is missing or malformed
    ├── UnknownAccessKey        the access key is not known
    └── InvalidSignature        wrong scope, or another request was signed
        └── ClockSkew           signed more than CLOCK_SKEW_S_MAX from now
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import ClassVar
from urllib.parse import quote, unquote

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
CLOCK_SKEW_S_MAX = 300
SIGNING_KEYS_CACHED_MAX = 1024
SCOPES_CACHED_MAX = 1024

TIMESTAMP = "%Y%m%dT%H%M%SZ"
_TIMESTAMP_CHARACTERS = 16
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)
_QUERY_PARTS = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
_HEADER_PARTS = ("Credential", "Signature", "SignedHeaders")


class SignatureRefused(Exception):
    """The request is refused. ``code`` is AWS's name of the reason, ``str()`` its text."""

    code: ClassVar[str]


class MissingAuthentication(SignatureRefused):
    """The request has no signature."""

    code = "MissingAuthenticationTokenException"


class IncompleteSignature(SignatureRefused):
    """A part of the signature is missing or malformed."""

    code = "IncompleteSignatureException"


class UnknownAccessKey(SignatureRefused):
    """The access key is not known."""

    code = "UnrecognizedClientException"


class InvalidSignature(SignatureRefused):
    """The scope is wrong, or another request was signed."""

    code = "InvalidSignatureException"


class ClockSkew(InvalidSignature):
    """The request was signed more than ``CLOCK_SKEW_S_MAX`` from now."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The signer: the access key, and the scope (region, service) and time (epoch seconds) of the signature."""

    access_key: str
    region: str
    service: str
    signed_at: float


def verify(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secret_for: Callable[[str], str | None],
    service: str,
    region: str | None,
    now: float,
) -> Identity:
    """Return the signer of a request.

    Args:
        method: as on the wire.
        path: as on the wire, percent-encoded.
        query: as on the wire, percent-encoded, without its question mark.
        headers: lower-case names and Latin-1 text, as in ASGI.
        body: as on the wire.
        secret_for: returns the secret of an access key, or None.
        service: the service that the signature must be for.
        region: the region that the signature must be for; None accepts any.
        now: epoch seconds.

    Raises:
        SignatureRefused: one of its subclasses, with Amazon's text.
    """
    algorithm, parts = _read_authorization(headers, query)
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"Unsupported AWS 'algorithm': '{algorithm}'.")
    access_key, date, scope_region, scope_service = _credential(parts["Credential"])
    timestamp, signed_at = _signing_time(headers)
    _check_scope(date, scope_region, scope_service, service=service, region=region, timestamp=timestamp)
    _check_clock(timestamp, signed_at, now)
    secret = secret_for(access_key)
    if secret is None:
        raise UnknownAccessKey("The security token included in the request is invalid.")

    body_hash = sha256(body).hexdigest()
    signed_headers = parts["SignedHeaders"]
    header_lines = _canonical_headers(signed_headers, headers)
    if headers.get("x-amz-content-sha256", body_hash) != body_hash:
        raise InvalidSignature("The provided 'x-amz-content-sha256' header does not match what was computed.")
    canonical = (
        f"{method}\n{_canonical_path(path)}\n{canonical_query(query) if query else ''}\n"
        f"{header_lines}\n{signed_headers}\n{body_hash}"
    )
    scope = f"{date}/{scope_region}/{scope_service}/{TERMINATOR}"
    # "replace" cannot make two different requests equal: no client signs a question mark for other characters.
    hashed = sha256(canonical.encode("latin-1", "replace")).hexdigest()
    to_sign = f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashed}"
    key = signing_key(secret, date, scope_region, scope_service)
    expected = hmac.digest(key, to_sign.encode("latin-1", "replace"), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), parts["Signature"].encode("utf-8", "replace")):
        raise InvalidSignature(_MISMATCH)
    return Identity(access_key, scope_region, scope_service, signed_at)


def _read_authorization(headers: Mapping[str, str], query: str) -> tuple[str, dict[str, str]]:
    """Return the algorithm and the three parameters of the Authorization header."""
    authorization = headers.get("authorization", "")
    has_date = "x-amz-date" in headers or "date" in headers
    algorithm, _, rest = authorization.partition(" ")
    parts = _parameters(rest)
    whole = has_date and all(map(parts.get, _HEADER_PARTS))
    if not whole or algorithm != ALGORITHM or "X-Amz-Algorithm" in query:
        refusal = form_refusal(authorization, query, has_date=has_date)
        if refusal is not None:
            raise refusal
        if not authorization:
            raise InvalidSignature("Presigned query strings are not accepted here: sign in the Authorization header.")
    return algorithm, parts


def form_refusal(authorization: str | None, query: str, *, has_date: bool) -> SignatureRefused | None:
    """Return the refusal of a signature that lacks a part, or None. No key is needed for that."""
    in_query = _query_parameters(query) if "X-Amz-Algorithm" in query else {}
    if "X-Amz-Algorithm" in in_query:
        if authorization:
            return InvalidSignature(
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
            )
        absent = [
            f"AWS query-string parameters must include '{name}'. " for name in _QUERY_PARTS if not in_query.get(name)
        ]
        if absent:
            return IncompleteSignature("".join(absent) + "Re-examine the query-string parameters.")
        return None
    if not authorization or not authorization.startswith("AWS4-"):
        return MissingAuthentication("Request is missing Authentication Token")
    parts = _parameters(authorization.partition(" ")[2])
    absent = [f"Authorization header requires '{name}' parameter. " for name in _HEADER_PARTS if not parts.get(name)]
    if not has_date:
        absent.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
    if absent:
        return IncompleteSignature("".join(absent) + f"Authorization={authorization}")
    return None


def canonical_query(query: str) -> str:
    """Return ``query`` with every name and value decoded, encoded in the canonical way, and sorted."""
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((_encode(name), _encode(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encode(text: str) -> str:
    # Latin-1 in and out keeps all bytes, also those that are not valid UTF-8.
    return quote(unquote(text.replace("+", " "), "latin-1"), safe="-_.~", encoding="latin-1", errors="replace")


def _query_parameters(query: str) -> dict[str, str]:
    return {name: unquote(value) for name, _, value in (part.partition("=") for part in query.split("&"))}


def _parameters(text: str) -> dict[str, str]:
    parts = {}
    for part in text.replace(",", " ").split():
        name, _, value = part.partition("=")
        parts[name] = value
    return parts


@lru_cache(SCOPES_CACHED_MAX)
def _credential(text: str) -> tuple[str, str, str, str]:
    elements = text.split("/")
    if len(elements) != 5:
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, "
            f"e.g. keyid/date/region/service/term, got '{text}'"
        )
    access_key, date, region, service, terminator = elements
    if terminator != TERMINATOR:
        raise InvalidSignature(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'."
        )
    return access_key, date, region, service


def _check_scope(
    date: str, scope_region: str, scope_service: str, *, service: str, region: str | None, timestamp: str
) -> None:
    if scope_service != service:
        raise InvalidSignature(f"Credential should be scoped to correct service: '{service}'.")
    if region is not None and scope_region != region:
        raise InvalidSignature(f"Credential should be scoped to a valid region, not '{scope_region}'.")
    if date != timestamp[:8]:
        raise InvalidSignature(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date}' != '{timestamp[:8]}', from '{timestamp}'."
        )


def _check_clock(timestamp: str, signed_at: float, now: float) -> None:
    if abs(now - signed_at) <= CLOCK_SKEW_S_MAX:
        return
    ours = datetime.fromtimestamp(now, UTC).strftime(TIMESTAMP)
    minutes = CLOCK_SKEW_S_MAX // 60
    if signed_at < now:
        bound = datetime.fromtimestamp(now - CLOCK_SKEW_S_MAX, UTC).strftime(TIMESTAMP)
        raise ClockSkew(f"Signature expired: {timestamp} is now earlier than {bound} ({ours} - {minutes} min.)")
    bound = datetime.fromtimestamp(now + CLOCK_SKEW_S_MAX, UTC).strftime(TIMESTAMP)
    raise ClockSkew(f"Signature not yet current: {timestamp} is still later than {bound} ({ours} + {minutes} min.)")


def _signing_time(headers: Mapping[str, str]) -> tuple[str, float]:
    """Return the time of the signature as it is in the string to sign, and in epoch seconds."""
    return _parsed_time(headers.get("x-amz-date") or headers.get("date", ""))


@lru_cache(8)  # the requests of one second share it
def _parsed_time(text: str) -> tuple[str, float]:
    moment = None
    try:
        # strptime alone would accept "2026112T1T…": its fields may be short.
        if len(text) == _TIMESTAMP_CHARACTERS:
            moment = datetime.strptime(text, TIMESTAMP).replace(tzinfo=UTC)
        else:
            from email.utils import parsedate_to_datetime  # a request of API Gateway is not verified here

            moment = parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    if moment is None:
        raise IncompleteSignature(f"Date must be in ISO-8601 'basic format'. Got '{text}'.")
    return moment.strftime(TIMESTAMP), moment.timestamp()


def _canonical_headers(signed: str, headers: Mapping[str, str]) -> str:
    names = signed.split(";")
    if "host" not in names:
        raise InvalidSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    # AWS's headers (the operation, the token) must be signed.
    unsigned = [name for name in headers if name not in names and name.startswith("x-amz-")]
    if unsigned:
        raise InvalidSignature(
            f"There were headers present in the request which were not signed: {', '.join(sorted(unsigned))}"
        )
    try:
        return "".join([f"{name}:{_trimmed(headers[name])}\n" for name in names])
    except KeyError:
        raise InvalidSignature(_MISMATCH) from None


def _trimmed(value: str) -> str:
    return " ".join(value.split()) if "  " in value or value[:1].isspace() or value[-1:].isspace() else value


def _canonical_path(path: str) -> str:
    if path == "/" or not path:
        return "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment and segment != ".":
            kept.append(segment)
    trailing = "/" if kept and path.endswith("/") else ""
    # Encoded a second time, as every service except S3 requires.
    return quote("/" + "/".join(kept) + trailing, safe="/~", encoding="latin-1", errors="replace")


@lru_cache(SIGNING_KEYS_CACHED_MAX)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """Return the key that signs requests of one day (``YYYYMMDD``) to one service in one region."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode("latin-1", "replace"), "sha256")
    return key
