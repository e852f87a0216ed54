"""Signatures of requests to AWS: as botocore makes them, and as the verifier accepts them."""

from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bursar.web.sigv4 import InvalidSignature, verify
from bursar.web.sigv4_signing import AwsKeys, signed_headers

NOW = 1_796_000_000.0
URL = "https://dynamodb.us-east-1.amazonaws.com/"
HEADERS = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.GetItem"}
BODY = b'{"TableName":"notes"}'
SCOPE: Any = {"service": "dynamodb", "region": "us-east-1", "now": NOW}


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:8000/", "http://127.0.0.1:8000"])
def test_a_signature_is_botocores(url: str, token: str | None) -> None:
    ours = signed_headers(url, HEADERS, BODY, AwsKeys("AKID", "secret", token), **SCOPE)
    request = AWSRequest("POST", url, data=BODY, headers=dict(HEADERS))
    with mock.patch("botocore.auth.get_current_datetime", return_value=datetime.fromtimestamp(NOW, UTC)):
        SigV4Auth(Credentials("AKID", "secret", token), "dynamodb", "us-east-1").add_auth(request)
    assert ours["Authorization"] == request.headers["Authorization"]
    assert ours.get("X-Amz-Security-Token") == token


def test_a_signature_is_verified_and_binds_the_body_and_the_operation() -> None:
    sent = signed_headers(URL, HEADERS, BODY, AwsKeys("AKID", "secret"), **SCOPE)
    headers = {"host": "dynamodb.us-east-1.amazonaws.com", **{name.lower(): value for name, value in sent.items()}}

    def verified(**changed: Any) -> str:
        given = {"headers": headers, "body": BODY, **changed}
        return verify("POST", "/", "", **given, secret_for=lambda key: "secret", **SCOPE).access_key

    assert verified() == "AKID"
    for changed in ({"body": b"{}"}, {"headers": {**headers, "x-amz-target": "DynamoDB_20120810.PutItem"}}):
        with pytest.raises(InvalidSignature):
            verified(**changed)


def test_a_secret_is_in_no_representation() -> None:
    assert repr(AwsKeys("AKID", "secret", "token")) == "AwsKeys('AKID')"
