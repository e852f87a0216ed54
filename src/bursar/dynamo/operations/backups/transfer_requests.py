"""Members, ARNs, client tokens, records and pages of exports, imports and bulk operations."""

import re
from collections.abc import Mapping
from hashlib import sha256
from importlib.util import find_spec
from typing import Any, NoReturn

import orjson

from bursar.dynamo.buckets.port import BucketDenied, Buckets, NoSuchBucket
from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_request, token_reused
from bursar.dynamo.operations.requests.shapes import StringShape
from bursar.dynamo.regions import ACCOUNT
from bursar.dynamo.storage.backups import ID_BITS, backup_id
from bursar.dynamo.storage.transfers import arn_of

BULK = "bulk-operation"
"""The kind of a bulk operation, in its ARN; the others are ``export`` and ``import``."""
TRANSFER_ARN = StringShape(37, 1024)
BUCKET = StringShape(0, 255, re.compile(r"^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$"))
BUCKET_OWNER = StringShape(pattern=re.compile(r"[0-9]{12}"))
KEY_PREFIX = StringShape(0, 1024)
CLIENT_TOKEN = StringShape(pattern=re.compile(r"^[^\$]+$"))
PAGE_MAX = 25
PAGE_DEFAULT = 10
TOKEN_BYTES_MIN = 56
"""Amazon's tokens have 112 hexadecimal digits or more, and their number is a multiple of 16."""
_DIGEST = "RequestDigest"
"""The member of a stored record that has the digest of its request. No answer contains it."""

NO_SUCH_BUCKET = "The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket)"
NO_S3 = "S3 is not available in this engine: start it with --s3-folder or --s3-endpoint"

_ARN = re.compile(r"arn:aws:dynamodb:(?P<region>[^:]*):(?P<account>[^:]*):table/[^/]+/(?P<kind>export|import)/[^/]+")


def buckets_of(core: Core) -> Buckets:
    """Return the buckets. Raise ValidationException for a store without S3."""
    if core.buckets is None:
        raise invalid(NO_S3)
    return core.buckets


def repeated(core: Core, kind: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the job that the same request began under its client token, or None.

    Raise an error if another request used it.
    """
    token = request.get("ClientToken")
    known = None if token is None else core.transfers.under_token(kind, token, core.clock())
    if known is None:
        return None
    if known[_DIGEST] != _digest(request):
        if kind == BULK:
            raise token_reused()
        name = kind.capitalize()
        raise DynamoError(
            f"{name}ConflictException", f"{name} conflict: Duplicate request detected with conflicting parameters"
        )
    return answered(known)


def new_id(core: Core, now: float) -> str:
    """Return the last part of the ARN of a job that begins ``now``."""
    return backup_id(now, core.randomness.getrandbits(ID_BITS))


def failure(error: NoSuchBucket | BucketDenied) -> dict[str, str]:
    """Return the members with the reason why a job failed."""
    if isinstance(error, NoSuchBucket):
        return {"FailureCode": "S3NoSuchBucket", "FailureMessage": NO_SUCH_BUCKET}
    return {"FailureCode": "S3AccessDenied", "FailureMessage": str(error)}


def put_ended(core: Core, arn: str, request: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Store the record of a job that ends now."""
    ended = {**record, "EndTime": round(core.clock(), 3), _DIGEST: _digest(request)}
    core.transfers.put(arn, ended, record["StartTime"])


def _digest(request: Mapping[str, Any]) -> str:
    """Return a digest of a request's members, by which a repeated request is recognised."""
    return sha256(orjson.dumps(dict(request), option=orjson.OPT_SORT_KEYS)).hexdigest()


def found_transfer(core: Core, kind: str, arn: str) -> dict[str, Any]:
    """Return the record of an export or import by its ARN.

    Raise Amazon's errors for other ARNs and for missing records.
    """
    name = kind.capitalize()
    parts = _ARN.fullmatch(arn)
    if parts is None or parts["kind"] != kind:
        raise invalid(f"Invalid {name} ARN")
    if parts["account"] != ACCOUNT:
        raise DynamoError("AccessDeniedException", "Access is denied")
    found = core.transfers.find(arn)
    if found is None and parts["region"] != core.storage.region:
        _not_found(name, f"Invalid {kind} arn")
    if found is None:
        _not_found(name, f"{name} not found: {arn}")
    return answered(found)


def _not_found(name: str, detail: str) -> NoReturn:
    raise DynamoError(f"{name}NotFoundException", f"{name} not found: {detail}")


def answered(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without the digest, which no answer contains."""
    return {member: value for member, value in record.items() if member != _DIGEST}


def page_of(
    records: list[dict[str, Any]], kind: str, token: str | None, limit: int | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return one page of records, and the token of the next page, or None."""
    if token is not None:
        after = _arn_of_token(token, kind)
        arns = [arn_of(record) for record in records]
        if after not in arns:
            raise invalid_request(f"Provided nextToken is invalid: {token}")
        records = records[arns.index(after) + 1 :]
    size = limit or PAGE_DEFAULT
    page = records[:size]
    return page, _token_of(arn_of(page[-1])) if len(records) > size else None


def _token_of(arn: str) -> str:
    content = arn.encode()
    padded = max(TOKEN_BYTES_MIN, -(-len(content) // 8) * 8)
    return content.ljust(padded, b"\0").hex()


def _arn_of_token(token: str, kind: str) -> str:
    try:
        arn = bytes.fromhex(token).rstrip(b"\0").decode()
    except ValueError:
        arn = ""
    if f"/{kind}/" not in arn:
        raise invalid_request(f"Provided nextToken is invalid: {token}")
    return arn


def check_ion(member: str, form: str | None) -> None:
    """Raise ValidationException for the format ION if its package is not installed."""
    if form == "ION" and find_spec("amazon") is None:
        raise invalid_request(f"{member} ION needs the package amazon.ion in this engine: pip install 'bursar[ion]'")
