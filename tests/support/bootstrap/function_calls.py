"""Calls of the Lambda functions, as Lambda makes them."""

import json
import uuid
from typing import Any, Final

from bursar.portal.doors.aws_lambda import LambdaDoor

ARN: Final = "arn:aws:sts::123456789012:assumed-role/dawson/session-1"
CLIENTS: Final = '[clients.dawson]\nrole_arn = "arn:aws:iam::123456789012:role/dawson"\nfees = "*"\n'


def asked(portal: LambdaDoor, method: str, path: str, body: Any = None, arn: str = ARN) -> tuple[int, Any]:
    event = {
        "httpMethod": method,
        "path": path,
        "headers": {"content-type": "application/json"},
        "body": None if body is None else json.dumps(body),
        "requestContext": {"requestId": "r-1", "identity": {"userArn": arn}},
    }
    reply = portal(event, None)
    return reply["statusCode"], json.loads(reply["body"])


def init_body(reference: str) -> dict[str, Any]:
    """Return the body of a valid `POST /init`."""
    return {
        "transactionReferenceId": reference,
        "fee": "PETITION_FILING_FEE",
        "urlSuccess": "https://client.example/success",
        "urlCancel": "https://client.example/cancel",
        "metadata": {"docketNumber": "123-26"},
    }


def begun(portal: LambdaDoor, reference: str | None = None) -> tuple[str, str]:
    """Return (reference, token) of a payment that the payer has not paid yet."""
    reference = reference or str(uuid.uuid4())
    status, answer = asked(portal, "POST", "/init", init_body(reference))
    assert status == 200, answer
    return reference, answer["token"]
